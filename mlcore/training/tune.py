"""The search for better training settings of the best networks: Optuna, shared by processes and machines, resumable.

May import: NumPy, Optuna, tqdm, `mlcore.training`; no Keras here: every trial is trained in its own process. Only the
training and validation splits are used. `tune_report` makes the page of what this returns.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState
from tqdm import tqdm

from mlcore.backbones import BACKBONES
from mlcore.training.apart import ApartError, apart
from mlcore.training.compare import Runner, train_run
from mlcore.training.films import Film, TrainingError
from mlcore.training.leaderboard import board
from mlcore.training.statistics import REPLICATES
from mlcore.training.study import in_words, read
from mlcore.training.tasks import Task, task_of
from mlcore.training.train import Plan, load_scores

#: A running trial says this often, in seconds, that it lives; unheard of for `GRACE` it is taken to be lost.
BEAT, GRACE = 30.0, 600.0
PRUNERS = ("median", "halving", "none")


@dataclass(frozen=True, slots=True)
class Search:
    """Every choice of a search. `plan` is what every trial starts from, and the default it is measured against.

    `storage`: `sqlite:///FILE`, `postgresql://…`, or a FILE.journal, which may lie on a shared disk. `trials` per
    network, the default plan among them; `pruner` ends trials that fall behind: "median", "halving" or "none".
    """

    networks: tuple[str, ...]
    plan: Plan
    storage: str
    trials: int
    task: str = "three"
    size: int = 0
    name: str = "tune"
    pruner: str = "median"
    seed: int = 1

    def __post_init__(self) -> None:
        for name in self.networks or ("",):
            if name not in BACKBONES:
                raise TrainingError(f"There is no network {name!r}. Choose among {', '.join(BACKBONES)}.")
        if self.pruner not in PRUNERS:
            raise TrainingError(f"The pruner is one of {', '.join(PRUNERS)}, not {self.pruner!r}.")

    def base(self, network: str) -> Plan:
        return replace(self.plan, backbone=network, size=self.size or BACKBONES[network].side)


def default_parameters(plan: Plan) -> dict[str, Any]:
    """What of the plan is searched."""
    return {name: getattr(plan, name) for name in ("rate", "decay", "dropout", "smoothing", "augment", "batch")}


def suggest(trial: optuna.Trial, plan: Plan) -> dict[str, Any]:
    """The settings of one trial."""
    return {
        "rate": trial.suggest_float("rate", 3e-5, 3e-3, log=True),
        "decay": trial.suggest_float("decay", 1e-3, 1e-1, log=True),
        "dropout": trial.suggest_float("dropout", 0.0, 0.5),
        "smoothing": trial.suggest_float("smoothing", 0.0, 0.15),
        "augment": trial.suggest_categorical("augment", sorted({"paper", "robust", plan.augment})),
        "batch": trial.suggest_categorical("batch", sorted({16, 32, 64, plan.batch})),
    }


def tune(
    search: Search, films: Sequence[Film], out: Path, *, replicates: int = REPLICATES, run: Runner = apart
) -> dict[str, Any]:
    """Carry out the trials that the storage still lacks, and the document of the report.

    Start it several times, on several machines with the same storage, to share the work. Kill it anywhere and start
    it again: a lost trial is tried again with the same settings, from its last epoch where `out` still holds it.
    Raises TrainingError.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    task = task_of(search.task)
    films = task.films(films)
    val = [film for film in films if film.split == "val"]
    found = {}
    for network in dict.fromkeys(search.networks):
        study = open_study(search, network)
        take_back_lost(study)
        with tqdm(total=search.trials, desc=f"{network}, trials", initial=_counted(study)) as bar:
            while _counted(study) < search.trials:
                study.sampler = _sampler(search, study)
                _attempt(study, search, network, films, out, run)
                bar.update(_counted(study) - bar.n)
        found[network] = summary(study, val, task, replicates)
    return {"search": _facts(search), "networks": found, "replicates": replicates, "validation_films": len(val)}


def open_study(search: Search, network: str) -> optuna.Study:
    """The study of one network in the storage, made if need be with the default plan as its first trial."""
    pruner = {
        "median": optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1),
        "halving": optuna.pruners.SuccessiveHalvingPruner(),
        "none": optuna.pruners.NopPruner(),
    }[search.pruner]
    try:
        study = optuna.create_study(
            study_name=f"{search.name}-{network}", storage=_storage(search.storage), direction="maximize",
            pruner=pruner, load_if_exists=True,
        )  # fmt: skip
    except Exception as error:  # what a database driver raises depends on the database
        raise TrainingError(f"The storage {search.storage.split('://')[0]} cannot be used: {error}") from error
    plan = json.loads(json.dumps(_words(search.base(network))))
    if study.user_attrs.setdefault("plan", plan) != plan:
        raise TrainingError(f"The storage holds {study.study_name} with another budget: choose another --name.")
    study.set_user_attr("plan", plan)
    default = default_parameters(search.base(network))
    if not any("default" in trial.user_attrs for trial in study.trials):
        study.enqueue_trial(default, user_attrs={"default": True})
    return study


def take_back_lost(study: optuna.Study) -> None:
    """Queue again, with the same settings, every trial whose process is gone; nothing stays half done."""
    replaced = {trial.user_attrs.get("instead_of") for trial in study.trials}
    for trial in study.get_trials(states=[TrialState.RUNNING]):
        if not _lost(trial):
            continue
        if trial.number not in replaced and trial.params:
            kept = {name: True for name in ("default",) if name in trial.user_attrs}
            study.enqueue_trial(trial.params, user_attrs={"instead_of": trial.number, **kept})
        try:
            study.tell(trial.number, state=TrialState.FAIL)
        except (ValueError, optuna.exceptions.UpdateFinishedTrialError):
            continue  # another process was faster


def summary(study: optuna.Study, val: Sequence[Film], task: Task, replicates: int) -> dict[str, Any]:
    """The best searched trial and the default, the gain with its paired interval, every trial, and what mattered."""
    done = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    result: dict[str, Any] = {
        "trials": [_row(trial) for trial in study.trials if trial.state.is_finished()],
        "importance": _importance(study, done),
    }
    default = next((trial for trial in done if "default" in trial.user_attrs), None)
    searched = [trial for trial in done if "default" not in trial.user_attrs]
    best = max(searched, key=lambda trial: (trial.value or 0, -trial.number), default=None)
    if best is None or default is None:
        return result
    scores = {name: unpacked(trial.user_attrs["scores"], val, len(task.labels))
              for name, trial in (("best", best), ("default", default))}  # fmt: skip
    held = np.isfinite(np.stack([one[:, 0] for one in scores.values()])).all(axis=0).tolist()
    films = [film for film, kept in zip(val, held, strict=True) if kept]
    found = board(films, task, {name: [one[held]] for name, one in scores.items()}, reference="default",
                  replicates=replicates)  # fmt: skip
    return {
        **result, "best": _row(best), "default": _row(default), "figures": found["rows"],
        "gain": found["differences"]["best"],
    }  # fmt: skip


def _attempt(
    study: optuna.Study, search: Search, network: str, films: Sequence[Film], out: Path, run: Runner
) -> None:  # fmt: skip
    """One trial, told to the study whatever becomes of it."""
    trial = study.ask()
    trial.set_user_attr("worker", [socket.gethostname(), os.getpid()])
    trial.set_user_attr("beat", time.time())
    plan = replace(search.base(network), **suggest(trial, search.plan))
    folder = out / "trials" / f"{network}-{hashlib.sha256(repr(plan).encode()).hexdigest()[:12]}"
    watch = _Watch(trial, folder / "run.json", plan.total)
    try:
        outcome = run(train_run, films, search.task, plan, folder, out / "cache", watch=watch)
        trial.set_user_attr("log", outcome["log"])
        trial.set_user_attr("scores", packed(folder / "val.scores.npz", films))
        study.tell(trial, outcome["validation"])
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    except (ApartError, TrainingError) as error:
        trial.set_user_attr("reason", str(error))
        study.tell(trial, state=TrialState.FAIL)


class _Watch:
    """Tells Optuna of every finished epoch of a trial, and that the trial lives; ends it when Optuna wants."""

    def __init__(self, trial: optuna.Trial, path: Path, epochs: int) -> None:
        self.trial, self.path, self.epochs, self.told, self.beat = trial, path, epochs, 0, time.time()

    def __call__(self) -> None:
        if time.time() - self.beat > BEAT:
            self.beat = time.time()
            self.trial.set_user_attr("beat", self.beat)
        log = read(self.path)["log"] if self.path.exists() else []
        for entry in log[self.told :]:
            self.told = entry["epoch"]
            self.trial.report(entry["score"], entry["epoch"])
            if entry["epoch"] < self.epochs and self.trial.should_prune():
                raise optuna.TrialPruned


def _counted(study: optuna.Study) -> int:
    """Trials that are finished or under way; those that were lost do not count, their second try does."""
    trials = study.get_trials(deepcopy=False)
    lost = {trial.user_attrs.get("instead_of") for trial in trials}
    return sum(trial.state != TrialState.WAITING and trial.number not in lost for trial in trials)


def _lost(trial: FrozenTrial) -> bool:
    host, process = trial.user_attrs.get("worker", ("", 0))
    if host == socket.gethostname():
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
    started = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
    return time.time() - max(trial.user_attrs.get("beat", 0.0), started) > GRACE


def _sampler(search: Search, study: optuna.Study) -> optuna.samplers.BaseSampler:
    """Seeded by search and trial, so that a search that was interrupted suggests what it would have."""
    seed = search.seed * 10_007 + len(study.get_trials(deepcopy=False))
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=5)


def _storage(text: str) -> Any:
    if text.endswith(".journal"):
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        Path(text).parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(JournalFileBackend(text))
    if "://" not in text:
        raise TrainingError(f"--storage is sqlite:///FILE, postgresql://… or a FILE.journal, not {text!r}.")
    kind, rest = text.split("://", 1)
    driver = "postgresql+psycopg2" if kind in ("postgres", "postgresql") else kind  # the driver the site brings
    return optuna.storages.RDBStorage(f"{driver}://{rest}")


def _importance(study: optuna.Study, done: Sequence[FrozenTrial]) -> dict[str, float]:
    """Share of the spread of scores that each setting explains (fANOVA, Hutter et al. 2014); {} with few trials."""
    if len(done) < 4 or len({trial.value for trial in done}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: round(float(share), 4) for name, share in found.items()}


def _row(trial: FrozenTrial) -> dict[str, Any]:
    seconds = trial.duration.total_seconds() if trial.duration else 0.0
    row = {"number": trial.number, "state": trial.state.name.lower(), "parameters": dict(trial.params),
           "seconds": round(seconds, 1), "epochs": len(trial.intermediate_values),
           "default": "default" in trial.user_attrs}  # fmt: skip
    last = max(trial.intermediate_values.values(), default=None)
    row |= {"score": trial.value if trial.value is not None else last}
    return row | {name: trial.user_attrs[name] for name in ("reason", "log", "instead_of") if name in trial.user_attrs}


def packed(path: Path, films: Sequence[Film]) -> str:
    """Validation scores small enough for a database, so that any machine can measure the gain; nan where refused."""
    hashes, labels, scores = load_scores(path)
    val = sorted(film.sha256 for film in films if film.split == "val")
    rows = np.full((len(val), len(labels)), np.nan, dtype=np.float32)
    rows[[val.index(sha256) for sha256 in hashes]] = scores
    return base64.b85encode(zlib.compress(rows.tobytes(), 9)).decode()


def unpacked(text: str, val: Sequence[Film], labels: int) -> Any:
    """What `packed` made, in the order of `val`. Raises TrainingError when it is of other films."""
    flat = np.frombuffer(zlib.decompress(base64.b85decode(text)), dtype=np.float32)
    if len(flat) != len(val) * labels:
        raise TrainingError("The trials in the storage were measured on other films than these.")
    scores = np.empty((len(val), labels))
    scores[np.argsort([film.sha256 for film in val])] = flat.reshape(len(val), labels)
    return scores


def _words(plan: Plan) -> dict[str, Any]:
    """The plan without the folders of this machine."""
    return asdict(replace(plan, weights=in_words(plan.weights)))


def _facts(search: Search) -> Mapping[str, Any]:
    """Without password and folder of the storage."""
    kind = "journal file" if search.storage.endswith(".journal") else search.storage.split(":")[0]
    return {**asdict(search), "plan": _words(search.plan), "storage": kind}

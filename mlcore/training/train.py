"""Training of one network on one task: plan, run, checkpoint after every epoch; any Keras backend.

May import: NumPy, `mlcore` (not Django); Keras inside functions. `evaluate`, `compare` and the recipes read its runs.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mlcore.backbones import Architecture, build_member, freeze_for_tuning
from mlcore.preprocess import PreprocessingSpec
from mlcore.training.cache import Samples, load_samples
from mlcore.training.dataset import split_summary
from mlcore.training.films import Film, TrainingError
from mlcore.training.metrics import auroc
from mlcore.training.tasks import Task

__all__ = ["Plan", "Run", "Samples", "load_samples", "load_scores", "predict_scores", "save_scores", "train"]

Array = npt.NDArray[np.float32]
_PREDICT_BATCH = 64


@dataclass(frozen=True, slots=True)
class Plan:
    """Every choice of a run.

    `weights`: "imagenet" (fetched), "none", or the path of a backbone's weights without top. `augment`: "none",
    "paper" or "robust". `head_epochs` train the head on a frozen backbone, `epochs` fine-tune after them.
    `per_epoch` films are drawn per epoch, 0 for as many as there are. `balance`: "strata" draws as many from every
    source and label, "weights" shows films as they come and weighs the loss, "none" does neither.
    `average` is the momentum of the averaged weights that are measured and kept, 0 for the plain ones.
    `prior_floor`: inside a source the log share of each label is added to the logits while training, so that
    knowing the source gains the network nothing (logit adjustment, Menon et al. 2021); a label that a source does
    not have gets this share, 1 turns it off; exclusive tasks only. `patience`: fine-tuning epochs without a better
    score before it stops, 0 for never. `precision`: "auto" is mixed_float16 on a GPU, float32 without.
    """

    backbone: str = "mobilenet_v2"
    size: int = 224
    weights: str = "imagenet"
    augment: str = "robust"
    head_epochs: int = 0
    epochs: int = 16
    per_epoch: int = 2700
    balance: str = "strata"
    batch: int = 32
    rate: float = 3e-4
    head_rate: float = 1e-3
    decay: float = 0.02
    dropout: float = 0.3
    smoothing: float = 0.05
    average: float = 0.995
    prior_floor: float = 0.02
    patience: int = 0
    seed: int = 1
    precision: str = "auto"
    devices: str = "one"

    @property
    def spec(self) -> PreprocessingSpec:
        return PreprocessingSpec(size=(self.size, self.size))

    @property
    def total(self) -> int:
        return self.head_epochs + self.epochs


Build = Callable[[Task, Plan], Any]


def default_build(task: Task, plan: Plan) -> Any:
    """The plan's backbone with the head every served model has; pretrained layers are prepared for fine-tuning."""
    architecture = Architecture(plan.backbone, plan.spec.size, len(task.labels))
    weights = None if plan.weights == "none" else plan.weights
    try:
        member = build_member(architecture, weights=weights, dropout=plan.dropout)
    except Exception as error:  # Keras raises plain Exception when it cannot fetch
        hint = "" if weights is None else " Without internet give --weights the path of a file, or none."
        raise TrainingError(
            f"{plan.backbone} at {plan.size} pixels cannot be started from {plan.weights!r}: {error}{hint}"
        ) from error
    if weights is not None:
        freeze_for_tuning(member, architecture)
    return member


@dataclass(slots=True)
class Run:
    """The folder of one training: `run.json` says what it is and holds the log, `best.weights.h5` what it learned.

    `run.json` is replaced last in every epoch: an epoch that is not in it did not happen.
    """

    out: Path
    plan: Plan
    task: Task
    build: Build
    facts: dict[str, Any]
    log: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def open(cls, out: Path, plan: Plan, task: Task, build: Build, samples: Samples) -> Run:
        """The run that is in `out`, or a new one. Raises TrainingError if that was another run."""
        from mlcore.training.devices import machine

        films = split_summary(samples.films, task, samples.left_out)
        facts = {
            "plan": asdict(plan),
            "task": {"key": task.key, "labels": list(task.labels), "exclusive": task.exclusive},
            "network": f"{build.__module__}.{getattr(build, '__qualname__', type(build).__qualname__)}",
            "split": films.pop("split_sha256"),
        }
        out.mkdir(parents=True, exist_ok=True)
        path = out / "run.json"
        if not path.exists():
            return cls(out, plan, task, build, {**facts, "films": films, **machine()})
        stored = json.loads(path.read_text(encoding="utf-8"))
        for name, asked in facts.items():
            if stored.get(name) != asked:
                different = _difference(stored.get(name), asked)
                raise TrainingError(f"{out} holds a run with another {name}{different}: choose another folder.")
        log = stored.pop("log")
        run = cls(out, plan, task, build, {name: stored[name] for name in (*facts, "films", *machine())}, log)
        if not run.finished and not run.checkpoint(len(log)).exists():
            raise TrainingError(f"{out} has lost {run.checkpoint(len(log)).name}: choose another folder.")
        run._settle()
        return run

    @property
    def best_epoch(self) -> int:
        """Counted from 1; 0 before the first epoch has ended."""
        return int(max(self.log, key=lambda entry: entry["score"])["epoch"]) if self.log else 0

    @property
    def weights(self) -> Path:
        return self.out / "best.weights.h5"

    @property
    def seconds(self) -> float:
        return float(sum(entry["seconds"] for entry in self.log))

    @property
    def finished(self) -> bool:
        """All epochs done, or none better within `plan.patience` epochs of fine-tuning."""
        tuned = len(self.log) - self.plan.head_epochs
        waited = min(len(self.log) - self.best_epoch, tuned)
        return len(self.log) >= self.plan.total or bool(self.plan.patience and waited >= self.plan.patience)

    def model(self) -> Any:
        """The network with its best weights, in float32."""
        from mlcore.training.devices import placed

        with placed("one", "float32"):
            network = self.build(self.task, self.plan)
        network.load_weights(self.weights)
        return network

    def to_json(self) -> dict[str, Any]:
        return {
            **self.facts,
            "best_epoch": self.best_epoch,
            "validation": max((entry["score"] for entry in self.log), default=None),
            "seconds": self.seconds,
            "log": self.log,
        }

    def checkpoint(self, epoch: int) -> Path:
        return self.out / f"last-{epoch}.weights.h5"

    def keep_best(self, entry: dict[str, Any], network: Any) -> None:
        """Write the network's weights beside the best ones; they take their place once the epoch is in the log."""
        if entry["score"] > max((old["score"] for old in self.log), default=-1.0):
            _save(network, self.out / f"best-{entry['epoch']}.weights.h5")

    def keep(self, entry: dict[str, Any], trainer: Any) -> None:
        """Checkpoint, log, best weights, in the order that any interruption between them leaves a sound run."""
        _save(trainer, self.checkpoint(entry["epoch"]))
        self.log.append(entry)
        _replace(self.out / "run.json", json.dumps(self.to_json(), indent=1, ensure_ascii=False, allow_nan=False))
        self._settle()

    def _settle(self) -> None:
        """Bring the other files in line with run.json, which has the say."""
        best = self.out / f"best-{self.best_epoch}.weights.h5"
        if best.exists():
            os.replace(best, self.weights)
        for pattern in ("best-*.weights.h5", "last-*.weights.h5", "part-*"):
            for path in self.out.glob(pattern):
                if path != self.checkpoint(len(self.log)):
                    path.unlink()
        columns = list(dict.fromkeys(name for entry in self.log for name in entry))
        with (self.out / "log.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(self.log)


def train(samples: Samples, task: Task, plan: Plan, out: Path, build: Build | None = None) -> Run:
    """Train into `out`, or go on with the same run there; the test split is never read.

    `build(task, plan)` gives the network: film (n, side, side, 1) in [0, 1] → logits (n, labels), or maps
    (n, h, w, labels) whose mean is the logit. Frozen head epochs freeze the models nested in it. The best epoch is
    that with the highest mean, over the sources of the validation split, of the macro AUROC within the source.
    Raises TrainingError.
    """
    held = samples.select([task.labels_of(film) is not None for film in samples.films])
    parts = [held.select([film.split == split for film in held.films]) for split in ("train", "val")]
    if not all(part.films for part in parts):
        raise TrainingError(f"Training needs films of the task {task.key!r} in both the train and the val split.")
    if samples.pictures.shape[1:] != plan.spec.size:
        raise TrainingError(f"The films are {samples.pictures.shape[1:]} pixels, the plan asks for {plan.spec.size}.")
    run = Run.open(out, plan, task, build or default_build, samples)
    if not run.finished:
        from mlcore.training.fit import fit

        fit(run, *parts)
    kept = out / "val.scores.npz"
    if not kept.exists():
        scores = predict_scores(run.model(), parts[1], task, plan.spec)
        save_scores(kept, parts[1].films, task.labels, scores)
    return run


def predict_scores(model: Any, samples: Samples, task: Task, spec: PreprocessingSpec) -> Array:
    """Probabilities of every label, (n, labels), in the order of the films: softmax or sigmoid by the task."""
    from mlcore.training.fit import scorer

    return scores_of(scorer(model, task, spec), samples)


def scores_of(scoring: Any, samples: Samples) -> Array:
    """What the model of `fit.scorer` says of every film."""
    from mlcore.training.batches import FilmBatches

    count = len(samples.films)
    if not count:
        return np.zeros((0, scoring.output_shape[-1]), np.float32)
    batches = FilmBatches(samples, min(_PREDICT_BATCH, -(-count // 8) * 8))
    return np.asarray(scoring.predict(batches, verbose=0), dtype=np.float32)[:count]


def within_sources(films: Sequence[Film], targets: Array, probabilities: Array) -> dict[str, float]:
    """Mean AUROC of the labels inside each source, and the mean over sources as `score`.

    Labels that all or no film of a source has do not count there; sources without any that does are left out.
    """
    source = np.array([film.source for film in films])
    scores = {}
    for name in np.unique(source):
        keep = source == name
        areas = [auroc(targets[keep, k] > 0.5, probabilities[keep, k]) for k in range(targets.shape[1])]
        known = [area for area in areas if np.isfinite(area)]
        if known:
            scores[str(name)] = float(np.mean(known))
    if not scores:
        raise TrainingError("The validation films of every source have the same labels: nothing can be ranked.")
    return {**scores, "score": float(np.mean(list(scores.values())))}


def save_scores(path: Path, films: Sequence[Film], labels: Sequence[str], scores: Array) -> None:
    """Write probabilities with the hash of each film, without pickles, at once."""
    partial = path.with_name(f"part-{path.name}")
    np.savez(
        partial, films=np.array([film.sha256 for film in films], dtype="U64"), labels=np.array(labels, dtype="U"),
        scores=np.asarray(scores, dtype=np.float32),
    )  # fmt: skip
    os.replace(partial, path)


def load_scores(path: Path) -> tuple[list[str], list[str], Array]:
    """Hashes of the films, labels, probabilities (n, labels)."""
    with np.load(path, allow_pickle=False) as stored:
        return stored["films"].tolist(), stored["labels"].tolist(), stored["scores"]


def _difference(stored: Any, asked: Any) -> str:
    """The fields that differ, for a message."""
    if not isinstance(stored, dict) or not isinstance(asked, dict):
        return ""
    lines = [f"{k} {stored.get(k)!r}, not {v!r}" for k, v in asked.items() if stored.get(k) != v]
    return f" ({'; '.join(lines)[:300]})"


def _save(model: Any, path: Path) -> None:
    partial = path.with_name(f"part-{path.name}")
    model.save_weights(partial)
    os.replace(partial, path)


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f"part-{path.name}")
    partial.write_text(text + "\n", encoding="utf-8")
    os.replace(partial, path)

"""The comparison of networks: same split, budget and seeds for all, one winner by a rule written down beforehand.

May import: NumPy, tqdm, `mlcore.training`; no Keras here: every network is trained and measured in its own process.
`compare_report` makes the page of what this writes; `tune` goes on with the best three.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from mlcore.backbones import Architecture
from mlcore.training.apart import ApartError, apart
from mlcore.training.costs import costs, leaves
from mlcore.training.dataset import split_summary
from mlcore.training.evaluate import baselines
from mlcore.training.films import Film, TrainingError
from mlcore.training.leaderboard import RULE, board, choose
from mlcore.training.report import to_json
from mlcore.training.statistics import REPLICATES
from mlcore.training.study import Folder, Row, Study, in_words, read, side, starting_weights, write
from mlcore.training.tasks import Task, task_of
from mlcore.training.train import Plan, load_scores

#: `apart`, or a plain call in tests: function, its arguments, and what to look at meanwhile.
Runner = Callable[..., Any]


def compare(
    study: Study, films: Sequence[Film], out: Path, *, replicates: int = REPLICATES, run: Runner = apart
) -> dict[str, Any]:
    """Train what is not trained yet, choose by the rule, then open the test split; the document of the report.

    Whatever was finished in `out` is kept: kill it anywhere and call it again. A network that fails is written down
    with its reason and the others go on. Raises TrainingError when `out` holds another study or nothing was trained.
    """
    task = task_of(study.task)
    films = task.films(films)
    known, test = [f for f in films if f.split != "test"], [f for f in films if f.split == "test"]
    if not test:
        raise TrainingError("A comparison needs films in the test split.")
    folder = Folder(out)
    _begin(folder, study, films, replicates)
    _train_all(folder, study, films, run)
    prices = _prices(folder, study, run)
    rows = finished(folder, study)
    train, val = ([f for f in known if f.split == split] for split in ("train", "val"))
    val, on_val = _scores({row.name: [folder.run(row, s) / "val.scores.npz" for s in study.seeds] for row in rows}, val)
    if not folder.choice.exists():
        write(folder.choice, {**_chosen(study, on_val, val, task, prices, replicates), "at": _now()})
    if not folder.opened.exists():
        write(folder.opened, {"at": _now(), "test_films": len(test), "after": folder.choice.name})
    on_disk = {row.name: [folder.run(row, s) / "test.scores.npz" for s in study.seeds] for row in rows}
    missing = [path for several in on_disk.values() for path in several if not path.exists()]
    if missing:
        run(_score, films, study.task, missing, folder.cache)
    test, on_test = _scores(on_disk, test)
    if not folder.served.exists():
        write(folder.served, run(_serve, folder.out, study, films, replicates))
    boards = {
        split: board(own, task, {**given, "source_only": [baselines(own, train, task)["source_only"]]},
                     reference=read(folder.choice)["winner"], replicates=replicates)
        for split, own, given in (("val", val, on_val), ("test", test, on_test))
    }  # fmt: skip
    return document(folder, study, prices, boards, confusion(test, task, on_test))


def document(
    folder: Folder, study: Study, prices: Mapping[str, Any], boards: Mapping[str, Any], confusions: Mapping[str, Any]
) -> dict[str, Any]:
    """All that is known, as plain JSON."""
    rows = {}
    for row in study.rows:
        outcomes = {str(seed): read(folder.outcome(row, seed)) for seed in study.seeds}
        rows[row.name] = {
            **asdict(row),
            "weights": in_words(row.weights),
            "size": side(study, row),
            "costs": prices[row.network],
            "runs": outcomes,
            "failed": sorted({one["reason"] for one in outcomes.values() if "reason" in one}),
            "confusion": confusions.get(row.name),
            **{split: found["rows"].get(row.name) for split, found in boards.items()},
        }
    stored = {name: read(getattr(folder, name)) for name in ("study", "rule", "choice", "opened", "served")}
    return {
        **stored,
        "labels": list(task_of(study.task).labels),
        "films": read(folder.run(finished(folder, study)[0], study.seeds[0]) / "run.json")["films"],
        "rows": rows,
        "differences": {split: found["differences"] for split, found in boards.items()},
        "source_only": {split: found["rows"]["source_only"] for split, found in boards.items()},
        "seconds": sum(one.get("seconds", 0) for row in rows.values() for one in row["runs"].values()),
    }


def finished(folder: Folder, study: Study) -> list[Row]:
    """The rows that were trained with every seed."""
    return [row for row in study.rows
            if all("reason" not in read(folder.outcome(row, seed)) for seed in study.seeds)]  # fmt: skip


def confusion(films: Sequence[Film], task: Task, scores: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Films by label and first choice, row → counts; scores are averaged over the seeds. Exclusive tasks only."""
    if not task.exclusive:
        return {}
    truth = task.targets(films).argmax(1)
    found = {}
    for row, arrays in scores.items():
        counts = np.zeros((len(task.labels), len(task.labels)), int)
        np.add.at(counts, (truth, np.mean(arrays, axis=0).argmax(1)), 1)
        found[row] = counts.tolist()
    return found


def _begin(folder: Folder, study: Study, films: Sequence[Film], replicates: int) -> None:
    """Study and rule are on disk before anything is trained; another study or rule in the folder is refused."""
    facts = json.loads(to_json({**study.to_json(), "films": split_summary(films, task_of(study.task))}))
    for path, name, new in ((folder.study, None, facts), (folder.rule, "rule", RULE)):
        if path.exists() and (read(path)[name] if name else read(path)) != new:
            raise TrainingError(f"{folder.out} holds another comparison. Choose another --out, or empty that folder.")
    if not folder.rule.exists():
        write(folder.rule, {"rule": RULE, "replicates": replicates, "at": _now()})
    write(folder.study, facts)


def _prices(folder: Folder, study: Study, run: Runner) -> dict[str, Any]:
    """What each network costs at its size; what cannot be measured says why."""
    prices = {}
    for row in tqdm(study.rows, desc="costs"):
        path = folder.costs(row.network, side(study, row))
        if not path.exists():
            try:
                write(path, run(costs, _served(study, row)))
            except ApartError as error:
                prices[row.network] = {"reason": str(error)}
                continue
        prices[row.network] = read(path)
    return prices


def _train_all(folder: Folder, study: Study, films: Sequence[Film], run: Runner) -> None:
    """Every run that has no outcome yet; failed ones get another try until the winner is chosen."""
    todo = [(row, seed) for row in study.rows for seed in study.seeds]
    with _Bar(folder, todo, study.plan.total) as bar:
        for row, seed in todo:
            path = folder.outcome(row, seed)
            if path.exists() and (folder.choice.exists() or "reason" not in read(path)):
                continue
            plan = replace(study.plan, backbone=row.network, size=side(study, row), weights=row.weights, seed=seed)
            bar.name(f"{row.name}, seed {seed}")
            try:
                outcome = run(train_run, films, study.task, plan, path.parent, folder.cache, watch=bar.update)
            except (ApartError, TrainingError) as error:
                outcome = {"reason": str(error)}
                tqdm.write(f"{row.name}, seed {seed}, failed: {error}")
            write(path, outcome)
            bar.update()


def network(task: Task, plan: Plan) -> Any:
    """The engine's network; one that starts from nothing forgets the statistics of its batches within ten steps.

    Keras' own networks remember 100 to 3,300 steps. In a short training that is mostly the beginning, and a network
    measured with it says nothing. The momentum is no weight: what is served does not change.
    """
    import keras

    from mlcore.training.train import default_build

    member = default_build(task, plan)
    if plan.weights == "none":
        for layer in leaves(member):
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = min(layer.momentum, 0.9)
    return member


def train_run(films: Sequence[Film], task: str, plan: Plan, out: Path, cache: Path) -> dict[str, Any]:
    """One run of the engine and what is kept of it; in its own process."""
    from mlcore.registry import file_sha256
    from mlcore.training.train import load_samples, train

    plan = replace(plan, weights=starting_weights(plan.backbone, plan.weights))
    finished = train(load_samples(films, plan.spec, cache), task_of(task), plan, out, network)
    with finished.weights.open("rb") as file:
        sha256 = file_sha256(file)
    facts = finished.to_json()
    kept = ("best_epoch", "validation", "seconds", "log", "machine", "versions")
    return {name: facts[name] for name in kept} | {"weights_sha256": sha256}


def _score(films: Sequence[Film], task: str, paths: Sequence[Path], cache: Path) -> None:
    """Scores of the test split by the best weights of the runs in whose folders `paths` are; in its own process."""
    import keras

    from mlcore.training.train import default_build, load_samples, predict_scores, save_scores

    for path in paths:
        keras.utils.clear_session()
        plan = Plan(**read(path.parent / "run.json")["plan"])
        model = default_build(task_of(task), replace(plan, weights="none"))
        model.load_weights(path.parent / "best.weights.h5")
        samples = load_samples(films, plan.spec, cache)
        samples = samples.select([film.split == "test" for film in samples.films])
        save_scores(path, samples.films, task_of(task).labels, predict_scores(model, samples, task_of(task), plan.spec))


def _serve(out: Path, study: Study, films: Sequence[Film], replicates: int) -> dict[str, Any]:
    """The winner as a model folder, and how far its probabilities are from the compared ones; in its own process."""
    from mlcore.registry import load_predictor
    from mlcore.training.bundle import write_model_folder
    from mlcore.training.measure import scores

    folder, task = Folder(out), task_of(study.task)
    choice = read(folder.choice)
    row, seed = next(row for row in study.rows if row.name == choice["winner"]), study.seeds[choice["run"]]
    source, outcome = folder.run(row, seed), read(folder.outcome(row, seed))
    plan = replace(Plan(**read(source / "run.json")["plan"]), weights=in_words(row.weights))
    card = write_model_folder(
        folder.model, members=[source / "best.weights.h5"], architecture=_served(study, row), spec=plan.spec,
        films=films, name=f"{task.key}-{row.name}".replace("_", "-").replace(",", "-"), version="0.1.0",
        training={"plan": asdict(plan), "rule": RULE, "compared_sha256": outcome["weights_sha256"]},
        task=task, texts=_texts(task, row), replicates=replicates, weights_dtype="float32",
    )  # fmt: skip
    predictor = load_predictor(folder.model, expected_sha256=card.sha256)
    kept, served = scores([film for film in films if film.split == "val"], predictor)
    _, compared = _scores({row.name: [source / "val.scores.npz"]}, kept)
    return {
        "row": row.name, "seed": seed, "sha256": card.sha256, "compared_sha256": outcome["weights_sha256"],
        "name": card.name, "version": card.version, "validation_films": len(kept),
        "largest_difference": round(float(np.abs(served - compared[row.name][0]).max()), 6),
    }  # fmt: skip


def _texts(task: Task, row: Row) -> Any:
    """Words of the card: of the default model where the task is the same, but with this network's own beginnings."""
    from mlcore.training.texts import DEFAULT_MODEL, plain_texts

    if task.key != "three":
        return plain_texts(task)
    films = [line for line in DEFAULT_MODEL.credits if not line.startswith("Starting weights")]
    return replace(DEFAULT_MODEL, credits=(*films, f"Starting weights of {row.network}: {in_words(row.weights)}."))


def _served(study: Study, row: Row) -> Architecture:
    size, task = side(study, row), task_of(study.task)
    return Architecture(row.network, (size, size), len(task.labels), exclusive=task.exclusive)


def _chosen(
    study: Study, scores: Mapping[str, Sequence[Any]], val: Sequence[Film], task: Task, prices: Mapping[str, Any],
    replicates: int,
) -> dict[str, Any]:  # fmt: skip
    taking_part = {row.name: scores[row.name] for row in study.rows if row.takes_part and row.name in scores}
    if not taking_part:
        raise TrainingError("No network could be trained; the reasons are in the outcome.json of each run.")
    parameters = {name: int(prices[name].get("parameters", 2**62)) for name in taking_part}
    return choose(val, task, taking_part, parameters, replicates=replicates)


def _scores(paths: Mapping[str, Sequence[Path]], films: Sequence[Film]) -> tuple[list[Film], dict[str, list[Any]]]:
    """The films that every run has scores of (intake may have refused some), and the scores in their order."""
    stored = {path: load_scores(path) for several in paths.values() for path in several}
    places = {path: {sha256: n for n, sha256 in enumerate(hashes)} for path, (hashes, _, _) in stored.items()}
    kept = [film for film in films if all(film.sha256 in place for place in places.values())]

    def ordered(path: Path) -> Any:
        return stored[path][2][[places[path][film.sha256] for film in kept]].astype(np.float64)

    return kept, {row: [ordered(path) for path in several] for row, several in paths.items()}


class _Bar:
    """One bar over all epochs of the study."""

    def __init__(self, folder: Folder, todo: Sequence[tuple[Row, int]], epochs: int) -> None:
        self.folder, self.todo, self.epochs = folder, todo, epochs
        self.bar = tqdm(total=epochs * len(todo), initial=self._done(), unit="epoch", mininterval=5, smoothing=0)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def name(self, text: str) -> None:
        self.bar.set_description(text)

    def update(self) -> None:
        self.bar.update(self._done() - self.bar.n)

    def _done(self) -> int:
        return sum(self._epochs(row, seed) for row, seed in self.todo)

    def _epochs(self, row: Row, seed: int) -> int:
        log = self.folder.run(row, seed) / "run.json"
        if self.folder.outcome(row, seed).exists():
            return self.epochs
        return len(read(log)["log"]) if log.exists() else 0


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

"""What every recipe shares: its options, its finished systems kept on disk, their evaluation, and the report.

May import: NumPy, tqdm, `paper`, and of `mlcore.training` what needs no Keras; the rest inside functions. A recipe is a
module with HELP (one line), PAPER, DIFFERENCES (sentences) and `run(options) -> document`.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from mlcore.preprocess import PreprocessingSpec
from mlcore.training.dataset import Film, Samples, TrainingError, load_samples, read_films, split_summary, thin
from mlcore.training.films import LeftOut
from mlcore.training.recipes.paper import Claim, Paper, Protocol, comparison
from mlcore.training.tasks import Task

if TYPE_CHECKING:
    import keras

    from mlcore.training.train import Plan

Array = npt.NDArray[np.float32]
SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Options:
    """How a recipe is run. None or empty: the recipe's own choice.

    `limit`: films per split and task; `weights`: "imagenet", "none", a weights file, or a folder that holds
    `<network>…notop….h5` files (networks without one start from nothing); `backbone`: another network where the recipe
    has one to choose; `only`: run these systems, name the others in the report as not run.
    """

    data: Path
    out: Path
    limit: int | None = None
    epochs: int | None = None
    size: int | None = None
    seed: int = 1
    weights: str = "imagenet"
    replicates: int = 2000
    backbone: str = ""
    only: tuple[str, ...] = ()

    def weights_of(self, network: str) -> str:
        """The starting weights of one network, as `Plan.weights` wants them. Raises TrainingError."""
        if self.weights in ("imagenet", "none"):
            return self.weights
        path = Path(self.weights)
        if path.is_file():
            return self.weights
        if not path.is_dir():
            raise TrainingError(f"There are no weights at {path}. Give imagenet, none, a file or a folder.")
        name = re.compile("_?".join(network.split("_")) + r"[_.].*no_?top.*h5$")
        found = [file for file in sorted(path.iterdir()) if name.match(file.name.lower().replace("-", "_"))]
        return str(found[0]) if found else "none"


@dataclass(frozen=True, slots=True)
class System:
    """What one system said of the films of the validation and test splits, (films, labels), and how it was made.

    `left_out`: films of its task that were not used, with the reason.
    """

    name: str
    task: Task
    films: Sequence[Film]
    probabilities: Array
    facts: Mapping[str, Any]
    left_out: Sequence[LeftOut] = ()

    def on(self, split: str) -> tuple[list[Film], Array]:
        keep = np.array([film.split == split for film in self.films])
        return [film for film in self.films if film.split == split], self.probabilities[keep]


@dataclass
class Study:
    """One run of a recipe in `options.out`. What is finished is read back, so the same command goes on after a kill.

    `split`: the one the figures are of. Thresholds come from the validation split; nothing is chosen on this one.
    `everything`: all films of `options.data`, where the recipe has read them already.
    """

    name: str
    paper: Paper
    options: Options
    tasks: Sequence[Task]
    split: str = "test"
    everything: Sequence[Film] = ()
    systems: list[System] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    _left_out: dict[str, LeftOut] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.everything = self.everything or read_films(self.options.data)
        self.films = {task.key: _thinned(self.everything, task, self.options.limit) for task in self.tasks}
        for task in self.tasks:
            self._refuse_empty(task)

    def samples(self, task: Task, size: int) -> Samples:
        """The films of `task` that decode, at `size` pixels; decoded once for all tasks."""
        together = {film.sha256: film for films in self.films.values() for film in films}
        spec = PreprocessingSpec(size=(size, size))
        samples = load_samples(list(together.values()), spec, self.options.out / "cache")
        self._left_out = {entry.film.sha256: entry for entry in samples.left_out}
        wanted = {film.sha256 for film in self.films[task.key]}
        return samples.select([film.sha256 in wanted for film in samples.films])

    def wants(self, name: str) -> bool:
        """Is this system to be run? If not, the report says so."""
        wanted = not self.options.only or name in self.options.only
        if not wanted and name not in self.missing:
            self.missing.append(name)
        return wanted

    def system(
        self,
        name: str,
        task: Task,
        settings: Mapping[str, Any],
        make: Callable[[Path], tuple[Sequence[Film], Array, Mapping[str, Any]]],
    ) -> System:
        """The system `name` on `task`: read back if it is finished, else made by `make(folder)`, which returns films
        of the validation and test splits, their probabilities (films, labels) and facts (JSON) about the making.

        Raises TrainingError when the folder holds a system made in another way.
        """
        from mlcore.training.train import load_scores, save_scores

        folder = self.options.out / "systems" / _slug(f"{task.key} {name}")
        made_from = json.loads(
            json.dumps({"settings": dict(settings), "films": split_summary(self.films[task.key], task)["split_sha256"]})
        )
        scores, state = folder / "scores.npz", folder / "system.json"
        by_hash = {film.sha256: film for film in self.films[task.key]}
        if state.exists():
            stored = json.loads(state.read_text())
            if stored["made_from"] != made_from:
                raise TrainingError(f"{folder} holds a system made with other options or films; choose another --out.")
            hashes, _, probabilities = load_scores(scores)
            facts, reasons = stored["facts"], stored["left_out"]
            films: Sequence[Film] = [by_hash[key] for key in hashes]
        else:
            print(f"{self.name}: {name}, {task.title}", flush=True)
            folder.mkdir(parents=True, exist_ok=True)
            started = time.perf_counter()
            films, probabilities, facts = make(folder)
            facts = {"seconds": round(time.perf_counter() - started, 1), **facts}
            save_scores(scores, films, task.labels, probabilities)
            reasons = {key: [e.reason, e.detail] for key, e in self._left_out.items() if key in by_hash}
            _write_json(state, {"made_from": made_from, "facts": facts, "left_out": reasons})
        left_out = [LeftOut(by_hash[key], *reason) for key, reason in sorted(reasons.items())]
        self.systems.append(System(name, task, films, probabilities, facts, left_out))
        return self.systems[-1]

    def trained(
        self, name: str, task: Task, plan: Plan, build: Callable[[Task, Plan], keras.Model] | None = None
    ) -> System:
        """A network trained by the engine, as a system; an unfinished run goes on from its last epoch."""
        from mlcore.training.train import predict_scores, train

        def make(folder: Path) -> tuple[Sequence[Film], Array, Mapping[str, Any]]:
            samples = self.samples(task, plan.size)
            run = train(samples, task, plan, folder / "run", build=build)
            held = samples.select([film.split != "train" for film in samples.films])
            model = run.model()
            probabilities = predict_scores(model, held, task, PreprocessingSpec(size=(plan.size, plan.size)))
            facts = {
                "plan": _shown_plan(plan),
                "parameters": int(model.count_params()),
                "best_epoch": run.best_epoch,
                "seconds": round(run.seconds, 1),
                "log": run.log,
            }
            return held.films, probabilities, facts

        return self.system(name, task, asdict(plan), make)

    def report(
        self,
        title: str,
        differences: Sequence[str],
        *,
        pairs: Sequence[tuple[str, str]] = (),
        notes: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Evaluate every system, set the paper's figures beside ours, write `<name>.json` and `<name>.html`.

        `pairs`: names of systems whose difference (first − second) is reported on every task that both did.
        """
        from mlcore.training.devices import machine
        from mlcore.training.recipes.layout import sections
        from mlcore.training.report import write_report

        systems = [self._evaluated(system) for system in tqdm(self.systems, desc="figures", unit="system")]
        document = {
            "recipe": self.name,
            "title": title,
            "paper": self.paper.to_json(),
            "split": self.split,
            "replicates": self.options.replicates,
            "seed": self.options.seed,
            "limit": self.options.limit,
            "command": self.command(),
            **machine(),
            "minutes": round(sum(system.facts["seconds"] for system in self.systems) / 60, 1),
            "films": {task.key: self._summary(task) for task in self.tasks},
            "differences": list(differences),
            "notes": list(notes),
            "systems": systems,
            "paired": [row for pair in pairs for row in self._paired(*pair)],
            "not_run": [{"system": name, "command": self.command(only=name)} for name in self.missing],
        }
        document["comparisons"] = [row for claim in self.paper.claims for row in self._beside(claim, systems)]
        write_report(self.options.out, self.name, title, document, sections(document))
        return document

    def command(self, only: str = "") -> str:
        """The command of this run; folders outside the working folder are named by their last part."""
        options, words = self.options, ["python", "-m", "mlcore", "recipe", self.name, "--data"]
        words += [shown(options.data), "--out", shown(options.out), "--weights", shown(options.weights)]
        names = (only,) if only else options.only
        for flag, value in (
            ("--limit", options.limit), ("--epochs", options.epochs), ("--size", options.size),
            ("--backbone", options.backbone), ("--seed", options.seed), ("--replicates", options.replicates),
            ("--only", ",".join(names)),
        ):  # fmt: skip
            words += [flag, str(value)] if value not in (None, "") else []
        return shlex.join(words)

    def _summary(self, task: Task) -> dict[str, Any]:
        """The films of the task that were used, and those that were not."""
        left_out = {e.film.sha256: e for s in self.systems if s.task.key == task.key for e in s.left_out}
        used = [film for film in self.films[task.key] if film.sha256 not in left_out]
        return split_summary(used, task, list(left_out.values()))

    def _evaluated(self, system: System) -> dict[str, Any]:
        """The system with its evaluation, which is kept beside its scores."""
        from mlcore.training.evaluate import evaluation

        kept = self.options.out / "systems" / _slug(f"{system.task.key} {system.name}") / "evaluation.json"
        key = [self.split, self.options.replicates, self.options.seed]
        stored = json.loads(kept.read_text()) if kept.exists() else {}
        if stored.get("of") != key:
            films, probabilities = system.on(self.split)
            result = evaluation(
                films, probabilities, system.task, thresholds=self._thresholds(system),
                train_films=[film for film in self.films[system.task.key] if film.split == "train"],
                replicates=self.options.replicates, seed=self.options.seed,
            )  # fmt: skip
            for part in result["parts"].values():
                part.pop("curves", None)  # not drawn here, and most of the file
            stored = {"of": key, "evaluation": result}
            _write_json(kept, stored)
        return {
            "system": system.name,
            "task": system.task.key,
            "labels": list(system.task.labels),
            "facts": dict(system.facts),
            "evaluation": stored["evaluation"],
        }

    def _thresholds(self, system: System) -> dict[str, float]:
        """One per label: Youden's index on the validation split, averaged over sources."""
        from mlcore.training.calibrate import fit_thresholds

        films, probabilities = system.on("val")
        truth = system.task.targets(films)
        return fit_thresholds(probabilities, truth, [film.source for film in films], system.task.labels)

    def _paired(self, first: str, second: str) -> list[dict[str, Any]]:
        from mlcore.training.evaluate import paired_difference

        rows = []
        for a in self.systems:
            for b in self.systems:
                if (a.name, b.name) == (first, second) and a.task.key == b.task.key:
                    films, ours = a.on(self.split)
                    difference = paired_difference(
                        films, a.task, ours, b.on(self.split)[1],
                        replicates=self.options.replicates, seed=self.options.seed,
                    )  # fmt: skip
                    rows.append({"first": first, "second": second, "task": a.task.key, "difference": difference})
        return rows

    def _beside(self, claim: Claim, systems: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The claim beside our figure of the same task, metric and part: of the same system, or else of all we ran.

        And beside that of a baseline that knows the source of a film and sees no pixel, where it has one.
        """
        asked = [s for s in zip(self.systems, systems, strict=True) if s[0].task.key == claim.task]
        rows = []
        for system, result in [s for s in asked if s[0].name == claim.system] or asked:
            figure = figure_of(result["evaluation"], claim.part, claim.metric)
            if figure is not None:
                tested = [
                    film for film in system.on(self.split)[0] if claim.part in ("pooled", f"within {film.source}")
                ]
                ours = Protocol(
                    sources=tuple(sorted({film.source for film in tested})),
                    labels=system.task.labels,
                    split=split_of(self.options.data),
                    films=len(tested),
                )
                known = result["evaluation"]["parts"][claim.part]["baselines"].get("source_only", {})
                row = comparison(claim, figure, ours, system.name)
                rows.append({**row, "source_only": known.get(claim.metric)})
        return rows

    def _refuse_empty(self, task: Task) -> None:
        for split in SPLITS:
            held = {
                label for film in self.films[task.key] if film.split == split for label in task.labels_of(film) or ()
            }
            if len(held) < min(2, len(task.labels)):
                raise TrainingError(
                    f"{self.name} asks “{task.title}”, and the {split} split of {shown(self.options.data)} holds "
                    f"{'only ' + ', '.join(held) if held else 'no such film'}. Give films of at least two of: "
                    f"{', '.join(task.labels)}."
                )


def figure_of(evaluation: Mapping[str, Any], part: str, metric: str) -> dict[str, Any] | None:
    """{value, low, high, n} of one figure of an evaluation; None where it is not defined."""
    held = evaluation["parts"].get(part)
    figure = held["figures"].get(metric) if held else None
    return {"n": held["films"], **figure} if figure else None


def split_of(data: Path) -> str:
    """Who parted the films of a folder: their publisher's lists, or we, by patient."""
    return "official lists" if (data / "test_list.txt").exists() else "ours, by patient"


def shown(path: Path | str) -> str:
    """A path as a report may print it: relative as given, absolute by its last part."""
    return Path(path).name if Path(path).is_absolute() else str(path)


def _shown_plan(plan: Plan) -> dict[str, Any]:
    return {**asdict(plan), "weights": shown(plan.weights)}


def _thinned(films: Sequence[Film], task: Task, limit: int | None) -> list[Film]:
    """The films of the task; at most `limit` of each split, spread over its sources and labels."""
    held = task.films(films)
    if limit is None:
        return held
    named = [replace(film, label=" ".join(sorted(task.labels_of(film) or ()))) for film in held]
    kept = {film.sha256 for split in SPLITS for film in thin([f for f in named if f.split == split], limit)}
    return [film for film in held if film.sha256 in kept]


def _slug(text: str) -> str:
    readable = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return f"{readable}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def _write_json(path: Path, value: Any) -> None:
    from mlcore.training.report import replace_text, to_json

    replace_text(path, to_json(value))

"""What a comparison is: its choices, its rows, the files it keeps.

May import: `mlcore.training`; no Keras. `compare` carries it out, `tune` goes on from its files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlcore.backbones import BACKBONES
from mlcore.training.films import TrainingError
from mlcore.training.report import replace_text, to_json
from mlcore.training.train import Plan


@dataclass(frozen=True, slots=True)
class Study:
    """Every choice of a comparison. `plan` is the budget; backbone, size, weights and seed are filled in per run.

    `size` 0 gives every network its native side. `weights`: "imagenet", "none", a file, or a folder with one file per
    network. `beside` are rows (network, weights) that are shown but cannot win.
    """

    networks: tuple[str, ...]
    plan: Plan
    task: str = "three"
    size: int = 0
    weights: str = "imagenet"
    seeds: tuple[int, ...] = (1,)
    beside: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        for name in [*self.networks, *(name for name, _ in self.beside)]:
            if name not in BACKBONES:
                raise TrainingError(f"There is no network {name!r}. Choose among {', '.join(BACKBONES)}.")
        if not self.networks or not self.seeds:
            raise TrainingError("A comparison needs at least one network and one seed.")

    @property
    def rows(self) -> list[Row]:
        own = [Row(name, name, self.weights, True) for name in dict.fromkeys(self.networks)]
        words = {"none": "scratch", "imagenet": "imagenet"}
        return own + [
            Row(f"{name}-{words.get(given, 'pretrained')}", name, given, False) for name, given in self.beside
        ]

    def to_json(self) -> dict[str, Any]:
        """Without folders of this machine, and without what differs from run to run."""
        budget = {k: v for k, v in asdict(self.plan).items() if k not in ("backbone", "size", "weights", "seed")}
        beside = [(name, in_words(given)) for name, given in self.beside]
        return {**asdict(self), "plan": budget, "weights": in_words(self.weights), "beside": beside}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the leaderboard: a network with its starting weights; `takes_part` in the choice of the winner."""

    name: str
    network: str
    weights: str
    takes_part: bool


class Folder:
    """The files of a comparison."""

    def __init__(self, out: Path) -> None:
        self.out, self.cache, self.model = out, out / "cache", out / "model"
        self.study, self.rule, self.choice, self.opened, self.served = (
            out / f"{name}.json" for name in ("study", "rule", "choice", "opened", "served")
        )

    def run(self, row: Row, seed: int) -> Path:
        return self.out / "runs" / f"{row.name}-seed{seed}"

    def outcome(self, row: Row, seed: int) -> Path:
        return self.run(row, seed) / "outcome.json"

    def costs(self, network: str, size: int) -> Path:
        return self.out / "costs" / f"{network}-{size}.json"


def side(study: Study, row: Row) -> int:
    return study.size or BACKBONES[row.network].side


def starting_weights(network: str, given: str) -> str:
    """What `Plan.weights` needs: of a folder the file that belongs to `network`, named as Keras names it.

    Raises TrainingError where there is none: equal conditions allow no network another start.
    """
    if given in ("imagenet", "none") or Path(given).is_file():
        return given
    pattern = re.compile("_?".join(network.split("_")) + r"[_.].*no_?top.*h5$")
    files = sorted(Path(given).iterdir()) if Path(given).is_dir() else []
    found = [file for file in files if pattern.match(file.name.lower().replace("-", "_"))]
    if not found:
        raise TrainingError(f"There are no weights of {network} (without top) in {given}.")
    return str(found[0])


def in_words(weights: str) -> str:
    """Starting weights without the folders of the machine they lie on."""
    return weights if weights in ("imagenet", "none") else Path(weights).name


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def write(path: Path, value: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, to_json(value))

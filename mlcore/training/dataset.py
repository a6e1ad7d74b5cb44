"""The films a model learns from: reading a folder of them, choosing among them, and what a run must say of them.

May import: `films`, `formats`, `duplicates`, `cache` and `tasks`; no Keras. `train`, `evaluate`, `compare` and the
recipes read from here.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from mlcore.training.cache import Samples, load_samples
from mlcore.training.duplicates import refuse_leaks
from mlcore.training.films import Film, LeftOut, TrainingError
from mlcore.training.formats import SPLITS, data_entry, read_chestxray14, read_class_folders, read_manifest
from mlcore.training.tasks import Task

__all__ = ["Film", "LeftOut", "Samples", "TrainingError", "load_samples", "read_films", "split_summary"]

#: Where the films lie in a checkout that has its neighbour folder of shared data.
DEFAULT_DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "cxr256"


def read_films(data: Path) -> list[Film]:
    """All films of the folder `data`: by its manifest.csv, else by ChestX-ray14's table, else a folder per class.

    Raises TrainingError for what is missing or malformed, and where a patient group or a file is in two splits.
    Copies of a film in another version are found by `load_samples`, which sees the pictures.
    """
    if not data.is_dir():
        raise TrainingError(f"{data} is no folder. Give the folder of the films with --data.")
    if (data / "manifest.csv").is_file():
        films = read_manifest(data)
    elif data_entry(data):
        films = read_chestxray14(data)
    else:
        films = read_class_folders(data)
    refuse_leaks(films)
    return films


def split_summary(films: Sequence[Film], task: Task, left_out: Sequence[LeftOut] = ()) -> dict[str, Any]:
    """What a run must say of its films, as JSON: the figures of a flow diagram and a hash of the split.

    `films` are those at hand, of which `task` takes its own; `left_out` those that `Samples` names. A film with
    several labels counts under each, one without any under "none". A group whose patient is not known is counted
    in `unknown_patients`. `split_sha256` is the hash of the sorted lines "sha256 split group".
    """
    held, other = task.films(films), [entry for entry in left_out if task.labels_of(entry.film) is not None]
    lines = sorted(f"{film.sha256} {film.split} {film.group}" for film in held)
    foreign = len(films) - len(held) + len(left_out) - len(other)
    return {
        "task": task.key,
        "films": len(held),
        "splits": {
            split: _of_split([film for film in held if film.split == split], task)
            for split in SPLITS
            if any(film.split == split for film in held)
        },
        "in_both": {
            f"{one} and {two}": {"groups": groups, "files": files}
            for one, two in combinations(SPLITS, 2)
            for groups, files in [_in_both(held, one, two)]
        },
        "refused": len(other),
        "left_out": [
            {"film": entry.film.path.name, "split": entry.film.split, "reason": entry.reason, "detail": entry.detail}
            for entry in other
        ],
        "flow": [
            {"step": "read", "films": len(films) + len(left_out), "left_out": {"not of this task": foreign}},
            {
                "step": "of this task",
                "films": len(held) + len(other),
                "left_out": dict(sorted(Counter(entry.reason for entry in other).items())),
            },
            {"step": "used", "films": len(held), "left_out": {}},
        ],
        "split_sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
    }


def _of_split(films: Sequence[Film], task: Task) -> dict[str, Any]:
    sources: dict[str, Counter[str]] = {}
    for film in films:
        sources.setdefault(film.source, Counter()).update(sorted(task.labels_of(film) or {"none"}))
    return {
        "films": len(films),
        "groups": len({film.group for film in films}),
        "unknown_patients": len({film.group for film in films if not film.group_known}),
        "labels": dict(sorted(sum(sources.values(), Counter[str]()).items())),
        "sources": {source: dict(sorted(labels.items())) for source, labels in sorted(sources.items())},
    }


def _in_both(films: Sequence[Film], one: str, two: str) -> tuple[int, int]:
    """How many groups and how many files two splits share; 0 and 0 unless the check of leaks failed."""
    shared = [
        {key(film) for film in films if film.split == one} & {key(film) for film in films if film.split == two}
        for key in (lambda film: film.group, lambda film: film.sha256)
    ]
    return len(shared[0]), len(shared[1])


def select(films: Iterable[Film], *, split: str, labels: Sequence[str]) -> list[Film]:
    """The films of one split whose label is exactly one of `labels`."""
    return [film for film in films if film.split == split and film.label in labels]


def thin(films: Sequence[Film], limit: int | None) -> list[Film]:
    """At most `limit` films, spread evenly over source and label so that a small run still sees every kind."""
    if limit is None or limit >= len(films):
        return list(films)
    strata: dict[tuple[str, str], list[Film]] = {}
    for film in films:
        strata.setdefault((film.source, film.label), []).append(film)
    queues = [list(reversed(stratum)) for _, stratum in sorted(strata.items())]
    chosen: list[Film] = []
    while len(chosen) < limit:
        chosen += [queue.pop() for queue in queues if queue][: limit - len(chosen)]
    return chosen

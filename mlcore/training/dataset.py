"""The films a model learns from: reading a folder of them, choosing among them, and what a run must say of them.

May import: `films`, `cache` and the readers of `formats`; no Keras. `train`, `evaluate` and `compare` read from here.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcore.training.cache import Samples, cached_films, load_samples
from mlcore.training.films import Film, TrainingError

if TYPE_CHECKING:
    from mlcore.training.tasks import Task

__all__ = ["Film", "Samples", "TrainingError", "cached_films", "load_samples", "read_films", "read_manifest"]

#: Where the films lie in a checkout that has its neighbour folder of shared data.
DEFAULT_DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "cxr256"
_REQUIRED = ("file", "label", "split", "group_id", "source_dataset", "source_repo", "sha256")


def read_manifest(data: Path) -> list[Film]:
    """All films of `data/manifest.csv`, in its order. Raises TrainingError."""
    manifest = data / "manifest.csv"
    if not manifest.is_file():
        raise TrainingError(f"No manifest.csv in {data}. Give the folder of the films with --data.")
    with manifest.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = [name for name in _REQUIRED if name not in (reader.fieldnames or ())]
        if missing:
            raise TrainingError(f"{manifest} has no column {', '.join(missing)}.")
        films = [_film(data, row) for row in reader]
    _refuse_leaks(films)
    return films


def read_films(data: Path) -> list[Film]:
    """All films of the folder `data`, whatever its format. Raises TrainingError."""
    return read_manifest(data)


def split_summary(films: Sequence[Film], task: Task) -> dict[str, Any]:
    """What a run must say of its films: counts per split, source and label, groups, and a hash of the split."""
    held = task.films(films)
    lines = sorted(f"{film.sha256} {film.split} {film.group}" for film in held)
    counts: Counter[tuple[str, str, str]] = Counter()
    for film in held:
        counts.update((film.split, film.source, label) for label in sorted(task.labels_of(film) or {"none"}))
    return {
        "task": task.key,
        "films": len(held),
        "counts": [
            {"split": split, "source": source, "label": label, "films": number}
            for (split, source, label), number in sorted(counts.items())
        ],
        "split_sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
    }


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


def manifest_sha256(data: Path) -> str:
    """Hash of the manifest: names the exact films and splits of a run."""
    return hashlib.sha256((data / "manifest.csv").read_bytes()).hexdigest()


def findings_of(words: str) -> frozenset[str]:
    """ "Edema|Pneumonia (virus)" → edema, pneumonia, viral_pneumonia; "No Finding" and "Normal" → nothing."""
    kinds = {"pneumonia_(bacteria)": "bacterial_pneumonia", "pneumonia_(virus)": "viral_pneumonia"}
    named = {word.strip().lower().replace(" ", "_") for word in words.split("|")} - {"", "normal", "no_finding"}
    return frozenset(kinds.get(word, word) for word in named) | ({"pneumonia"} if named & kinds.keys() else set())


def _age(text: str) -> float | None:
    """Whole years; ranges and words ("pediatric 1-5y") say no number."""
    return float(text) if text.isdigit() else None


def _film(data: Path, row: dict[str, str]) -> Film:
    return Film(
        path=data / row["file"],
        label=row["label"],
        split=row["split"],
        group=row["group_id"],
        source=row["source_dataset"],
        batch=row["source_repo"],
        sha256=row["sha256"],
        findings=findings_of(row.get("labels") or row["label"]),
        group_known=row.get("patient_id_known", "1") == "1",
        age=_age(row.get("age", "")),
        sex=row.get("sex", ""),
        view=row.get("view", ""),
    )


def _refuse_leaks(films: Sequence[Film]) -> None:
    """A patient group or an identical film in two splits makes every figure false."""
    for name in ("group", "sha256"):
        seen: dict[str, str] = {}
        for film in films:
            key = getattr(film, name)
            if seen.setdefault(key, film.split) != film.split:
                raise TrainingError(f"{name} {key} is in two splits: {seen[key]} and {film.split}.")

"""The films a model learns from: the manifest, its splits, and a cache of decoded films.

May import: NumPy, `mlcore.contracts`, `decode` and `preprocess`; no Keras. `train` and `evaluate` read from here.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mlcore.contracts import ImageRefusedError
from mlcore.preprocess import squash

#: Where the films lie in a checkout that has its neighbour folder of shared data.
DEFAULT_DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "cxr256"
_REQUIRED = ("file", "label", "split", "group_id", "source_dataset", "source_repo", "sha256")


class TrainingError(Exception):
    """Films, starting weights or an earlier run cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Film:
    """One labelled film. `source` is the hospital's data set, `batch` who made the file from it.

    `label` is its class in a folder-like data set; `findings` all that is named on it, lower case with underscores
    ("pleural_thickening", "bacterial_pneumonia"; a kind of pneumonia implies "pneumonia"), empty on a normal film.
    `group` is the patient as far as known (`group_known`); `age` in years; `sex` "M" or "F"; `view` "PA" or "AP".
    What is not known is None or "".
    """

    path: Path
    label: str
    split: str
    group: str
    source: str
    batch: str
    sha256: str
    findings: frozenset[str] = frozenset()
    group_known: bool = True
    age: float | None = None
    sex: str = ""
    view: str = ""


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


def cached_films(
    films: Sequence[Film],
    size: tuple[int, int],
    folder: Path,
    progress: Callable[[Iterable[object], int, str], Iterable[object]] | None = None,
) -> npt.NDArray[np.uint8]:
    """Every film squashed to `size`, 8 bit, (n, rows, columns), memory-mapped; decoded once and kept in `folder`.

    A film that intake would refuse is left all zero.
    """
    digest = hashlib.sha256(repr((size, [film.sha256 for film in films])).encode()).hexdigest()[:16]
    target = folder / f"films-{digest}.npy"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(f".{os.getpid()}.part")
        store = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=(len(films), *size))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            pictures: Iterable[object] = pool.map(lambda film: _decode_squashed(film, size), films)
            for index, picture in enumerate(progress(pictures, len(films), "decode") if progress else pictures):
                store[index] = picture
        store.flush()
        os.replace(partial, target)
    return np.load(target, mmap_mode="r")


def _decode_squashed(film: Film, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    from mlcore.decode import decode

    try:
        squashed = squash(decode(film.path.read_bytes()).pixels, size)
    except ImageRefusedError:
        return np.zeros(size, dtype=np.uint8)
    return np.clip(np.rint(squashed * 255), 0, 255).astype(np.uint8)


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

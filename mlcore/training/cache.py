"""Films decoded once into a memory-mapped array, and the part of them a run works with.

May import: NumPy, tqdm, `films`, `duplicates`, and of `mlcore` `contracts`, `decode` and `preprocess`; no Keras.
`train` and `evaluate` read it.

A store is two files: `films-<size>-<hash>.npy`, (films, rows, columns) uint8, and beside it `.json`, written last,
which names the films in their order and the codes of those that intake refuses. A store serves every later run on
the same films or a part of them at the same size.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from mlcore.contracts import ImageRefusedError
from mlcore.preprocess import PreprocessingSpec, squash
from mlcore.training.duplicates import SIDE, Copy, left_out_of_training, near_copies
from mlcore.training.films import Film, LeftOut, TrainingError

#: Raise it when `decode` or `squash` give other pixels than before: old stores are then made again.
VERSION = 1
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Samples:
    """Films with their cached pictures: `pictures[index[i]]` belongs to `films[i]`; `left_out` are those not used."""

    films: Sequence[Film]
    pictures: npt.NDArray[np.uint8]
    index: npt.NDArray[np.intp]
    left_out: Sequence[LeftOut] = ()

    def select(self, keep: Sequence[bool]) -> Samples:
        chosen = np.flatnonzero(keep)
        return Samples([self.films[int(i)] for i in chosen], self.pictures, self.index[chosen], self.left_out)


def load_samples(films: Sequence[Film], spec: PreprocessingSpec, cache: Path) -> Samples:
    """Decode `films` once into `cache` and hold them memory-mapped, squashed to the size of `spec`.

    Left out are films that intake would refuse, and films of train that are a copy of one in val or test.
    Raises TrainingError when a file cannot be read, or when val and test hold copies of one film.
    """
    samples = decoded(films, spec.size, cache)
    copies = left_out_of_training(_copies(samples, cache))
    dropped = {copy.film.sha256 for copy in copies}
    kept = samples.select([film.sha256 not in dropped for film in samples.films])
    return Samples(kept.films, kept.pictures, kept.index, [*kept.left_out, *copies])


def decoded(films: Sequence[Film], size: tuple[int, int], folder: Path) -> Samples:
    """The films that intake accepts, at `size` (rows, columns), from a store in `folder` that is made if need be."""
    store = _stored(films, size, folder)
    if store is None:
        with _alone(folder, size):
            store = _stored(films, size, folder) or _make(films, size, folder)
    pictures, about = store
    place = {sha256: i for i, sha256 in enumerate(about["films"])}
    refused = about["refused"]
    left_out = [LeftOut(film, "refused by intake", refused[film.sha256]) for film in films if film.sha256 in refused]
    every = Samples(films, pictures, np.array([place[film.sha256] for film in films], dtype=np.intp), left_out)
    return every.select([film.sha256 not in refused for film in films])


def _copies(samples: Samples, folder: Path) -> list[Copy]:
    """The copies among the samples; searched once for the same films in the same splits and kept in `folder`."""
    lines = sorted(f"{film.sha256} {film.split}" for film in samples.films)
    path = folder / f"copies-{hashlib.sha256(repr((VERSION, lines)).encode()).hexdigest()[:16]}.json"
    if path.exists():
        films = {film.sha256: film for film in samples.films}
        return [Copy(films[film], films[twin], *rest) for film, twin, *rest in json.loads(path.read_text())]
    large = samples
    if min(samples.pictures.shape[1:]) < SIDE:
        large = decoded(samples.films, (SIDE, SIDE), folder)
    found = near_copies(large.films, lambda i: large.pictures[large.index[i]])
    _write(path, [(copy.film.sha256, copy.twin.sha256, copy.likeness, copy.mirrored) for copy in found])
    return found


_Store = tuple[npt.NDArray[np.uint8], dict[str, Any]]


def _stored(films: Sequence[Film], size: tuple[int, int], folder: Path) -> _Store | None:
    """A store of this size that holds all the films, the smallest first; damaged ones do not count."""
    wanted = {film.sha256 for film in films}
    for path in sorted(folder.glob(f"{_prefix(size)}-*.json"), key=lambda path: path.stat().st_size):
        try:
            about = json.loads(path.read_text())
            pictures = np.load(path.with_suffix(".npy"), mmap_mode="r")
            held = about["films"] if about["version"] == VERSION else []
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if pictures.shape == (len(held), *size) and wanted <= set(held):
            return pictures, about
    return None


def _make(films: Sequence[Film], size: tuple[int, int], folder: Path) -> _Store:
    """Decode in all threads, block by block into the file: memory stays flat. Only a finished store gets its name."""
    unique = list({film.sha256: film for film in films}.values())
    digest = hashlib.sha256("\n".join([str(VERSION), *(film.sha256 for film in unique)]).encode()).hexdigest()[:16]
    target = folder / f"{_prefix(size)}-{digest}.npy"
    partial = target.with_suffix(".part")
    pictures = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=(len(unique), *size))
    refused: dict[str, str] = {}
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(total=len(unique), desc=f"decode films at {size[0]} × {size[1]}", unit="film", mininterval=1) as bar,
    ):
        for start in range(0, len(unique), _BLOCK):
            block = unique[start : start + _BLOCK]
            for i, outcome in enumerate(pool.map(lambda film: _squashed(film, size), block)):
                if isinstance(outcome, str):
                    refused[block[i].sha256] = outcome
                else:
                    pictures[start + i] = outcome
            bar.update(len(block))
    pictures.flush()
    os.replace(partial, target)
    about = {"version": VERSION, "films": [film.sha256 for film in unique], "refused": refused}
    _write(target.with_suffix(".json"), about)
    return np.load(target, mmap_mode="r"), about


def _write(path: Path, value: object) -> None:
    """As JSON, all or nothing."""
    partial = path.with_suffix(f".{os.getpid()}.part")
    partial.write_text(json.dumps(value))
    os.replace(partial, path)


@contextmanager
def _alone(folder: Path, size: tuple[int, int]) -> Iterator[None]:
    """Other processes and threads that want a store of this size wait; a killed one holds nobody up."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{_prefix(size)}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tqdm.write(f"Another run decodes films into {folder}; waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _prefix(size: tuple[int, int]) -> str:
    return f"films-{size[0]}x{size[1]}"


def _squashed(film: Film, size: tuple[int, int]) -> npt.NDArray[np.uint8] | str:
    """The film as 8-bit grey at `size`, or the code with which intake refuses it."""
    from mlcore.decode import decode

    try:
        squashed = squash(decode(film.path.read_bytes()).pixels, size)
    except ImageRefusedError as refusal:
        return refusal.code
    except OSError as error:
        raise TrainingError(
            f"{film.path} cannot be read ({error.strerror}). Put the file there or take it out of the data set."
        ) from error
    return np.clip(np.rint(squashed * 255), 0, 255).astype(np.uint8)

"""Films decoded once into a memory-mapped array, and the part of them a run works with.

May import: NumPy, tqdm, `films`, and of `mlcore` `contracts`, `decode` and `preprocess`; no Keras. `train` reads it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from mlcore.contracts import ImageRefusedError
from mlcore.preprocess import PreprocessingSpec, squash
from mlcore.training.films import Film


@dataclass(frozen=True, slots=True)
class Samples:
    """Films with their cached pictures: `pictures[index[i]]` belongs to `films[i]`."""

    films: Sequence[Film]
    pictures: npt.NDArray[np.uint8]
    index: npt.NDArray[np.intp]

    def select(self, keep: Sequence[bool]) -> Samples:
        chosen = np.flatnonzero(keep)
        return Samples([self.films[int(i)] for i in chosen], self.pictures, self.index[chosen])


def load_samples(films: Sequence[Film], spec: PreprocessingSpec, cache: Path) -> Samples:
    """Decode `films` once into `cache` and hold them memory-mapped; films that intake would refuse are left out."""
    pictures = cached_films(films, spec.size, cache, lambda items, n, text: tqdm(items, total=n, desc=text))
    return Samples(films, pictures, np.arange(len(films))).select([bool(picture.any()) for picture in pictures])


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

"""Made-up films for the measurements: model inputs, and film files of the size clinics send, read by many processes.

May import: NumPy, Pillow and the Keras-free modules of `mlcore`. No picture comes from a patient.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from mlcore.preprocess import PreprocessingSpec

Array = npt.NDArray[np.float32]
_STEPS = ("decode", "quality", "preprocess")


def inputs(count: int, side: int, first: int = 0) -> Array:
    """Model inputs (count, side, side, 1) in [0, 1]; film `first + i` is the same in whatever batch it stands."""
    return np.stack([_soft(np.random.default_rng(first + i), side)[..., None] for i in range(count)])


def write_films(folder: Path, side: int, count: int) -> None:
    """`count` films of `side` × `side` as 8-bit JPEG and as 16-bit PNG, with the grain that makes real ones large."""
    for number in range(count):
        random = np.random.default_rng(number)
        film = np.clip(_soft(random, side) + random.normal(0, 0.01, (side, side)), 0, 1)
        Image.fromarray((film * 255).astype(np.uint8)).save(folder / f"{number:02d}.jpg", quality=92)
        Image.fromarray((film * 4095).astype(np.uint16)).save(folder / f"{number:02d}.png", compress_level=3)


def prepare(path: str, side: int) -> tuple[Array, tuple[float, ...]]:
    """One film as the prepare worker treats it: model input, and seconds of decode, quality gate and preprocessing.

    The gate's verdict is left aside: the films show nothing, and its time is what is asked for.
    """
    from mlcore.decode import decode
    from mlcore.preprocess import model_input
    from mlcore.quality import assess

    times = [time.perf_counter()]
    image = decode(Path(path).read_bytes())
    times.append(time.perf_counter())
    assess(image)
    times.append(time.perf_counter())
    array = model_input(image, PreprocessingSpec(size=(side, side)), "").array
    times.append(time.perf_counter())
    return array, tuple(after - before for before, after in itertools.pairwise(times))


class Feed:
    """Batches of prepared films from film files, made ahead by `workers` processes, without end.

    `cpu_ms`: median milliseconds of one film in each step, on one core among busy ones.
    """

    def __init__(self, folder: Path, pattern: str, side: int, batch: int, workers: int) -> None:
        self.paths = sorted(str(path) for path in folder.glob(pattern))
        self.side, self.batch, self.workers = side, batch, workers
        self._seconds: list[tuple[float, ...]] = []
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ[name] = "1"  # a process per core; read when a process starts, so this one stays as it is
        self._pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))

    def __enter__(self) -> Feed:
        # Every process has imported what it needs before the clock starts.
        list(self._pool.map(prepare, self.paths * -(-2 * self.workers // len(self.paths)), itertools.repeat(self.side)))
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def batches(self) -> Iterator[Array]:
        ahead: deque[Future[tuple[Array, tuple[float, ...]]]] = deque()
        paths = itertools.cycle(self.paths)
        while True:
            while len(ahead) < 2 * self.workers + 2 * self.batch:
                ahead.append(self._pool.submit(prepare, next(paths), self.side))
            done = [ahead.popleft().result() for _ in range(self.batch)]
            self._seconds += [seconds for _, seconds in done]
            yield np.stack([array for array, _ in done])

    @property
    def cpu_ms(self) -> dict[str, float]:
        medians = np.median(self._seconds, axis=0) * 1000
        return {name: round(float(value), 2) for name, value in zip(_STEPS, medians, strict=True)}


def _soft(random: np.random.Generator, side: int) -> Array:
    """Smooth light and dark, (side, side) in [0, 1]: a few random cells, enlarged."""
    cells = Image.fromarray(random.random((9, 9), dtype=np.float32))
    return np.clip(np.asarray(cells.resize((side, side), Image.Resampling.BICUBIC)), 0, 1)

"""Probabilities of films by the same steps as at serving, and what becomes of them when the films get worse.

May import: NumPy, tqdm, `mlcore` (not Django). `evaluate` makes figures of the outcome.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from tqdm import tqdm

from mlcore.contracts import ImageArray, ImageRefusedError
from mlcore.decode import decode
from mlcore.predictors.base import BATCH_SIZES, Predictor
from mlcore.preprocess import PreprocessingSpec, model_input
from mlcore.training.films import Film, TrainingError


def scores(films: Sequence[Film], predictor: Predictor) -> tuple[list[Film], ImageArray]:
    """The films that decode, and their raw probabilities (n, labels), by the same steps as at serving."""
    kept: list[Film] = []
    outputs: list[ImageArray] = []
    for films_read, inputs in _batches(films, predictor.card.preprocessing):
        kept += films_read
        outputs.append(predictor.predict(inputs).probabilities)
    if not kept:
        raise TrainingError("No film of this split could be read. Look at the folder given with --data.")
    return kept, np.concatenate(outputs)


def _batches(films: Sequence[Film], spec: PreprocessingSpec) -> Iterator[tuple[list[Film], ImageArray]]:
    """Decoded batches; films that intake refuses are left out."""

    def read(film: Film) -> ImageArray | None:
        try:
            return model_input(decode(film.path.read_bytes()), spec, film.sha256).array
        except ImageRefusedError:
            return None

    size = BATCH_SIZES[-1]
    with ThreadPoolExecutor(2) as pool:
        for start in tqdm(range(0, len(films), size), desc="films", unit="batch"):
            piece = films[start : start + size]
            arrays = list(pool.map(read, piece))
            kept = [(film, array) for film, array in zip(piece, arrays, strict=True) if array is not None]
            if kept:
                yield [film for film, _ in kept], np.stack([array for _, array in kept])

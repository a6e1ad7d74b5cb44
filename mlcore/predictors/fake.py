"""A predictor without a network, for tests and for trying the site: its answer follows from the pixels alone.

May import: NumPy, `mlcore`. Not a model: its numbers mean nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

from mlcore.card import ModelCard
from mlcore.contracts import ImageArray, ModelOutput
from mlcore.predictors.base import check_batch

_GRID = 7


class FakePredictor:
    """Deterministic. With `read_film_id` the probabilities follow from the id written in the film's pixels
    (`film_probabilities(id)`), so that a test can tell whose result it holds."""

    engine = "fake"

    def __init__(self, card: ModelCard, read_film_id: Callable[[ImageArray], object] | None = None) -> None:
        self.card = card
        self._read_film_id = read_film_id

    def predict(self, batch: ImageArray) -> ModelOutput:
        """See `Predictor.predict`."""
        films = check_batch(batch, self.card)[..., 0]
        probabilities = np.stack([self._probabilities(film) for film in films])
        rows = np.array_split(films, _GRID, axis=1)
        grid = np.stack([np.stack([b.mean((1, 2)) for b in np.array_split(r, _GRID, axis=2)], 1) for r in rows], 1)
        return ModelOutput(probabilities, grid[..., None] * probabilities[:, None, None, :])

    def film_probabilities(self, film_id: object) -> ImageArray:
        """The scores of the film that carries `film_id`, (labels,); those of exclusive labels sum to 1."""
        digest = hashlib.shake_256(str(film_id).encode()).digest(2 * len(self.card.label_keys))
        shares = np.frombuffer(digest, dtype=np.uint16).astype(np.float32) + 1
        return shares / (shares.sum() if self.card.architecture.exclusive else np.float32(2**16))

    def _probabilities(self, film: ImageArray) -> ImageArray:
        film_id = self._read_film_id(film) if self._read_film_id else None
        if film_id is not None:
            return self.film_probabilities(film_id)
        bands = np.array([band.mean() for band in np.array_split(film, len(self.card.label_keys))])
        if not self.card.architecture.exclusive:
            return bands.astype(np.float32)
        powers = np.exp(4 * (bands - bands.max()))
        return (powers / powers.sum()).astype(np.float32)

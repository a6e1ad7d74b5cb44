"""The gate: is this a usable, upright, frontal chest film? Coded reasons, each with metric, value and limit.

May import NumPy, Pillow and `mlcore.contracts`; the figures it uses are fitted by `mlcore.training.fit_quality`
into `bundled/quality.json`, measured in `docs/quality.md`. Next: `mlcore.preprocess`, unless rejected.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from mlcore.contracts import DecodedImage, ImageArray, QualityReason, QualityReport, image_message

PARAMETERS = Path(__file__).parent / "bundled" / "quality.json"
#: The film is judged at this size: 24 × 24 keeps lungs, heart, spine and diaphragm, and drops patient and device.
GRID = 24

#: The film score above which a picture that is no film as it stands counts as an inverted one.
SURELY_A_FILM = 3.0

_REDUCED = 96
_DARK_BORDER = 0.08
_KEEP_AT_LEAST = 0.3
_CLIPPED_SQUARE = 9.0

#: Exposure limits in [0, 1]: the spread between the 5th and 95th percentile inside the dark border, and their middle.
NO_CONTRAST, LOW_CONTRAST = 0.06, 0.20
TOO_DARK, TOO_BRIGHT = 0.04, 0.97

Features = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FilmModel:
    """What chest films look like at GRID × GRID.

    A Gaussian of rank-normalised films (`mean`, `axes`, `variances`, `residual_variance`: probabilistic principal
    components, Tipping and Bishop 1999), and a logistic score of film against other pictures on its coordinates
    (`weights`, `bias`: log-odds). `reject_below`, `warn_below` bound the score, `turned_above` the gain in
    Mahalanobis distance by turning.
    """

    mean: Features
    axes: Features
    variances: Features
    residual_variance: float
    weights: Features
    bias: float
    reject_below: float
    warn_below: float
    turned_above: float

    def coordinates(self, vectors: Features) -> tuple[Features, Features]:
        """Whitened coordinates (n, axes) and squared residual (n,) of vectors (n, GRID²)."""
        centred = vectors - self.mean
        along = centred @ self.axes.T
        return along / np.sqrt(self.variances), np.maximum((centred**2).sum(1) - (along**2).sum(1), 1e-2)

    def features(self, vectors: Features) -> Features:
        """The inputs of the logistic score, (n, 2 × axes + 4): where among films, how far from them, how smooth."""
        along, residual = self.coordinates(vectors)
        logs = np.log(np.column_stack([residual / vectors.shape[1], (along**2).mean(1)]))
        rough = np.log(_roughness(vectors))
        return np.column_stack([along, np.minimum(along**2, _CLIPPED_SQUARE), logs, rough, rough**2])

    def score(self, vectors: Features) -> Features:
        """Log-odds of being a film, (n,)."""
        return self.features(vectors) @ self.weights + self.bias

    def distance(self, vectors: Features) -> Features:
        """Squared Mahalanobis distance from the upright films, (n,)."""
        along, residual = self.coordinates(vectors)
        return (along**2).sum(1) + residual / self.residual_variance


@cache
def film_model() -> FilmModel:
    """The bundled model."""
    stored: dict[str, Any] = json.loads(PARAMETERS.read_text())
    lists = ("mean", "axes", "variances", "weights")
    return FilmModel(**{**stored, **{name: np.asarray(stored[name]) for name in lists}})


def assess(image: DecodedImage) -> QualityReport:
    """Judge one film. Rejects only when sure, warns otherwise; the same pixels always get the same answer."""
    inner = _within_border(_reduced(image.pixels))
    exposure = _exposure(inner)
    if exposure and exposure[0].code == "quality_exposure":
        return QualityReport("rejected", exposure)
    rejected, warned = _likeness(rank_vector(inner), film_model())
    if rejected:
        return QualityReport("rejected", rejected)
    reasons = warned + exposure
    return QualityReport("warn" if reasons else "ok", reasons)


def picture_vector(pixels: ImageArray) -> Features:
    """The vector (GRID²,) by which a picture is judged."""
    return rank_vector(_within_border(_reduced(pixels)))


def _roughness(vectors: Features) -> Features:
    """Mean squared Laplacian, (n,): nothing in a gradient, much in noise, films between."""
    grids = vectors.reshape(-1, GRID, GRID)
    middle = grids[:, 1:-1, 1:-1]
    around = grids[:, :-2, 1:-1] + grids[:, 2:, 1:-1] + grids[:, 1:-1, :-2] + grids[:, 1:-1, 2:]
    return ((around - 4 * middle) ** 2).mean((1, 2)) + 1e-4


def turned(vector: Features, quarters: int) -> Features:
    """The vector of the same picture turned counter-clockwise."""
    return np.rot90(vector.reshape(GRID, GRID), quarters).ravel()


def _resized(pixels: ImageArray, side: int) -> ImageArray:
    picture = Image.fromarray(np.ascontiguousarray(pixels, dtype=np.float32))
    return np.asarray(picture.resize((side, side), Image.Resampling.BOX))


def _reduced(pixels: ImageArray) -> ImageArray:
    return _resized(pixels, _REDUCED)


def _within_border(reduced: ImageArray) -> ImageArray:
    """Without the black frame that collimators and scanners leave."""
    rows = _span(np.percentile(reduced, 90, axis=1))
    columns = _span(np.percentile(reduced, 90, axis=0))
    return reduced[rows, columns]


def _span(brightness: npt.NDArray[np.floating]) -> slice:
    lit = np.flatnonzero(brightness > _DARK_BORDER)
    if not len(lit) or lit[-1] + 1 - lit[0] < _KEEP_AT_LEAST * len(brightness):
        return slice(None)
    return slice(int(lit[0]), int(lit[-1]) + 1)


def rank_vector(inner: ImageArray) -> Features:
    """Ranks of the 8-bit levels at GRID × GRID, of mean 0 and deviation about 1: the same under any display window."""
    levels = np.round(_resized(inner, GRID) * 255).ravel()
    _, which, counts = np.unique(levels, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2 - 1
    return (ranks[which] / (levels.size - 1) * 2 - 1) * np.sqrt(3)


def _reason(code: str, metric: str, value: float, limit: float, **params: object) -> QualityReason:
    return QualityReason(code, image_message(code, **params), metric, round(float(value), 4), float(limit))


def _exposure(inner: ImageArray) -> tuple[QualityReason, ...]:
    low, middle, high = (float(level) for level in np.percentile(inner, (5, 50, 95)))
    contrast = high - low
    if contrast < NO_CONTRAST:
        return (_reason("quality_exposure", "contrast", contrast, NO_CONTRAST),)
    if middle < TOO_DARK and high < LOW_CONTRAST:
        return (_reason("quality_exposure", "median", middle, TOO_DARK),)
    if middle > TOO_BRIGHT and low > 1 - LOW_CONTRAST:
        return (_reason("quality_exposure", "median", middle, TOO_BRIGHT),)
    if contrast < LOW_CONTRAST:
        return (_reason("quality_low_contrast", "contrast", contrast, LOW_CONTRAST),)
    return ()


def _likeness(vector: Features, model: FilmModel) -> tuple[tuple[QualityReason, ...], tuple[QualityReason, ...]]:
    """Reasons to reject and reasons to warn: turned, not a chest, inverted, unusual."""
    turns = np.stack([turned(vector, quarters) for quarters in range(4)])
    both = model.score(np.concatenate([turns, -turns]))
    inverted = bool(both[4:].max() > max(both[:4].max(), SURELY_A_FILM))
    scores, distances = (both[4:], model.distance(-turns)) if inverted else (both[:4], model.distance(turns))
    best = int(distances.argmin())
    gain = distances[0] - distances[best]
    if gain > model.turned_above and scores[best] > model.warn_below:
        degrees = 180 if best == 2 else 90
        return (_reason("quality_rotated", "turning_gain", gain, model.turned_above, degrees=degrees),), ()
    score = scores[0]
    if score < model.reject_below:
        return (_reason("quality_not_chest", "film_score", score, model.reject_below),), ()
    if inverted:
        return (), (_reason("quality_inverted", "inverted_film_score", score, model.warn_below),)
    if score < model.warn_below:
        return (), (_reason("quality_unusual", "film_score", score, model.warn_below),)
    return (), ()

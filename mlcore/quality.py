"""The gate: is this a usable, upright, whole, frontal chest film? Coded reasons, each with metric, value and limit.

May import NumPy, Pillow, `mlcore.contracts` and `mlcore.gate_network`; the figures it uses are fitted by
`mlcore.training.gate_fit` into `bundled/quality.json`, measured in `docs/quality.md`. Next: `mlcore.preprocess`,
unless rejected.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from mlcore.contracts import DecodedImage, ImageArray, QualityReason, QualityReport, image_message
from mlcore.gate_network import OTHER, SIDE, TURNS, WHOLE, Array, GateNetwork

PARAMETERS = Path(__file__).parent / "bundled" / "quality.json"

_REDUCED, _SCORED = 128, 256
_DARK_BORDER = 0.08
_KEEP_AT_LEAST = 0.3

#: Exposure limits in [0, 1]: the spread between the 5th and 95th percentile inside the dark border, and their middle.
NO_CONTRAST, LOW_CONTRAST = 0.06, 0.20
TOO_DARK, TOO_BRIGHT = 0.04, 0.97
#: Detail and noise, in shares of the contrast, at which their part of the quality score is one half.
USUAL_DETAIL, USUAL_NOISE = 0.02, 0.03


@dataclass(frozen=True, slots=True)
class Gate:
    """The network and the limits of its answers, all in log-odds: see `Answer`."""

    network: GateNetwork
    reject_below: float
    warn_below: float
    turned_above: float
    cut_below: float

    LIMITS: ClassVar[tuple[str, ...]] = ("reject_below", "warn_below", "turned_above", "cut_below")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the network says of a picture, in log-odds.

    `film`: chest film, whichever way up, against anything else. `turns` (4,): turned counter-clockwise by 0, 90, 180
    and 270 degrees. `whole`: both lung fields on the film.
    """

    film: float
    turns: npt.NDArray[np.float64]
    whole: float


@cache
def gate() -> Gate:
    """The bundled gate."""
    stored: dict[str, Any] = json.loads(PARAMETERS.read_text())
    network = GateNetwork.from_json(stored.pop("network"))
    return Gate(network=network, **stored)


def assess(image: DecodedImage) -> QualityReport:
    """Judge one film. Rejects only when sure, warns otherwise; the same pixels always get the same answer."""
    inner = _within_border(_shrunk(image.picture, _REDUCED))
    score = round(_score(_shrunk(image.picture, _SCORED)), 4)
    exposure = _exposure(inner)
    if exposure and exposure[0].code == "quality_exposure":
        return QualityReport("rejected", exposure, score)
    rejected, warned = _likeness(_ranks(inner), gate())
    if rejected:
        return QualityReport("rejected", rejected, score)
    reasons = warned + exposure
    return QualityReport("warn" if reasons else "ok", reasons, score)


def rank_picture(pixels: ImageArray) -> Array:
    """The picture (SIDE, SIDE) that the network judges: within its dark border, rank-normalised."""
    return _ranks(_within_border(_shrunk(_picture(pixels), _REDUCED)))


def answers_of(ranks: Array, network: GateNetwork) -> tuple[Answer, Answer]:
    """The network's answers on the picture and on its negative, averaged over the four ways to turn it."""
    turned = np.stack([np.rot90(ranks, quarters) for quarters in range(4)])
    logits = network(np.concatenate([turned, -turned])).astype(np.float64)
    return _averaged(logits[:4]), _averaged(logits[4:])


def _averaged(logits: npt.NDArray[np.float64]) -> Answer:
    classes = logits[:, : OTHER + 1]
    classes = classes - np.logaddexp.reduce(classes, axis=1, keepdims=True)
    # Copy k shows the picture turned k quarters further.
    turns = np.mean([np.roll(classes[k, TURNS], -k) for k in range(4)], axis=0)
    film = float(np.logaddexp.reduce(turns) - classes[:, OTHER].mean())
    return Answer(film, turns, float(logits[:, WHOLE].mean()))


def _picture(pixels: ImageArray) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(pixels, dtype=np.float32))


def _shrunk(picture: Image.Image, side: int) -> ImageArray:
    return np.asarray(picture.resize((side, side), Image.Resampling.BOX))


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


def _ranks(inner: ImageArray) -> Array:
    """Ranks of the 8-bit levels at SIDE × SIDE, of mean 0 and deviation about 1: the same under any display window."""
    levels = np.round(_shrunk(_picture(inner), SIDE) * 255)
    _, which, counts = np.unique(levels, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2 - 1
    spread = (ranks[which] / (levels.size - 1) * 2 - 1) * np.sqrt(3)
    return spread.reshape(levels.shape).astype(np.float32)


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


def _score(film: ImageArray) -> float:
    """Sharpness × freedom from noise × contrast, each between 0 and 1: blur, noise and too little light lower it."""
    low, high = np.percentile(film, (5, 95))
    contrast = float(high - low)
    if contrast <= 0:
        return 0.0
    detail = _detail(film) / contrast
    noise = _noise(film) / contrast
    return detail / (detail + USUAL_DETAIL) / (1 + (noise / USUAL_NOISE) ** 2) * contrast / (contrast + LOW_CONTRAST)


def _detail(film: ImageArray) -> float:
    """Root mean square of what a smoothing over 3 × 3 takes away at half the resolution."""
    half = _shrunk(_picture(film), _SCORED // 2)
    smooth = sum(half[1 + y : len(half) - 1 + y, 1 + x : len(half) - 1 + x] for y in (-1, 0, 1) for x in (-1, 0, 1)) / 9
    return float(np.sqrt(((half[1:-1, 1:-1] - smooth) ** 2).mean()))


def _noise(film: ImageArray) -> float:
    """Deviation of the noise by the mask that is blind to edges (Immerkær 1996)."""
    rows = film[:-2] - 2 * film[1:-1] + film[2:]
    both = rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]
    return float(np.abs(both).mean()) * float(np.sqrt(np.pi / 2)) / 6


def _likeness(ranks: Array, fitted: Gate) -> tuple[tuple[QualityReason, ...], tuple[QualityReason, ...]]:
    """Reasons to reject and reasons to warn: not a chest, turned, inverted, cut, unusual."""
    upright, negative = answers_of(ranks, fitted.network)
    inverted = negative.film > max(upright.film, 0.0)
    answer = negative if inverted else upright
    if answer.film < fitted.reject_below:
        return (_reason("quality_not_chest", "film_score", answer.film, fitted.reject_below),), ()
    best = int(answer.turns.argmax())
    gain = answer.turns[best] - answer.turns[0]
    if gain > fitted.turned_above:
        degrees = 180 if best == 2 else 90
        return (_reason("quality_rotated", "turning_gain", gain, fitted.turned_above, degrees=degrees),), ()
    warned: tuple[QualityReason, ...] = ()
    if inverted:
        warned += (_reason("quality_inverted", "inverted_film_score", negative.film, fitted.warn_below),)
    elif answer.film < fitted.warn_below:
        warned += (_reason("quality_unusual", "film_score", answer.film, fitted.warn_below),)
    if answer.whole < fitted.cut_below:
        warned += (_reason("quality_cropped", "whole_score", answer.whole, fitted.cut_below),)
    return (), warned

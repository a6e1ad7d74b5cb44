"""What a model says of films, by the same steps as at serving, and what becomes of it when the films get worse.

May import: NumPy, Pillow, tqdm, `mlcore` (not Django). `evaluate` makes figures of the outcome.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from mlcore.card import ModelCard
from mlcore.contracts import ImageArray, ImageRefusedError
from mlcore.decode import decode
from mlcore.interpret import word
from mlcore.predictors.base import BATCH_SIZES, Predictor
from mlcore.preprocess import PreprocessingSpec, squash, standardise
from mlcore.training import metrics
from mlcore.training.dataset import thin
from mlcore.training.films import Film, TrainingError
from mlcore.training.tasks import Task

#: Films of the sweep: every change costs one more pass over them.
SWEEP_FILMS = 300
Change = Callable[[ImageArray, np.random.Generator], ImageArray]


@dataclass(frozen=True, slots=True)
class Outputs:
    """The films that decode, their raw probabilities (films, labels) and maps (films, rows, columns, labels)."""

    films: list[Film]
    probabilities: ImageArray
    maps: ImageArray


def outputs(films: Sequence[Film], predictor: Predictor) -> Outputs:
    """What `predictor` says of every film; films that intake would refuse are left out. Raises TrainingError."""
    kept: list[Film] = []
    found = []
    for own, pixels in _decoded(films, "films"):
        kept += own
        found.append(predictor.predict(_inputs(pixels, predictor.card.preprocessing)))
    if not kept:
        raise TrainingError("No film of this split could be read. Look at the folder given with --data.")
    return Outputs(
        kept,
        np.concatenate([output.probabilities for output in found]),
        np.concatenate([output.maps.astype(np.float16) for output in found]),
    )


def scores(films: Sequence[Film], predictor: Predictor) -> tuple[list[Film], ImageArray]:
    """The films that decode and their raw probabilities (films, labels); see `outputs`."""
    found = outputs(films, predictor)
    return found.films, found.probabilities


def sweep(films: Sequence[Film], predictor: Predictor, card: ModelCard, task: Task) -> dict[str, Any]:
    """Macro AUROC within every source, and how many words change, when the films are changed in `CHANGES`.

    At most `SWEEP_FILMS` films, spread over source and label; `card` has the calibration and thresholds. A word counts
    as changed when any label of the film gets another one. Gives {"films", "as_they_are": {part: AUROC},
    "changes": {kind: [{"strength", "auroc", "words"}]}}.
    """
    films = thin(films, SWEEP_FILMS)
    names = [(kind, strength) for kind, steps in CHANGES.items() for strength in steps]
    raw: list[list[ImageArray]] = [[] for _ in range(len(names) + 1)]
    kept: list[Film] = []
    spec = predictor.card.preprocessing
    for own, pixels in _decoded(films, "robustness"):
        kept += own
        raw[0].append(predictor.predict(_inputs(pixels, spec)).probabilities)
        for place, (kind, strength) in enumerate(names, 1):
            random = np.random.default_rng([place, len(kept)])
            changed = [CHANGES[kind][strength](film, random) for film in pixels]
            raw[place].append(predictor.predict(_inputs(changed, spec)).probabilities)
    targets = task.targets(kept)
    calibrated = [card.calibration.apply(np.concatenate(pieces)) for pieces in raw]
    before = words_of(calibrated[0], card)
    result: dict[str, Any] = {"films": len(kept), "as_they_are": _within(kept, targets, calibrated[0]), "changes": {}}
    for (kind, strength), probabilities in zip(names, calibrated[1:], strict=True):
        changed_words = (words_of(probabilities, card) != before).any(1).mean()
        row = {
            "strength": strength,
            "auroc": _within(kept, targets, probabilities),
            "words": round(float(changed_words), 4),
        }
        result["changes"].setdefault(kind, []).append(row)
    return result


def words_of(calibrated: ImageArray, card: ModelCard) -> np.ndarray:
    """The word of every finding at the card's thresholds, (films, labels)."""
    points = [card.operating_points[key] for key in card.label_keys]
    return np.array([[word(float(c), t) for c, t in zip(row, points, strict=True)] for row in calibrated])


def _within(films: Sequence[Film], targets: metrics.Floats, probabilities: ImageArray) -> dict[str, float]:
    source = np.array([film.source for film in films])
    found = {str(name): metrics.macro_auroc(targets[source == name], probabilities[source == name])
             for name in np.unique(source)}  # fmt: skip
    return metrics.rounded({f"within {name}": value for name, value in found.items()})


def _decoded(films: Sequence[Film], text: str) -> Iterator[tuple[list[Film], list[ImageArray]]]:
    """Batches of decoded films; those that intake refuses are left out."""

    def read(film: Film) -> ImageArray | None:
        try:
            return decode(film.path.read_bytes()).pixels
        except ImageRefusedError:
            return None

    size = BATCH_SIZES[-1]
    with ThreadPoolExecutor(2) as pool, tqdm(total=len(films), desc=text, unit="film") as bar:
        for start in range(0, len(films), size):
            piece = films[start : start + size]
            both = [(film, pixels) for film, pixels in zip(piece, pool.map(read, piece), strict=True)
                    if pixels is not None]  # fmt: skip
            if both:
                yield [film for film, _ in both], [pixels for _, pixels in both]
            bar.update(len(piece))


def inputs_of(films: Sequence[Film], spec: PreprocessingSpec) -> ImageArray:
    """The films that decode, as a model takes them: (films, rows, columns, 1)."""
    found = [_inputs(pixels, spec) for _, pixels in _decoded(films, "films")]
    return np.concatenate(found) if found else np.empty((0, *spec.size, 1), np.float32)


def _inputs(pixels: Iterable[ImageArray], spec: PreprocessingSpec) -> ImageArray:
    return np.stack([standardise(squash(film, spec.size), spec) for film in pixels])


def _jpeg(quality: int) -> Change:
    def change(film: ImageArray, _: np.random.Generator) -> ImageArray:
        buffer = io.BytesIO()
        _picture(film).save(buffer, "JPEG", quality=quality)
        return _pixels(Image.open(buffer))

    return change


def _scale(factor: float) -> Change:
    def change(film: ImageArray, _: np.random.Generator) -> ImageArray:
        picture = _picture(film)
        size = (max(8, round(picture.width * factor)), max(8, round(picture.height * factor)))
        return _pixels(picture.resize(size, Image.Resampling.BILINEAR))

    return change


def _noise(deviation: float) -> Change:
    def change(film: ImageArray, random: np.random.Generator) -> ImageArray:
        noisy = film + random.normal(0, deviation, film.shape).astype(np.float32)
        return np.clip(noisy, 0, 1, dtype=np.float32)

    return change


def _turn(degrees: float) -> Change:
    def change(film: ImageArray, random: np.random.Generator) -> ImageArray:
        angle = degrees * random.choice([-1, 1])
        return _pixels(_picture(film).rotate(float(angle), Image.Resampling.BILINEAR))

    return change


def _contrast(factor: float) -> Change:
    """Around the middle grey, cut off at black and white."""

    def change(film: ImageArray, _: np.random.Generator) -> ImageArray:
        return np.clip(0.5 + factor * (film - 0.5), 0, 1, dtype=np.float32)

    return change


def _gamma(power: float) -> Change:
    return lambda film, _: np.asarray(np.clip(film, 0, 1) ** power, dtype=np.float32)


def _picture(film: ImageArray) -> Image.Image:
    return Image.fromarray((np.clip(film, 0, 1) * 255 + 0.5).astype(np.uint8))


def _pixels(picture: Image.Image) -> ImageArray:
    return np.asarray(picture, dtype=np.float32) / np.float32(255)


#: Kind of change → strength as people read it, mildest first → the change of decoded intensities in [0, 1].
CHANGES: Mapping[str, Mapping[str, Change]] = {
    "JPEG quality": {"50": _jpeg(50), "20": _jpeg(20), "8": _jpeg(8)},
    "scale": {"0.75": _scale(0.75), "0.5": _scale(0.5), "0.25": _scale(0.25)},
    "noise": {"0.02": _noise(0.02), "0.05": _noise(0.05), "0.1": _noise(0.1)},
    "rotation": {"5°": _turn(5), "10°": _turn(10), "15°": _turn(15)},
    "contrast": {"0.5": _contrast(0.5), "1.5": _contrast(1.5), "2": _contrast(2)},
    "gamma": {"0.7": _gamma(0.7), "1.4": _gamma(1.4), "2": _gamma(2)},
}

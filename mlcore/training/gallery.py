"""The most confident errors with their films, for a reader who may see the films.

May import: NumPy, Pillow, `mlcore`. Written only into a folder that the user names: films are somebody's data and must
not travel with results or models.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mlcore.card import CARD_FILE, ModelCard
from mlcore.decode import decode
from mlcore.training.films import Film, TrainingError
from mlcore.training.measure import Outputs
from mlcore.training.report import Picture, Section, render, replace_text
from mlcore.training.tasks import Task

_EACH = 6
_SIDE = 150
WARNING = (
    "These are films of patients under the rights of their data set. This page is for looking at errors on this "
    "machine; do not publish it, commit it or keep it beside the model."
)


def write_gallery(folder: Path, found: Outputs, card: ModelCard, task: Task, split: str) -> Path:
    """`folder/failures-SPLIT.html`: per label the false calls with the highest and the missed films with the lowest
    probability. Raises TrainingError for a folder that is a model's or is kept with the project's results."""
    place = folder.resolve()
    if (folder / CARD_FILE).exists() or {"docs", "results"} <= set(place.parts) or "bundled" in place.parts:
        raise TrainingError("The gallery holds films: choose an --out outside models and docs/results.")
    probabilities, targets = card.calibration.apply(found.probabilities), task.targets(found.films) > 0
    sections = [Section("Before you look", [WARNING])]
    for k, label in enumerate(task.labels):
        score, positive, threshold = probabilities[:, k], targets[:, k], card.operating_points[label]
        false = [int(i) for i in np.argsort(-score) if not positive[i] and score[i] >= threshold][:_EACH]
        missed = [int(i) for i in np.argsort(score) if positive[i] and score[i] < threshold][:_EACH]
        for title, chosen in (
            (f"{label.capitalize()}: called, but not its label", false),
            (f"{label.capitalize()}: missed", missed),
        ):
            films = [found.films[i] for i in chosen]
            picture = _sheet(films, [float(score[i]) for i in chosen])
            shown = [Picture(picture, f"{split} split, threshold {threshold:.3f}.", title)] if films else []
            sections.append(Section(title, [] if films else ["None."], [], shown))
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"failures-{split}.html"
    replace_text(target, render(f"{card.name} {card.version}: most confident errors, {split}", sections))
    return target


def _sheet(films: Sequence[Film], scores: Sequence[float]) -> str:
    """Thumbnails in rows of three, with probability, label, source and file."""
    lines = -(-len(films) // 3)
    height = _SIDE + 46
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {3 * (_SIDE + 14)} {lines * height}" width="700">']
    for place, (film, score) in enumerate(zip(films, scores, strict=True)):
        x, y = (place % 3) * (_SIDE + 14), (place // 3) * height
        parts.append(f'<image x="{x}" y="{y}" width="{_SIDE}" height="{_SIDE}" href="{_thumbnail(film)}"/>')
        words = (f"{score:.2f}, labelled {film.label}", film.source, film.path.name)
        for line, text in enumerate(words):
            parts.append(
                f'<text x="{x}" y="{y + _SIDE + 12 + 11 * line}" font-size="8.5" fill="#444">{escape(text[:34])}</text>'
            )
    return "".join([*parts, "</svg>"])


def _thumbnail(film: Film) -> str:
    pixels: Any = decode(film.path.read_bytes()).pixels
    picture = Image.fromarray((np.clip(pixels, 0, 1) * 255).astype(np.uint8))
    picture.thumbnail((2 * _SIDE, 2 * _SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"

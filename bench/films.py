"""Film files of the size that clinics send: real ones enlarged where the data set is there, else drawn ones.

May import: NumPy, Pillow, `tests.films`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tests.films import synthetic_film

SIDE = 2000
REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "cxr256"
_PICTURES = 8


def pictures(count: int = _PICTURES) -> tuple[list[Image.Image], str]:
    """Some films of about `SIDE` × `SIDE`, and what they are in words."""
    files = _real(count)
    if not files:
        return [synthetic_film(seed, (SIDE, SIDE)) for seed in range(count)], f"made-up films of {SIDE} × {SIDE} pixels"
    random = np.random.default_rng(0)
    words = (
        f"real films (NIH ChestX-ray14, 256 pixels) enlarged to a shorter side of {SIDE} pixels, with a little grain"
    )
    return [_enlarged(path, random) for path in files], words


class Encoded:
    """JPEG files without end, no two alike: a comment tells them apart, so that none passes for a film sent before."""

    def __init__(self, of: Sequence[Image.Image]) -> None:
        self._files = []
        for picture in of:
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", quality=92)
            self._files.append(buffer.getvalue())
        self._number = 0

    def take(self, count: int) -> list[bytes]:
        return [next(self) for _ in range(count)]

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        data = self._files[self._number % len(self._files)]
        self._number += 1
        words = f"bench {self._number}".encode()
        return data[:2] + b"\xff\xfe" + (len(words) + 2).to_bytes(2, "big") + words + data[2:]

    @property
    def megabytes(self) -> float:
        return float(np.mean([len(data) for data in self._files])) / 1e6


def _real(count: int) -> list[Path]:
    """Frontal films of adults from the training split, spread over the list."""
    manifest = REAL / "manifest.csv"
    if not manifest.exists():
        return []
    with manifest.open(newline="") as file:
        names = [
            row["file"] for row in csv.DictReader(file) if row["split"] == "train" and "NIH" in row["source_dataset"]
        ]
    found = [REAL / name for name in names[:: max(1, len(names) // count)][:count]]
    return [path for path in found if path.exists()]


def _enlarged(path: Path, random: np.random.Generator) -> Image.Image:
    film = Image.open(path).convert("L")
    scale = SIDE / min(film.size)
    large = film.resize((round(film.width * scale), round(film.height * scale)), Image.Resampling.BICUBIC)
    pixels = np.asarray(large, np.float32)
    return Image.fromarray(np.clip(pixels + random.normal(0, 1.5, pixels.shape), 0, 255).astype(np.uint8))

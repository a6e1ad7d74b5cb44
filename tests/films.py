"""Synthetic frontal chest films, and the code that lets a film say which film it is.

May import NumPy and Pillow only. The films are crude (no anatomy to learn from) but pass the quality gate;
every fault test relies on `read_film_id` to prove that no result lands under the wrong patient.
"""

from __future__ import annotations

import uuid
import zlib

import numpy as np
import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[np.floating]

#: Films with these ids kill the process that decodes them, or the one that asks the model about them.
KILLS_PREPARE = uuid.UUID("dead0000-0000-4000-8000-000000000001")
KILLS_INFER = uuid.UUID("dead0000-0000-4000-8000-000000000002")
HANGS_PREPARE = uuid.UUID("dead0000-0000-4000-8000-000000000003")
EATS_MEMORY = uuid.UUID("dead0000-0000-4000-8000-000000000004")
SLEEPS_IN_INFER = uuid.UUID("dead0000-0000-4000-8000-000000000005")
HOLDS_INTERPRETER = uuid.UUID("dead0000-0000-4000-8000-000000000006")
SLOW_INFER = uuid.UUID("dead0000-0000-4000-8000-000000000007")

_CELLS = 12  # 12 × 12 cells: 128 bits of UUID and 16 bits of check sum
_SIDE = 36 / 224  # of the film's side: three pixels a cell in a 224 × 224 model input
_MARGIN = 6 / 224
_DARK, _BRIGHT = 0.04, 0.50
_SMALLEST = 128


def synthetic_film(seed: int = 0, size: tuple[int, int] = (512, 512), film_id: uuid.UUID | None = None) -> Image.Image:
    """An 8-bit grey film of `size` (width, height), the same for the same seed.

    With `film_id` the upper left corner carries it; see `read_film_id` for the sizes at which it survives.
    """
    rng = np.random.default_rng(seed)
    width, height = size
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    film = _torso(x, y, rng)
    film += rng.normal(0, 0.012, film.shape)
    film *= 1 + 0.1 * _tissue((width, height), rng)
    if film_id is not None:
        _write_film_id(film, film_id)
    return Image.fromarray((np.clip(film, 0, 1) * 255).round().astype(np.uint8))


def _tissue(size: tuple[int, int], rng: np.random.Generator) -> Array:
    """Soft spots that differ from seed to seed, so that no two seeds pass for copies of one film."""
    spots = Image.fromarray(rng.normal(0, 1, (32, 32)).astype(np.float32))
    return np.asarray(spots.resize(size, Image.Resampling.BICUBIC))


def _inside(distance: Array, softness: float) -> Array:
    """1 where `distance` < 1, falling smoothly to 0."""
    return 1 / (1 + np.exp((distance - 1) / softness))


def _ellipse(x: Array, y: Array, cx: float, cy: float, rx: float, ry: float, power: float = 2) -> Array:
    return (np.abs((x - cx) / rx) ** power + np.abs((y - cy) / ry) ** power) ** (1 / power)


def _torso(x: Array, y: Array, rng: np.random.Generator) -> Array:
    sway = rng.normal(0, 0.01, 8)
    centre = 0.5 + sway[0]
    body = np.maximum(
        _inside(_ellipse(x, y, centre, 0.72, 0.49, 0.60, 4), 0.03),
        _inside(_ellipse(x, y, centre, 0.08, 0.12, 0.25, 3), 0.06),
    )
    film = 0.04 + 0.60 * body
    lungs = np.zeros_like(film)
    for side in (-1, 1):
        cx = centre + side * (0.205 + sway[1])
        lung = _inside(_ellipse(x, y, cx, 0.47 + sway[2], 0.155 + sway[3], 0.34, 2.6), 0.05)
        dome = _inside(_ellipse(x, y, cx - side * 0.03, 0.95 + sway[4], 0.23, 0.23, 2), 0.04)
        lungs = np.maximum(lungs, lung * (1 - dome))
    lungs *= body
    film -= 0.40 * lungs
    film += 0.16 * _inside(np.abs(x - centre) / 0.045, 0.15) * body
    film += 0.24 * _inside(_ellipse(x, y, centre + 0.055, 0.60, 0.15 + sway[5], 0.17), 0.06) * lungs
    film += 0.07 * _inside(_ellipse(x, y, centre, 0.40, 0.10, 0.22), 0.2) * lungs
    return film + _bones(x, y, centre, lungs, float(sway[6]))


def _bones(x: Array, y: Array, centre: float, lungs: Array, shift: float) -> Array:
    """Ribs as falling arcs over the lungs, and two clavicles."""
    distance = np.abs(x - centre)
    ribs = np.sin((y + shift + 0.9 * (distance - 0.1) ** 2 - 0.25 * distance) * 2 * np.pi / 0.072)
    clavicle = np.abs(y - (0.20 - 0.22 * distance + shift)) / 0.014
    return 0.05 * np.clip(ribs, 0, 1) * lungs + 0.10 * _inside(clavicle, 0.2) * (distance > 0.03) * (distance < 0.36)


def _bits_of(film_id: uuid.UUID) -> npt.NDArray[np.bool_]:
    check = zlib.crc32(film_id.bytes) & 0xFFFF
    return np.unpackbits(np.frombuffer(film_id.bytes + check.to_bytes(2, "big"), np.uint8)).astype(bool)


def _edges(side: int) -> npt.NDArray[np.floating]:
    """The borders of the cells along a side of that many pixels."""
    return (_MARGIN + _SIDE * np.arange(_CELLS + 1) / _CELLS) * side


def _write_film_id(film: Array, film_id: uuid.UUID) -> None:
    height, width = film.shape
    rows, columns = np.round(_edges(height)).astype(int), np.round(_edges(width)).astype(int)
    cells = _bits_of(film_id).reshape(_CELLS, _CELLS)
    for row in range(_CELLS):
        for column in range(_CELLS):
            level = _BRIGHT if cells[row, column] else _DARK
            film[rows[row] : rows[row + 1], columns[column] : columns[column + 1]] = level


def read_film_id(array: Array) -> uuid.UUID | None:
    """The id in a film of shape (height, width) or (height, width, channels), whatever its scale; None without one.

    Survives JPEG at quality 75 and above and filtered resizing of the whole film to any size from 128 × 128 up
    (so also a 224 × 224 model input), as long as nothing is cropped, padded or mirrored. A check sum guards it.
    """
    pixels = np.asarray(array, float)
    if pixels.ndim == 3:
        pixels = pixels.mean(axis=2)
    height, width = pixels.shape
    if min(height, width) < _SMALLEST:
        return None
    rows, columns = _centres(height), _centres(width)
    cells = sum(pixels[np.ix_(r, c)] for r in rows for c in columns).ravel()  # type: ignore[union-attr]
    low, high = np.percentile(cells, (5, 95))
    bits = cells > (low + high) / 2
    found = uuid.UUID(bytes=np.packbits(bits[:128]).tobytes())
    return found if (_bits_of(found) == bits).all() else None


def _centres(side: int) -> list[npt.NDArray[np.integer]]:
    """Pixel rows (or columns) around the middle of each cell: one for small cells, three for larger."""
    edges = _edges(side)
    middle = (edges[:-1] + edges[1:]) / 2
    step = (edges[1] - edges[0]) / 4
    offsets = (-step, 0, step) if step > 1.2 else (0,)
    return [np.floor(middle + offset).astype(int) for offset in offsets]

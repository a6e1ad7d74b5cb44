"""Random changes that leave the finding and change how the file was made.

May import: NumPy and Pillow. Each function takes and returns an 8-bit grey picture and a random generator;
`train` applies `robust` to the cached film, then the same `standardise` as at serving.
"""

from __future__ import annotations

import io
from math import cos, radians, sin

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Random = np.random.Generator
_FILTERS = (Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)


def robust(film: npt.NDArray[np.uint8], random: Random) -> npt.NDArray[np.float32]:
    """Geometry, sharpness, compression, contrast, marks and noise, each by chance; float32 in [0, 1]."""
    picture = _geometry(Image.fromarray(film), random)
    if random.random() < 0.5:
        picture = _resolution(picture, random)
    if random.random() < 0.4:
        picture = _marks(picture, random)
    if random.random() < 0.7:
        picture = _tone(picture, random)
    if random.random() < 0.5:
        picture = _compression(picture, random)
    values = np.asarray(picture, dtype=np.float32) / 255
    if random.random() < 0.5:
        noise = random.standard_normal(values.shape, dtype=np.float32)
        values = np.clip(values + noise * random.uniform(0, 0.04), 0, 1)
    return values.astype(np.float32)


def _geometry(picture: Image.Image, random: Random) -> Image.Image:
    """Small rotation, zoom, stretch, shear and shift about the centre; mirrored half of the time."""
    width, height = picture.size
    angle = radians(random.uniform(-12, 12))
    zoom = random.uniform(0.85, 1.15)
    stretch = random.uniform(0.88, 1.14)
    mirror = -1 if random.random() < 0.5 else 1
    a, b = mirror * cos(angle) / zoom / stretch, sin(angle) / zoom + random.uniform(-0.08, 0.08)
    d, e = -mirror * sin(angle) / zoom, cos(angle) / zoom * stretch
    shift_x, shift_y = random.uniform(-0.07, 0.07, 2) * (width, height)
    c = width / 2 - a * (width / 2 + shift_x) - b * (height / 2 + shift_y)
    f = height / 2 - d * (width / 2 + shift_x) - e * (height / 2 + shift_y)
    return picture.transform(picture.size, Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BICUBIC)


def _resolution(picture: Image.Image, random: Random) -> Image.Image:
    """Down and up again with any filter: no film is sharper than another for good."""
    scale = random.uniform(0.4, 1.0)
    small = (max(8, round(picture.width * scale)), max(8, round(picture.height * scale)))
    down, up = random.integers(0, len(_FILTERS), 2)
    return picture.resize(small, _FILTERS[down]).resize(picture.size, _FILTERS[up])


def _marks(picture: Image.Image, random: Random) -> Image.Image:
    """Black or white borders, and blocks like burnt-in letters or covered corners."""
    picture = picture.copy()
    draw = ImageDraw.Draw(picture)
    width, height = picture.size
    if random.random() < 0.5:
        sides = random.integers(0, round(width * 0.07), 4)
        inner = (sides[0], sides[1], width - sides[2] - 1, height - sides[3] - 1)
        frame = Image.new("L", picture.size, int(random.choice([0, 0, 255])))
        frame.paste(picture.crop((inner[0], inner[1], inner[2] + 1, inner[3] + 1)), (int(inner[0]), int(inner[1])))
        picture, draw = frame, ImageDraw.Draw(frame)
    for _ in range(random.integers(0, 4)):
        w, h = random.integers(4, width // 6, 2)
        x, y = random.integers(0, width - w), random.integers(0, height - h)
        draw.rectangle((int(x), int(y), int(x + w), int(y + h)), fill=int(random.integers(0, 256)))
    return picture


def _tone(picture: Image.Image, random: Random) -> Image.Image:
    """Another display window and gamma."""
    low, high = random.uniform(-0.1, 0.12), random.uniform(0.85, 1.15)
    gamma = np.exp(random.uniform(-0.5, 0.5))
    table = np.clip((np.linspace(0, 1, 256) - low) / (high - low), 0, 1) ** gamma
    return picture.point([round(255 * value) for value in table])


def _compression(picture: Image.Image, random: Random) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=int(random.integers(25, 96)))
    return Image.open(buffer).convert("L")

"""The pictures that the gate is fitted and measured on: films varied and spoiled, and everything that is no film.

May import NumPy, Pillow, pydicom and `mlcore.contracts`. Next: `gate_fit`, `gate_measure`.

A folder of other pictures holds KIND/PACKAGE/files: the package decides whether a picture fits or measures, never
both. The kind FILMS holds frontal chest films from elsewhere.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont, UnidentifiedImageError

from mlcore.contracts import ImageArray

#: The kind of a folder's pictures that are frontal chest films.
FILMS = "films"
#: With this seed every kind at hand has packages on both sides; it was chosen before anything was measured.
SPLIT_SEED = 41
SMALLEST = 128  # as the header check demands

Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Picture:
    """A grey picture in [0, 1], the kind it counts under and the package it came with; `path` None when drawn."""

    kind: str
    package: str
    path: Path | None
    pixels: ImageArray


def held_out(package: str) -> bool:
    """Whether the pictures of a package measure the gate; those of the others fit it."""
    return zlib.crc32(f"{SPLIT_SEED}:{package}".encode()) % 2 == 0


def unit(image: Image.Image) -> ImageArray:
    """An 8-bit picture as float32 in [0, 1]."""
    return np.asarray(image.convert("L"), np.float32) / np.float32(255)


def read_film(path: Path) -> ImageArray:
    with Image.open(path) as image:
        return unit(image)


# Pictures from files


def other_pictures(folders: Sequence[Path]) -> Iterator[Picture]:
    """Every readable picture of the folders KIND/PACKAGE/…, in grey on white."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            parts = path.relative_to(folder).parts
            if len(parts) > 2 and (pixels := opened(path)) is not None:
                yield Picture(parts[0], parts[1], path, pixels)


def opened(path: Path) -> ImageArray | None:
    """A picture file in grey, None when it is none or smaller than the header check lets pass."""
    try:
        with Image.open(path) as file:
            image = file.convert("RGBA")
    except (OSError, UnidentifiedImageError, ValueError):
        return None
    if min(image.size) < SMALLEST or max(image.size) > 3 * min(image.size):
        return None
    return unit(Image.alpha_composite(Image.new("RGBA", image.size, "white"), image))


#: Packages of the test environment that ship pictures, and the kind of those pictures.
INSTALLED = {"matplotlib": "photographs", "sklearn": "photographs", "pydicom": "medical"}


def installed_pictures() -> Iterator[Picture]:
    """Pictures in installed Python packages. They never fit the gate, so any machine can measure it on them."""
    for package, kind in INSTALLED.items():
        spec = find_spec(package)
        for folder in spec.submodule_search_locations or () if spec else ():
            for path in sorted(Path(folder).rglob("*")):
                read = _dicom_picture if path.suffix == ".dcm" else opened
                if path.suffix in {".png", ".jpg", ".dcm"} and (pixels := read(path)) is not None:
                    yield Picture(f"{kind} in installed packages", package, path, pixels)


def _dicom_picture(path: Path) -> ImageArray | None:
    """The middle frame between its extreme percentiles; None where there is none, or one too small."""
    from pydicom import dcmread

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            samples = dcmread(path, force=True).pixel_array.astype(np.float32)
        except Exception:  # test files are damaged on purpose, each in its own way
            return None
    if samples.ndim == 4 or (samples.ndim == 3 and samples.shape[2] != 3):
        samples = samples[len(samples) // 2]
    if samples.ndim == 3:
        samples = samples.mean(axis=2)
    low, high = np.percentile(samples, (0.1, 99.9))
    if min(samples.shape) < SMALLEST // 2 or high <= low:
        return None
    return np.clip((samples - low) / (high - low), 0, 1).astype(np.float32)


def part_of(pixels: ImageArray, rng: Rng, least: float, most: float) -> ImageArray:
    """A random rectangle with sides of that share."""
    rows, columns = (max(16, int(side * rng.uniform(least, most))) for side in pixels.shape)
    top, left = (int(rng.integers(0, n - m + 1)) for n, m in zip(pixels.shape, (rows, columns), strict=True))
    return pixels[top : top + rows, left : left + columns]


def small(pixels: ImageArray) -> ImageArray:
    """With a shorter side of SMALLEST pixels, twice what the gate looks at."""
    height, width = pixels.shape
    scale = SMALLEST / min(height, width)
    image = Image.fromarray((pixels * 255).astype(np.uint8))
    return unit(image.resize((round(width * scale), round(height * scale)), Image.Resampling.BOX))


# Films, varied as other hospitals send them


def varied(film: ImageArray, rng: Rng, cut: float = 0.09) -> ImageArray:
    """Tilted, cropped by up to `cut` on each side, in another window, blurred, noisy, marked, framed."""
    height, width = film.shape
    image = Image.fromarray((film * 255).astype(np.uint8))
    image = image.rotate(float(rng.normal(0, 4)), resample=Image.Resampling.BILINEAR, fillcolor=0)
    left, right, top, bottom = rng.uniform(0, cut, 4) * rng.integers(0, 2, 4)
    image = image.crop((int(width * left), int(height * top), int(width * (1 - right)), int(height * (1 - bottom))))
    if rng.random() < 0.4:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.002, 0.012)) * min(film.shape)))
    pixels = unit(image)
    low, high = np.percentile(pixels, (rng.uniform(0, 8), rng.uniform(92, 100)))
    if rng.random() < 0.4 and high > low:
        pixels = np.clip((pixels - low) / (high - low), 0, 1)
    pixels = pixels ** np.float32(np.exp(rng.normal(0, 0.4)))
    if rng.random() < 0.3:
        pixels = pixels + rng.normal(0, rng.uniform(0.01, 0.08), pixels.shape).astype(np.float32)
    if rng.random() < 0.25:
        pixels = marked(np.array(pixels), rng)
    pixels = np.clip(pixels * rng.uniform(0.6, 1) + rng.uniform(0, 0.15), 0, 1)
    if rng.random() < 0.2:
        sides = (rng.uniform(0, 0.2, 4) * min(pixels.shape)).astype(int)
        level = rng.choice([0.0, 0.0, 0.0, 1.0])
        pixels = np.pad(pixels, ((sides[0], sides[1]), (sides[2], sides[3])), constant_values=level)
    return np.ascontiguousarray(pixels, np.float32)


def marked(pixels: ImageArray, rng: Rng) -> ImageArray:
    """With a printed label, barcode or side marker in a corner."""
    rows, columns = (int(side * rng.uniform(0.04, 0.2)) + 2 for side in pixels.shape)
    top, left = (
        int(rng.uniform(0, 0.06) * n) if rng.random() < 0.5 else int(n - m - rng.uniform(0, 0.06) * n)
        for n, m in zip(pixels.shape, (rows, columns), strict=True)
    )
    cells = rng.integers(0, 2, (int(rng.integers(1, 13)), int(rng.integers(1, 13)))).astype(np.uint8) * 255
    label = unit(Image.fromarray(cells).resize((columns, rows), Image.Resampling.NEAREST))
    pixels[top : top + rows, left : left + columns] = label * rng.uniform(0.5, 1)
    return pixels


#: The sides that a cut can come from, as the counter-clockwise quarter-turns that bring the side to the left.
SIDES = {"left": 0, "top": 1, "right": 2, "bottom": 3}


def cut_off(film: ImageArray, side: str, share: float) -> ImageArray:
    """The film without that share of it at one side."""
    turned = np.rot90(film, SIDES[side])
    return np.rot90(turned[:, int(turned.shape[1] * share) :], -SIDES[side])


def blurred(film: ImageArray, sigma: float) -> ImageArray:
    """Gaussian blur of `sigma` pixels when the shorter side has 256."""
    image = Image.fromarray((film * 255).astype(np.uint8))
    return unit(image.filter(ImageFilter.GaussianBlur(sigma * min(film.shape) / 256)))


def noisy(film: ImageArray, sigma: float) -> ImageArray:
    """With normal noise of that deviation, always the same draw, so that steps differ in strength alone."""
    draw = np.random.default_rng(0).normal(0, 1, film.shape).astype(np.float32)
    return np.clip(film + np.float32(sigma) * draw, 0, 1)


def underexposed(film: ImageArray, share: float) -> ImageArray:
    """The lower `share` of the light, in 8 bits as a device would store it."""
    return (np.round(film * np.float32(1 - share) * 255) / np.float32(255)).astype(np.float32)


#: Degradation → what spoils a film, in growing strength.
DEGRADATIONS: dict[str, tuple[Callable[[ImageArray, float], ImageArray], tuple[float, ...]]] = {
    "blur": (blurred, (1.0, 2.0, 4.0, 8.0)),
    "noise": (noisy, (0.02, 0.05, 0.1, 0.2)),
    "underexposure": (underexposed, (0.3, 0.6, 0.8, 0.9)),
}


# Drawn pictures that are no films


def drawn_pictures(seed: int, each: int) -> Iterator[Picture]:
    """As many of every drawn kind; another seed gives others."""
    for kind, make in DRAWN.items():
        rng = np.random.default_rng((seed, zlib.crc32(kind.encode())))
        made = 0
        while made < each:
            pixels = make(rng).astype(np.float32)
            if pixels.std() > 0.02:  # emptier ones are refused as blank
                made += 1
                yield Picture(kind, "drawn", None, pixels)


def _grid() -> tuple[ImageArray, ImageArray]:
    y, x = np.mgrid[0:1:256j, 0:1:256j]
    return y.astype(np.float32), x.astype(np.float32)


def _text(rng: Rng) -> ImageArray:
    paper, ink = (0, 255) if rng.random() < 0.3 else (255, 0)
    page = Image.new("L", (600, int(rng.integers(400, 850))), paper)
    size, indent = int(rng.integers(10, 40)), int(rng.integers(10, 80))
    font = ImageFont.load_default(size)
    for line in range(1, int(page.height / size / 1.4)):
        letters = "".join(rng.choice(list("abcdefghij klmnop  "), int(rng.integers(5, 60) * 20 / size) + 1))
        ImageDraw.Draw(page).text((indent, line * size * 1.4), letters, fill=ink, font=font)
    return unit(page)


def _chart(rng: Rng) -> ImageArray:
    """Axes with bars or lines."""
    page = Image.new("L", (480, 360), 255)
    draw = ImageDraw.Draw(page)
    draw.line([(40, 20), (40, 320), (460, 320)], fill=0, width=2)
    for _ in range(int(rng.integers(1, 4))):
        shade, count = int(rng.integers(0, 180)), int(rng.integers(4, 16))
        x = np.linspace(50, 450, count)
        y = 310 - np.abs(np.cumsum(rng.normal(0, 60, count))) % 290
        if rng.random() < 0.5:
            for left, top in zip(x, y, strict=True):
                draw.rectangle((left, top, left + 250 / count, 319), fill=shade)
        else:
            draw.line(list(zip(x, y, strict=True)), fill=shade, width=int(rng.integers(1, 6)))
    return unit(page)


def _gradient(rng: Rng) -> ImageArray:
    y, x = _grid()
    angle = rng.uniform(0, 2 * np.pi)
    slope = (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle) + 0.5
    if rng.random() < 0.4:
        slope = np.hypot(x - rng.uniform(0.2, 0.8), y - rng.uniform(0.2, 0.8)) * rng.uniform(0.6, 1.6)
    return np.clip(1 - slope if rng.random() < 0.3 else slope, 0, 1)


def _noise(rng: Rng) -> ImageArray:
    grain = int(rng.choice([4, 6, 8, 12, 16, 32, 64, 256]))
    coarse = Image.fromarray(rng.random((grain, grain)).astype(np.float32))
    return np.clip(np.asarray(coarse.resize((256, 256), Image.Resampling.BICUBIC)), 0, 1)


def _clouds(rng: Rng, mirrored: bool = False) -> ImageArray:
    """Noise with the power law spectrum of photographs (Field 1987), if wanted symmetric as a film is."""
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)[None])
    frequency[0, 0] = 1
    shape = frequency ** -rng.uniform(0.8, 2.2) * np.exp(2j * np.pi * rng.random(frequency.shape))
    clouds = np.fft.irfft2(shape, (256, 256))
    if mirrored:
        clouds = clouds + clouds[:, ::-1] * rng.uniform(0.7, 1)
    low, high = np.percentile(clouds, (1, 99))
    return np.clip((clouds - low) / (high - low), 0, 1)


def _checkerboard(rng: Rng) -> ImageArray:
    step, stripes = int(rng.integers(2, 60)), rng.random() < 0.4
    index = np.arange(256) // step
    board = (index[:, None] + (0 if stripes else index[None])) % 2 * np.ones((1, 256))
    return np.rot90(board, int(rng.integers(0, 2)))


def _shapes(rng: Rng) -> ImageArray:
    """Ellipses and boxes on black, sometimes soft, sometimes in pairs."""
    y, x = _grid()
    picture = rng.normal(0.02, 0.02, x.shape)
    pairs = rng.random() < 0.3
    for _ in range(rng.integers(1, 5)):
        (cx, cy), (rx, ry) = rng.uniform(0.2, 0.8, 2), rng.uniform(0.05, 0.4, 2)
        level, ellipse = rng.uniform(0.2, 1), rng.random() < 0.6
        for at in (cx, 1 - cx) if pairs else (cx,):
            u, v = np.abs(x - at) / rx, np.abs(y - cy) / ry
            picture[(u**2 + v**2 < 1) if ellipse else (u < 1) & (v < 1)] = level
    drawn: ImageArray = np.clip(picture, 0, 1).astype(np.float32)
    return blurred(drawn, rng.uniform(1, 8)) if rng.random() < 0.3 else drawn


DRAWN: dict[str, Callable[[Rng], ImageArray]] = {
    "drawn text": _text,
    "drawn charts": _chart,
    "drawn gradients": _gradient,
    "drawn noise": _noise,
    "drawn clouds": _clouds,
    "drawn symmetric clouds": partial(_clouds, mirrored=True),
    "drawn stripes and boards": _checkerboard,
    "drawn shapes": _shapes,
}

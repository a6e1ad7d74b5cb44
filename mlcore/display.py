"""What people see: the display image and the map laid over it, encoded without any metadata.

May import NumPy, Pillow, `mlcore.png` and `mlcore.contracts`. `prepare` writes the display image, `infer` the overlay,
the command line the blended picture.
"""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from mlcore.contracts import DecodedImage, ImageArray
from mlcore.png import grey_png

#: Pixels of the longer side of a display image.
LONGEST = 2048
#: Maps are drawn from this share of their maximum up; below it the film stays untouched.
VISIBLE_FROM = 0.25
#: Opacity of the map's maximum, so that the film is never hidden.
STRONGEST = 0.75

# Inferno without its dark third (Smith and van der Walt 2015): lightness rises evenly, also for colour-blind readers.
_COLOURS = np.array(
    [(114, 31, 129), (158, 47, 127), (205, 64, 113), (241, 96, 93), (253, 149, 103), (254, 201, 141), (252, 253, 191)],
    np.float32,
)


def display_png(image: DecodedImage, *, longest: int = LONGEST) -> bytes:
    """The film as an 8-bit grey PNG, its longer side at most `longest` pixels; nothing else travels with it."""
    levels = _levels(image)
    size = _fitted(image, longest)
    return grey_png(levels if levels.shape == size[::-1] else np.asarray(_resized(levels, size)))


def overlay_png(image: DecodedImage, heat: ImageArray, *, longest: int = 512) -> bytes:
    """The map as a transparent RGBA layer with the film's aspect, to be stretched over the display image.

    `heat` (rows, columns) is one label's map over the whole film, on any scale: values up to 0 mean nothing, the
    maximum is drawn strongest. A map without a positive value gives an empty layer.
    """
    return _png(_overlay(_fitted(image, longest), heat))


def overlay_picture(image: DecodedImage, heat: ImageArray, *, longest: int = 1024) -> bytes:
    """Film and map blended into one RGB PNG, for places that cannot lay one over the other."""
    film = _resized(_levels(image), _fitted(image, longest)).convert("RGBA")
    return _png(Image.alpha_composite(film, _overlay(film.size, heat)).convert("RGB"))


def holds_every_sample(image: DecodedImage) -> bool:
    """Is the display image the reading copy, too? So it is of 8-bit pictures that need not be made smaller."""
    levels = _own_levels(image)
    return levels is not None and _fitted(image, LONGEST) == levels.shape[::-1]


def _own_levels(image: DecodedImage) -> npt.NDArray[np.uint8] | None:
    """The samples of an 8-bit picture, which are display values already."""
    film = image.stored
    if film is None or image.facts.format == "dicom" or film.samples.dtype != np.uint8:
        return None
    return film.samples.astype(np.uint8, copy=False)


def _png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG", compress_level=4)
    return stream.getvalue()


def _fitted(image: DecodedImage, longest: int) -> tuple[int, int]:
    """(width, height) of the film, reduced so that the longer side is at most `longest`."""
    height, width = image.pixels.shape
    share = min(1.0, longest / max(height, width))
    return max(1, round(width * share)), max(1, round(height * share))


def _levels(image: DecodedImage) -> npt.NDArray[np.uint8]:
    """The film as it is displayed, 0 black to 255 white."""
    levels = _own_levels(image)
    return levels if levels is not None else np.rint(np.clip(image.pixels, 0, 1) * np.float32(255)).astype(np.uint8)


def _resized(levels: npt.NDArray[np.uint8], size: tuple[int, int]) -> Image.Image:
    picture = Image.fromarray(levels)
    return picture if picture.size == size else picture.resize(size, Image.Resampling.LANCZOS)


def _overlay(size: tuple[int, int], heat: ImageArray) -> Image.Image:
    coarse = np.clip(np.nan_to_num(np.asarray(heat, np.float32), posinf=0, neginf=0), 0, None)
    peak = float(coarse.max(initial=0))
    if peak > 0:
        coarse = coarse / peak
    smooth = Image.fromarray(np.ascontiguousarray(coarse)).resize(size, Image.Resampling.BICUBIC)
    strength = np.clip((np.asarray(smooth) - VISIBLE_FROM) / (1 - VISIBLE_FROM), 0, 1)
    layer = np.empty((*strength.shape, 4), np.uint8)
    layer[..., :3] = _colour(strength)
    layer[..., 3] = np.rint(strength * (255 * STRONGEST))
    return Image.fromarray(layer)


def _colour(strength: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    stops = np.linspace(0, 1, len(_COLOURS))
    return np.rint(np.stack([np.interp(strength, stops, channel) for channel in _COLOURS.T], axis=-1))

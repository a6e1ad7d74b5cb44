"""The full decode: bytes of a film → light intensities in [0, 1], bone bright, identity dropped.

May import NumPy, Pillow, pydicom, `mlcore.header` and `mlcore.reading`. Only the prepare child and the command line
call `decode`; the web process calls `inspect_header`. Next: `mlcore.quality`.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps
from pydicom import dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.tag import Tag

from mlcore import reading
from mlcore.contracts import DecodedImage, HeaderFacts, ImageArray, ImageRefusedError, StoredFilm
from mlcore.header import inspect_header
from mlcore.pictures import open_picture

__all__ = ["decode", "inspect_header"]

#: A film whose intensities vary less than this (standard deviation in [0, 1]) shows nothing.
BLANK_LIMIT = 0.01
#: JPEG chroma of a grey film stays within 3 levels; a photo passes 12 in more than half a percent of its pixels.
COLOUR_LIMIT, COLOUR_QUANTILE = 12, 0.995

_PIXEL_KEYWORDS = (
    "PixelData",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "NumberOfFrames",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "RescaleSlope",
    "RescaleIntercept",
    "ModalityLUTSequence",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "VOILUTSequence",
    "PresentationLUTShape",
    *reading.TAGS,
)
_PIXEL_TAGS = [Tag(tag) for keyword in _PIXEL_KEYWORDS if (tag := tag_for_keyword(keyword)) is not None]

_Samples = npt.NDArray[np.integer]


def decode(data: bytes) -> DecodedImage:
    """The film in `data` as float32 intensities, upright by its EXIF mark, its stored values and its header's facts.

    Repeats every header check. Raises ImageRefusedError: a header code, `image_corrupt`, `image_blank`,
    `image_colour_mode`, `dicom_invalid` or `dicom_no_pixels`. MemoryError passes: it says nothing about the film.
    """
    facts, _ = inspect_header(io.BytesIO(data))
    read = _read_dicom if facts.format == "dicom" else _read_picture
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # odd headers are the decoders' small talk; what counts is raised
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            pixels, stored = read(data, facts)
    except (ImageRefusedError, MemoryError):
        raise
    except Exception as error:  # decoders raise whatever they like on damaged streams
        raise ImageRefusedError("image_corrupt") from error
    deviation = _deviation(pixels)
    if not np.isfinite(deviation):
        raise ImageRefusedError("image_corrupt")
    if deviation < BLANK_LIMIT:
        raise ImageRefusedError("image_blank")
    height, width = pixels.shape
    return DecodedImage(pixels=pixels, facts=replace(facts, width=width, height=height), stored=stored)


def _deviation(pixels: ImageArray) -> float:
    """As `pixels.std()`, in bands that fit the processor's cache; not finite where a pixel is not."""
    mean = pixels.mean()
    bands = (pixels[first : first + 64] - mean for first in range(0, len(pixels), 64))
    return float(np.sqrt(sum(float(np.vdot(band, band)) for band in bands) / pixels.size))


def _read_picture(data: bytes, facts: HeaderFacts) -> tuple[ImageArray, StoredFilm]:
    with open_picture(io.BytesIO(data)) as image:
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode.startswith("I"):  # 16-bit PNG
            samples = np.asarray(image).astype(np.uint16)
            return _spread(samples), reading.of_picture(samples)
        grey = _levels(image)
    return _unit(grey), reading.of_picture(grey)


def _levels(image: Image.Image) -> npt.NDArray[np.uint8]:
    if image.mode in ("1", "L"):
        return np.asarray(image if image.mode == "L" else image.convert("L"))
    if image.mode not in ("LA", "P", "PA", "RGB", "RGBA"):
        raise ImageRefusedError("image_colour_mode")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
    return _grey(np.asarray(image.convert("RGB")))


def _unit(samples: npt.NDArray[np.uint8]) -> ImageArray:
    return np.divide(samples, 255, dtype=np.float32)


def _grey(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The one level of three equal channels."""
    spread = rgb.max(axis=2) - rgb.min(axis=2)
    if np.quantile(spread, COLOUR_QUANTILE) > COLOUR_LIMIT:
        raise ImageRefusedError("image_colour_mode")
    return np.ascontiguousarray(rgb[..., 1])


def _spread(samples: _Samples, keep: npt.NDArray[np.bool_] | None = None) -> ImageArray:
    """Samples without a window, scaled between robust percentiles of those to `keep`."""
    low, high = reading.spread_of(samples if keep is None else samples[keep])
    if high <= low:
        return np.zeros(samples.shape, np.float32)
    scaled = (samples.astype(np.float32) - np.float32(low)) / np.float32(high - low)
    return np.clip(scaled, 0, 1, out=scaled)


def _read_dicom(data: bytes, facts: HeaderFacts) -> tuple[ImageArray, StoredFilm]:
    dataset = dcmread(io.BytesIO(data), specific_tags=_PIXEL_TAGS)
    _require_pixels(dataset)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        raise ImageRefusedError("image_colour_mode")
    samples = dataset.pixel_array
    if samples.ndim == 3:
        if samples.dtype != np.uint8:
            raise ImageRefusedError("image_colour_mode")
        grey = _grey(samples)
        return _unit(grey), reading.of_picture(grey)
    padding = _padding(dataset, samples)
    curve = _curve(dataset)
    pixels = _windowed(dataset, samples, curve, padding)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        np.subtract(1, pixels, out=pixels)
    if padding is not None:
        pixels[padding] = 0
    return pixels, reading.of_dicom(dataset, samples, curve=curve, padding=padding)


def _require_pixels(dataset: Dataset) -> None:
    """The pixel data are there and, uncompressed, complete; samples are 8 or 16 bits wide as CR and DX have them."""
    if not dataset.get("PixelData"):
        raise ImageRefusedError("dicom_no_pixels")
    if dataset.get("BitsAllocated") not in (8, 16) or not 1 <= dataset.get("BitsStored", 0) <= dataset.BitsAllocated:
        raise ImageRefusedError("dicom_invalid")
    expected = dataset.Rows * dataset.Columns * dataset.get("SamplesPerPixel", 1) * dataset.BitsAllocated // 8
    if not dataset.file_meta.TransferSyntaxUID.is_compressed and len(dataset.PixelData) < expected:
        raise ImageRefusedError("dicom_no_pixels")


def _padding(dataset: Dataset, samples: _Samples) -> npt.NDArray[np.bool_] | None:
    """Where the device wrote "no film here" (PixelPaddingValue, or the range up to PixelPaddingRangeLimit)."""
    value = dataset.get("PixelPaddingValue")
    if not isinstance(value, int):
        return None
    low, high = sorted((value, int(dataset.get("PixelPaddingRangeLimit", value))))
    mask = (samples >= low) & (samples <= high)
    return mask if mask.any() and not mask.all() else None


def _curve(dataset: Dataset) -> npt.NDArray[np.floating] | None:
    """Modality and VOI LUT (PS3.3 C.11.1, C.11.2) as one table over every sample value, so that memory stays small.

    Without a window, samples of up to 8 bits are already display values and keep their scale (the same film as PNG
    gives the same numbers); deeper ones are detector values with an arbitrary scale, and have no curve.
    """
    bits, low = dataset.BitsStored, _lowest(dataset)
    ramp = np.arange(low, low + (1 << bits))
    curve = _voi_curve(dataset, apply_modality_lut(ramp, dataset))
    return np.linspace(0, 1, len(ramp)) if curve is None and bits <= 8 else curve


def _lowest(dataset: Dataset) -> int:
    return -(1 << (dataset.BitsStored - 1)) if dataset.get("PixelRepresentation") else 0


def _windowed(
    dataset: Dataset,
    samples: _Samples,
    curve: npt.NDArray[np.floating] | None,
    padding: npt.NDArray[np.bool_] | None,
) -> ImageArray:
    """Samples through the curve; those without one are spread by percentiles."""
    if curve is None:
        spread = _spread(samples, None if padding is None else ~padding)
        return 1 - spread if float(dataset.get("RescaleSlope") or 1) < 0 else spread
    table = np.clip(curve, 0, 1).astype(np.float32)
    return table[np.clip(samples.astype(np.int32) - _lowest(dataset), 0, len(table) - 1)]


def _voi_curve(dataset: Dataset, values: npt.NDArray[np.number]) -> npt.NDArray[np.floating] | None:
    """`values` through the first VOI LUT or window, from 0 (black end) to 1 (white end); None without a valid one."""
    if dataset.get("VOILUTSequence"):
        curve = apply_voi_lut(np.rint(values).astype(np.int64), dataset).astype(float)
        return curve / float(2 ** dataset.VOILUTSequence[0].LUTDescriptor[2] - 1)
    if dataset.get("WindowWidth") is None or dataset.get("WindowCenter") is None:
        return None
    far = 1e9  # beyond any window: the two ends of its output
    try:
        curve = apply_voi_lut(np.concatenate([values, [-far, far]]).astype(float), dataset)
    except ValueError:  # a window narrower than the standard allows
        return None
    black, white = curve[-2:]
    return (curve[:-2] - black) / (white - black)

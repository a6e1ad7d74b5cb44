"""The reading copy: a film's own values without loss, and what a viewer must know to show and measure them.

May import NumPy, Pillow, pydicom, `mlcore.png` and `mlcore.contracts`. `mlcore.decode` fills a `StoredFilm` in the same
pass that makes intensities; `prepare` writes both parts beside the display copy. No word that a person typed travels
with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom.dataset import Dataset

from mlcore.contracts import DecodedImage, Spacing, StoredFilm, Window
from mlcore.png import grey_png

#: Without a window of its own a film is shown between these percentiles: dead pixels and markers set no scale.
SPREAD_PERCENTILES = (0.1, 99.9)
#: A device's curve is replaced by the straight line through these two points of it.
_CURVE_POINTS = (0.05, 0.95)
_MAX_WINDOWS = 8
_MAX_MILLIMETRES = 10.0  # no pixel of a film is wider

_Samples = npt.NDArray[np.integer]
_Curve = npt.NDArray[np.floating]

TAGS = (
    "PixelSpacing",
    "PixelSpacingCalibrationType",
    "ImagerPixelSpacing",
    "NominalScannedPixelSpacing",
)


def reading_png(film: StoredFilm) -> bytes:
    """The samples as a grey PNG of 8 or 16 bits, without anything else. Its sample 0 stands for `film.lowest`."""
    samples = film.samples
    if film.lowest:
        samples = (samples.astype(np.int32) - film.lowest).astype(np.uint8 if samples.itemsize == 1 else np.uint16)
    return grey_png(samples)


def reading_facts(image: DecodedImage) -> dict[str, Any]:
    """What a viewer needs beside the PNG, ready for JSON. `windows` is never empty; by the first the film is shown."""
    film = image.stored
    if film is None:
        raise ValueError("this image was decoded without its stored values")
    rows, columns = film.samples.shape
    return {
        "rows": rows,
        "columns": columns,
        "bits": film.bits,
        "lowest": film.lowest,
        "inverted": film.inverted,
        "photometric": film.photometric,
        "slope": film.slope,
        "intercept": film.intercept,
        "windows": [asdict(window) for window in film.windows],
        "spacing": asdict(film.spacing) if film.spacing else None,
        "view_position": _code(image.facts.view_position),
        "body_part": _code(image.facts.body_part),
    }


def of_picture(samples: npt.NDArray[np.unsignedinteger]) -> StoredFilm:
    """A grey picture: 8 bits are display values already, deeper ones are shown between percentiles."""
    bits = samples.itemsize * 8
    first = (_between(0, 255, "full"),) if bits == 8 else ()
    return StoredFilm(samples, bits, windows=_unique(*first, _range_of(samples, None)))


def of_dicom(
    dataset: Dataset, samples: _Samples, *, curve: _Curve | None, padding: npt.NDArray[np.bool_] | None
) -> StoredFilm:
    """The stored values of a DICOM film. `curve` leads from each possible value, lowest first, to light in [0, 1]."""
    has_table = bool(dataset.get("ModalityLUTSequence"))
    slope = 1.0 if has_table else float(dataset.get("RescaleSlope") or 1)
    intercept = 0.0 if has_table else float(dataset.get("RescaleIntercept") or 0)
    signed = bool(dataset.get("PixelRepresentation"))
    bits = int(dataset.BitsStored)
    first = -(1 << (bits - 1)) if signed else 0
    windows: list[Window] = []
    falls = False
    if has_table or dataset.get("VOILUTSequence") or dataset.get("VOILUTFunction", "LINEAR") == "SIGMOID":
        line = None if curve is None else _straight(curve, first)
        if line is not None:
            low, high = sorted(slope * end + intercept for end in line)
            windows.append(_between(low, high, "curve"))
            falls = (line[0] > line[1]) != (slope < 0)
    if not has_table:
        windows += _header_windows(dataset)
    if not windows and bits <= 8:
        windows.append(_scaled(first, first + (1 << bits) - 1, slope, intercept, of="full"))
    is_negative = dataset.PhotometricInterpretation == "MONOCHROME1"
    return StoredFilm(
        samples,
        bits,
        lowest=int(np.iinfo(samples.dtype).min),
        photometric="MONOCHROME1" if is_negative else "MONOCHROME2",
        inverted=is_negative != falls,
        slope=slope,
        intercept=intercept,
        windows=_unique(*windows, _range_of(samples, padding, slope, intercept)),
        spacing=_spacing(dataset),
    )


def spread_of(samples: _Samples) -> tuple[float, float]:
    """The values at `SPREAD_PERCENTILES`, as `np.percentile` gives them. It sorts; samples of 8 or 16 bits have so few
    values that each is counted, in a fifth to a twentieth of the time."""
    lowest = int(np.iinfo(samples.dtype).min)
    if samples.dtype == np.uint8:
        counts = np.array(Image.fromarray(np.atleast_2d(samples)).histogram())
    else:
        counts = np.bincount(samples.ravel().astype(np.int64) - lowest)
    at = np.true_divide(SPREAD_PERCENTILES, 100) * (samples.size - 1)
    ranks = np.floor(at)
    places = [ranks, np.minimum(ranks + 1, samples.size - 1)]
    below, above = np.searchsorted(np.cumsum(counts), places, "right") + lowest
    share, step = at - ranks, above - below
    low, high = np.where(share < 0.5, below + step * share, above - step * (1 - share))
    return float(low), float(high)


# --- windows


def _between(low: float, high: float, of: Any) -> Window:
    return Window((low + high) / 2, max(high - low, 1e-6), of)


def _scaled(low: float, high: float, slope: float, intercept: float, *, of: str = "range") -> Window:
    low, high = sorted((slope * low + intercept, slope * high + intercept))
    return _between(low, high, of)


def _range_of(
    samples: _Samples, padding: npt.NDArray[np.bool_] | None, slope: float = 1.0, intercept: float = 0.0
) -> Window:
    low, high = spread_of(samples if padding is None else samples[~padding])
    return _scaled(low, max(high, low + 1), slope, intercept)


def _unique(*windows: Window) -> tuple[Window, ...]:
    kept: dict[tuple[float, float], Window] = {}
    for window in windows:
        kept.setdefault((round(window.centre, 3), round(window.width, 3)), window)
    return tuple(kept.values())


def _header_windows(dataset: Dataset) -> Iterator[Window]:
    centres, widths = _numbers(dataset, "WindowCenter"), _numbers(dataset, "WindowWidth")
    for centre, width in list(zip(centres, widths, strict=False))[:_MAX_WINDOWS]:
        if np.isfinite(centre) and np.isfinite(width) and width >= 1:
            yield Window(centre, width, "header")


def _straight(curve: _Curve, first: int) -> tuple[float, float] | None:
    """Where a straight line through the curve is black and where it is white, in stored values."""
    rises = curve[-1] >= curve[0]
    rising = np.maximum.accumulate(curve if rises else curve[::-1])
    low, high = np.searchsorted(rising, _CURVE_POINTS)
    if high <= low:
        return None
    reach = (high - low) / (_CURVE_POINTS[1] - _CURVE_POINTS[0])
    black = low - _CURVE_POINTS[0] * reach
    ends = (black, black + reach)
    if not rises:
        ends = (len(curve) - 1 - ends[0], len(curve) - 1 - ends[1])
    return first + float(ends[0]), first + float(ends[1])


# --- other facts


def _spacing(dataset: Dataset) -> Spacing | None:
    """How far apart pixels lie, and where that holds (PS3.3 10.7.1.3): a body part lies before the detector and is
    drawn larger than it is, so millimetres at the detector are no millimetres of the patient."""
    imager, pixel = _pair(dataset, "ImagerPixelSpacing"), _pair(dataset, "PixelSpacing")
    if pixel is not None and (imager is not None or dataset.get("PixelSpacingCalibrationType")):
        calibrated = imager is None or not np.allclose(pixel, imager, rtol=1e-4)
        return Spacing(*pixel, "calibrated" if calibrated else "detector")
    if imager is not None:
        return Spacing(*imager, "detector")
    if pixel is not None:
        return Spacing(*pixel, "unstated")
    scanned = _pair(dataset, "NominalScannedPixelSpacing")
    return None if scanned is None else Spacing(*scanned, "scanned")


def _pair(dataset: Dataset, keyword: str) -> tuple[float, float] | None:
    values = _numbers(dataset, keyword)
    if len(values) != 2 or not all(0 < value < _MAX_MILLIMETRES for value in values):
        return None
    return values[0], values[1]


def _numbers(dataset: Dataset, keyword: str) -> list[float]:
    value = dataset.get(keyword)
    if value is None:
        return []
    many = value if hasattr(value, "__iter__") and not isinstance(value, str) else [value]
    try:
        return [float(each) for each in many]
    except (TypeError, ValueError):
        return []


def _code(text: str) -> str:
    """A DICOM code string as it may be; anything else is free text and stays behind."""
    return text if re.fullmatch(r"[A-Z0-9 _]{1,16}", text) else ""

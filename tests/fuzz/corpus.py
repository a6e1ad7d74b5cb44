"""Where fuzzing begins and what it may find: good films in every encoding, and the rule that no bytes break.

May import `mlcore`, `tests.encodings`, `tests.films`. Used by `test_decode.py` (Hypothesis) and `decode_atheris.py`.
"""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from pathlib import Path

from mlcore.contracts import IMAGE_CODES, ImageRefusedError
from mlcore.decode import decode, inspect_header
from tests.encodings import WRITABLE_SYNTAXES, as_dicom, as_gif, as_jpeg, as_png, as_png16
from tests.films import synthetic_film

FOLDER = Path(__file__).resolve().parents[2] / "var" / "fuzz"
#: Inputs that broke something.
FINDINGS = FOLDER / "findings"
MARK = b"\x89PNG\r\n\x1a\n"
#: Values at which parsers go wrong, for the tags that say how the pixels are to be read.
EDITS = {
    "Rows": (0, 1, 143, 65535),
    "Columns": (0, 1, 161, 65535),
    "SamplesPerPixel": (0, 2, 3, 65535),
    "BitsAllocated": (0, 1, 12, 32, 64),
    "BitsStored": (0, 1, 17, 65535),
    "HighBit": (0, 31, 65535),
    "PixelRepresentation": (1, 2),
    "PlanarConfiguration": (1, 7),
    "NumberOfFrames": ("0", "-1", "2", "9" * 12),
    "PhotometricInterpretation": ("RGB", "YBR_FULL", "PALETTE COLOR", "MONOCHROME1", "", "X" * 16),
    "WindowCenter": ("nan", "1e308", "-0"),
    "WindowWidth": ("nan", "inf", "0", "-1", "1e-300"),
    "RescaleSlope": ("nan", "0", "-1", "1e308"),
    "RescaleIntercept": ("nan", "inf", "1e308"),
    "PixelPaddingValue": (0, 4095, 65535),
    "PixelData": (b"", b"\0" * 10),
}


@cache
def seeds() -> dict[str, bytes]:
    """Small films: each format, each transfer syntax."""
    film = synthetic_film(14, (160, 144))
    several = io.BytesIO()
    film.save(several, "GIF", save_all=True, append_images=[synthetic_film(15, (160, 144))])
    pictures = {
        "jpeg": as_jpeg(film, description="PATIENT DOE^JOHN", orientation=6),
        "progressive": _saved(film, "JPEG", progressive=True),
        "cmyk": _saved(film.convert("CMYK"), "JPEG"),
        "png": as_png(film, text={"PatientID": "0042"}),
        "png16": as_png16(film),
        "rgba": as_png(film.convert("RGBA")),
        "palette": as_png(film.quantize(16)),
        "gif": as_gif(film),
        "animated": several.getvalue(),
    }
    files = {f"dicom-{syntax}": as_dicom(film, transfer_syntax=syntax) for syntax in WRITABLE_SYNTAXES}
    windowed = as_dicom(film, window=(2048, 1024), RescaleSlope="1", RescaleIntercept="0", PixelPaddingValue=0)
    return {**pictures, **files, "windowed": windowed}


def _saved(film: object, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    film.save(stream, kind, **options)  # type: ignore[attr-defined]
    return stream.getvalue()


@cache
def edited() -> dict[str, bytes]:
    """The DICOM film with one tag at an odd value."""
    film = synthetic_film(14, (160, 144))
    films = {}
    for keyword, values in EDITS.items():
        for value in values:
            films[f"{keyword}={value!r:.12}"] = as_dicom(film, window=(2048, 1024), **{keyword: value})
    return films


def mended(data: bytes) -> bytes:
    """A PNG with the check sums of its chunks made right again, so that what they guard is reached; else as it is."""
    if not data.startswith(MARK):
        return data
    parts, at = [MARK], len(MARK)
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        body = data[at + 4 : at + 8 + length]
        if len(body) < 4 + length:
            break
        parts.append(data[at : at + 4] + body + struct.pack(">I", zlib.crc32(body)))
        at += 12 + length
    return b"".join(parts) + data[at:]


def judge(data: bytes) -> str:
    """ "film", or the code of the refusal. Whatever else is raised is a finding, and so is a picture out of range."""
    outcome = "film"
    try:
        facts, _ = inspect_header(io.BytesIO(data))
        pixels = decode(data).pixels
        assert pixels.dtype == "float32"
        assert pixels.ndim == 2
        assert pixels.size <= 40_000_000
        assert 0 <= pixels.min() <= pixels.max() <= 1
        assert facts.width * facts.height == pixels.size
    except ImageRefusedError as refusal:
        outcome = refusal.code
    assert outcome == "film" or outcome in IMAGE_CODES
    return outcome

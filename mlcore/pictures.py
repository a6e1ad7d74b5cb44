"""JPEG, PNG and GIF headers: where the picture begins and ends, its size, and what its text says.

May import NumPy-free libraries only (Pillow) and `mlcore.contracts`. Everything here is bounded: it
walks markers, chunks and blocks without inflating anything or decoding a pixel. Next: `mlcore.header`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from PIL import ExifTags, Image

MAX_PIXELS = 40_000_000

# Pillow's own guard is process-wide state; it is set once, here, where every picture is opened.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)

PILLOW_FORMATS = ("JPEG", "PNG", "GIF")

# Far above any real film; below what makes Pillow slow (it joins comments and EXIF parts one by one).
_MAX_MARKERS, _MAX_JPEG_HEADER = 5_000, 8 << 20
_MAX_PNG_CHUNKS, _MAX_PNG_SQUEEZED = 50_000, 20
_MAX_GIF_PARTS, _MAX_GIF_TEXT_BLOCKS, _MAX_GIF_IMAGE_BLOCKS = 1_000, 1_000, 1_000_000
_PNG_SQUEEZED = frozenset((b"zTXt", b"iTXt", b"iCCP"))  # each may inflate to a megabyte before Pillow stops
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_ORIENTATION_SWAPS_SIDES = frozenset({5, 6, 7, 8})


class Outline(NamedTuple):
    """`width` × `height` as the header states them; `end` is the offset after the picture, None if it never ends."""

    width: int
    height: int
    bits: int
    end: int | None


class PictureFacts(NamedTuple):
    """What Pillow says without decoding: size after EXIF orientation, several pictures or one, embedded text."""

    width: int
    height: int
    is_animated: bool
    texts: tuple[str, ...]


def outline(stream: BinaryIO, kind: str) -> Outline:
    """Walk the container of `kind` ("jpeg", "png", "gif"). Raises ValueError when there is no readable header."""
    stream.seek(0)
    return {"jpeg": _jpeg_outline, "png": _png_outline, "gif": _gif_outline}[kind](stream)


def open_picture(stream: BinaryIO) -> Image.Image:
    """Pillow's lazy image, never one of the formats that call other programs."""
    stream.seek(0)
    return Image.open(stream, formats=PILLOW_FORMATS)


def read_facts(image: Image.Image) -> PictureFacts:
    """Header facts of an image that has not been loaded, and is not loaded here (`getexif` would load a PNG)."""
    exif = Image.Exif()
    exif.load(image.info.get("exif", b""))
    width, height = image.size
    if exif.get(ExifTags.Base.Orientation) in _ORIENTATION_SWAPS_SIDES:
        width, height = height, width
    texts = [_text(f"{key}={value}") for key, value in image.info.items() if isinstance(value, str)]
    texts.append(_text(image.info.get("comment", "")))
    texts += [_text(value) for value in exif.values()]
    texts += [_text(value) for value in exif.get_ifd(ExifTags.IFD.Exif).values()]
    animated = bool(getattr(image, "is_animated", False))
    return PictureFacts(width, height, animated, tuple(text for text in texts if text))


def _text(value: object) -> str:
    """Readable characters of an EXIF or PNG value; numbers and offsets say nothing about a person."""
    if isinstance(value, bytes):
        value = value[:4096].replace(b"\0", b"").decode("utf-8", "replace")
    return value[:4096] if isinstance(value, str) else ""


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) != count:
        raise ValueError("the header ends early")
    return data


def _jpeg_outline(stream: BinaryIO) -> Outline:
    width = height = bits = header = 0
    _exactly(stream, 2)
    for _ in range(_MAX_MARKERS):
        marker = _next_jpeg_marker(stream)
        if marker is None or marker == 0xD9:
            if not width:
                raise ValueError("no frame header")
            return Outline(width, height, bits, stream.tell() if marker else None)
        if marker in (0x01, 0xD8):
            continue
        length = int.from_bytes(_exactly(stream, 2), "big") - 2
        if marker in _JPEG_FRAMES and not width:
            frame = _exactly(stream, 5)
            bits, height, width = frame[0], int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
            length -= 5
        stream.seek(max(length, 0), 1)
        header += length
        if header > _MAX_JPEG_HEADER:
            break
    raise ValueError("too many markers")


def _next_jpeg_marker(stream: BinaryIO) -> int | None:
    """The next marker code, skipping entropy-coded data (in which 0xFF is stuffed or a restart)."""
    size = 64
    while True:
        start = stream.tell()
        chunk = stream.read(size)
        found = _JPEG_MARKER.search(chunk)
        if found:
            stream.seek(start + found.end())
            return chunk[found.end() - 1]
        if len(chunk) < size:
            return None
        stream.seek(-1, 1)  # a marker may lie across the border
        size = min(8 * size, 1 << 20)


def _png_outline(stream: BinaryIO) -> Outline:
    _exactly(stream, 8)
    length, name = int.from_bytes(_exactly(stream, 4), "big"), _exactly(stream, 4)
    if name != b"IHDR" or length != 13:
        raise ValueError("no IHDR chunk")
    header = _exactly(stream, 13)
    width, height, bits = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big"), header[8]
    stream.seek(4, 1)
    squeezed = 0
    for _ in range(_MAX_PNG_CHUNKS):
        part = stream.read(8)
        if len(part) < 8:
            return Outline(width, height, bits, None)
        stream.seek(int.from_bytes(part[:4], "big") + 4, 1)
        if part[4:] == b"IEND":
            return Outline(width, height, bits, stream.tell())
        squeezed += part[4:] in _PNG_SQUEEZED
        if squeezed > _MAX_PNG_SQUEEZED:
            break
    raise ValueError("too many chunks")


def _gif_outline(stream: BinaryIO) -> Outline:
    header = _exactly(stream, 13)
    width, height = int.from_bytes(header[6:8], "little"), int.from_bytes(header[8:10], "little")
    _skip_colour_table(stream, header[10])
    text_blocks, image_blocks = iter(range(_MAX_GIF_TEXT_BLOCKS)), iter(range(_MAX_GIF_IMAGE_BLOCKS))
    for _ in range(_MAX_GIF_PARTS):
        lead = stream.read(1)
        if lead == b"\x3b":
            return Outline(width, height, 8, stream.tell())
        if lead == b"\x21":
            stream.read(1)
            _skip_sub_blocks(stream, text_blocks)
        elif lead == b"\x2c":
            frame = stream.read(9)
            if len(frame) < 9:
                break
            right, lower = (int.from_bytes(frame[at : at + 2], "little") for at in (4, 6))
            # A frame may reach beyond its screen, and the decoder then makes the picture that large.
            width = max(width, right + int.from_bytes(frame[0:2], "little"))
            height = max(height, lower + int.from_bytes(frame[2:4], "little"))
            _skip_colour_table(stream, frame[8])
            stream.read(1)
            _skip_sub_blocks(stream, image_blocks)
        else:
            break
    return Outline(width, height, 8, None)


def _skip_colour_table(stream: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        stream.seek(3 << ((flags & 7) + 1), 1)


def _skip_sub_blocks(stream: BinaryIO, budget: Iterator[int]) -> None:
    """To the end of a chain of sub-blocks; `budget` is what the whole file may still spend."""
    for _ in budget:
        size = stream.read(1)
        if size in (b"", b"\0"):
            return
        stream.seek(size[0], 1)
    raise ValueError("too many blocks")

"""The files of the bad-input table: what is sent, and the code that it must get. Nothing comes from a patient.

May import `tests.encodings`, `tests.films`, NumPy, Pillow and pydicom. Goes to: `tests.bad_inputs.table`, and by
`tests.synthetic` to every test.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset

from tests.encodings import as_dicom, as_gif, as_jpeg, as_png, written
from tests.films import synthetic_film

#: Codes that mostly the full decode finds: the upload is accepted, the prepare stage rejects the film.
_FOUND_BY_PREPARE = frozenset({"image_corrupt", "image_blank", "image_colour_mode", "dicom_no_pixels"})
#: Warnings: the film itself is good and is accepted.
_WARNINGS = frozenset({"trailing_data_removed", "low_resolution"})


class BadFile(NamedTuple):
    """What is sent, and the code it must get (of a refusal, or of a warning). `at_once`: already its header tells."""

    data: bytes
    filename: str
    content_type: str
    code: str
    at_once: bool = False

    @property
    def is_late(self) -> bool:
        """Only prepare, which decodes the pixels, finds it."""
        return self.code in _FOUND_BY_PREPARE and not self.at_once

    @property
    def is_warned(self) -> bool:
        """The film is taken, and its weakness said."""
        return self.code in _WARNINGS


@cache
def bad_files() -> dict[str, BadFile]:
    """Every upload row of the bad-input table, by name."""
    makers = (_foreign_formats, _wrong_names, _shapes, _text_bombs, _pictures, _dicom_headers, _dicom_pixels)
    return {name: bad for make in makers for name, bad in make().items()}


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("film.txt", "not a film")
    return stream.getvalue()


def _foreign_formats() -> dict[str, BadFile]:
    film = synthetic_film(1)
    code = "unsupported_media_type"
    html = b"<!DOCTYPE html><html><script>alert(1)</script></html>"
    return {
        "empty": BadFile(b"", "film.png", "image/png", "file_empty"),
        "html": BadFile(html, "film.html", "text/html", code),
        "html named png": BadFile(html, "film.png", "image/png", code),
        "svg": BadFile(b'<svg xmlns="http://www.w3.org/2000/svg"/>', "film.svg", "image/svg+xml", code),
        "pdf": BadFile(b"%PDF-1.7\n1 0 obj\n", "film.pdf", "application/pdf", code),
        "pdf header on a jpeg": BadFile(b"%PDF-1.7\n" + as_jpeg(film), "film.jpg", "image/jpeg", code),
        "eps": BadFile(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "film.png", "image/png", code),
        "zip": BadFile(_zip(), "film.zip", "application/zip", code),
        "exe": BadFile(b"MZ" + b"\0" * 400, "film.exe", "application/octet-stream", code),
        "text": BadFile(b"hello", "film.jpg", "image/jpeg", code),
        "tiff": BadFile(_saved(film, "TIFF"), "film.tif", "image/tiff", code),
        "tiff named jpg": BadFile(_saved(film, "TIFF"), "film.jpg", "image/jpeg", code),
        "webp": BadFile(_saved(film, "WEBP"), "film.webp", "image/webp", code),
        "heic": BadFile(b"\0\0\0\x18ftypheic\0\0\0\0heicmif1", "film.heic", "image/heic", code),
        "bmp": BadFile(_saved(film, "BMP"), "film.bmp", "image/bmp", code),
        "dicomdir": BadFile(_dicomdir(), "DICOMDIR", "application/dicom", code),
    }


def _dicomdir() -> bytes:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = uid.MediaStorageDirectoryStorage, uid.generate_uid()
    dataset.FileSetID = "FILES"
    return written(dataset, uid.ExplicitVRLittleEndian)


def _wrong_names() -> dict[str, BadFile]:
    film = synthetic_film(2)
    code = "type_mismatch"
    return {
        "jpeg named png": BadFile(as_jpeg(film), "film.png", "image/png", code),
        "png typed as jpeg": BadFile(as_png(film), "film.png", "image/jpeg", code),
        "gif named dcm": BadFile(as_gif(film), "film.dcm", "application/dicom", code),
        "dicom named jpg": BadFile(as_dicom(film), "film.jpg", "image/jpeg", code),
        "jpeg named exe": BadFile(as_jpeg(film), "film.exe", "application/octet-stream", code),
    }


def _png_of(width: int, height: int, *, level: int = 0) -> bytes:
    """A grey PNG whose size in pixels bears no relation to its size in bytes."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    squeeze = zlib.compressobj(9)
    row = b"\0" + bytes([level]) * width
    rows = b"".join(squeeze.compress(row * 100) for _ in range(height // 100))
    rows += squeeze.compress(row * (height % 100)) + squeeze.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _gif_frame(side: int) -> bytes:
    """A GIF of 512 squared whose only frame claims to be larger than its screen."""
    data = as_gif(synthetic_film(3))
    at = data.index(b"\x2c\0\0\0\0" + struct.pack("<HH", 512, 512))
    return data[: at + 5] + struct.pack("<HH", side, side) + data[at + 9 :]


def _inflating(megabytes: int, *, raw: bool = False) -> bytes:
    """What inflates to that many megabytes: one deflated block, repeated."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = squeeze.compress(b"x" * 1_000_000) + squeeze.flush(zlib.Z_FULL_FLUSH)
    return (b"" if raw else b"\x78\xda") + block * megabytes + squeeze.flush()


def _with_text(*chunks: bytes) -> bytes:
    """A PNG film with these chunks after its header; each is a name and a body."""
    png = as_png(synthetic_film(3))
    parts = [
        struct.pack(">I", len(each) - 4) + each + struct.pack(">I", zlib.crc32(each))  # the name is not counted
        for each in chunks
    ]
    return png[:33] + b"".join(parts) + png[33:]


def _text_bombs() -> dict[str, BadFile]:
    """Text that inflates: one chunk to 100 MB, or a hundred chunks to 1 MB each; and a colour profile to 100 MB."""

    def png(data: bytes) -> BadFile:
        return BadFile(data, "film.png", "image/png", "image_corrupt", at_once=True)

    large, medium = _inflating(100), _inflating(1)
    return {
        "png with a text bomb": png(_with_text(b"zTXtComment\0\0" + large)),
        "png with an international text bomb": png(_with_text(b"iTXtComment\0\1\0\0\0" + large)),
        "png with a hundred text bombs": png(_with_text(*[b"zTXtComment\0\0" + medium] * 100)),
        "png with a profile bomb": png(_with_text(b"iCCPprofile\0\0" + large)),
    }


def _shapes() -> dict[str, BadFile]:
    def png(width: int, height: int, code: str) -> BadFile:
        return BadFile(_png_of(width, height), "film.png", "image/png", code)

    def header_only(side: int) -> BadFile:
        data = _png_of(128, 128)[:16] + struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0) + b"\0" * 4
        return BadFile(data, "film.png", "image/png", "image_too_many_pixels")

    gif_screen = b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\0\0\0;"
    return {
        "png bomb of 8944 squared": png(8944, 8944, "image_too_many_pixels"),
        "png bomb of 10000 squared": png(10000, 10000, "image_too_many_pixels"),
        "png header of 14200 squared": header_only(14200),
        "png header of 60000 squared": header_only(60000),
        "gif screen of 65535 squared": BadFile(gif_screen, "film.gif", "image/gif", "image_too_many_pixels"),
        "gif frame of 65535 squared": BadFile(_gif_frame(65535), "film.gif", "image/gif", "image_too_many_pixels"),
        "1 x 1": png(1, 1, "image_dimensions"),
        "1 x 50000": png(1, 50000, "image_dimensions"),
        "127 x 200": png(127, 200, "image_dimensions"),
        "601 x 200": png(601, 200, "image_dimensions"),
        "small film": BadFile(as_png(synthetic_film(3, (256, 256))), "film.png", "image/png", "low_resolution"),
    }


def _pictures() -> dict[str, BadFile]:
    films = [synthetic_film(seed) for seed in (4, 5)]
    jpeg, png, gif = as_jpeg(films[0]), as_png(films[0]), as_gif(films[0])
    several = {"save_all": True, "append_images": films[1:]}
    dot = b"\x2c\0\0\0\0\1\0\1\0\0\2\2\x44\1\0"  # a frame of one pixel
    colour = Image.merge("RGB", [films[0], Image.new("L", films[0].size, 90), films[1].rotate(90)])
    rng = np.random.default_rng(0)
    photo = Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).resize((512, 512), Image.Resampling.BILINEAR)

    def jpg(data: bytes, code: str) -> BadFile:
        return BadFile(data, "film.jpg", "image/jpeg", code)

    def as_sent(kind: str, data: bytes, code: str) -> BadFile:
        return BadFile(data, f"film.{kind}", f"image/{kind}", code)

    return {
        "animated gif": as_sent("gif", _saved(films[0], "GIF", **several), "image_multiframe"),
        "animated gif of 500 frames": as_sent("gif", gif[:-1] + dot * 499 + b";", "image_multiframe"),
        "animated png": as_sent("png", _saved(films[0], "PNG", **several), "image_multiframe"),
        "multi-picture jpeg": jpg(_saved(films[0], "MPO", **several), "image_multiframe"),
        "truncated jpeg": jpg(jpeg[: len(jpeg) // 2], "image_corrupt"),
        "truncated png": as_sent("png", png[: len(png) // 2], "image_corrupt"),
        "truncated gif": as_sent("gif", gif[: len(gif) // 2], "image_corrupt"),
        "png with damaged rows": as_sent("png", png[:5000] + b"\0" * 300 + png[5300:], "image_corrupt"),
        "black": as_sent("png", _png_of(512, 512), "image_blank"),
        "white": as_sent("png", _png_of(512, 512, level=255), "image_blank"),
        "cmyk": jpg(_saved(films[0].convert("CMYK"), "JPEG"), "image_colour_mode"),
        "colour jpeg": jpg(_saved(photo, "JPEG"), "image_colour_mode"),
        "colour png": as_sent("png", as_png(colour), "image_colour_mode"),
        "colour palette gif": as_sent("gif", _saved(photo.quantize(64), "GIF"), "image_colour_mode"),
        "jpeg with a zip tail": jpg(jpeg + _zip(), "trailing_data_removed"),
        "png with an html tail": as_sent("png", png + b"<script>alert(1)</script>", "trailing_data_removed"),
        "crude gif and script": as_sent("gif", b"GIF89a/*" + b"*/=1;alert(1)//" * 40, "image_too_many_pixels"),
        "gif that is a script as well": as_sent("gif", _gif_and_script(gif), "trailing_data_removed"),
        "gif with a script tail": as_sent("gif", gif + b"/*<script>*/", "trailing_data_removed"),
    }


def _gif_and_script(gif: bytes) -> bytes:
    """A well-formed GIF that a browser would run as a script: its width opens a comment, which a comment block ends."""
    table = 13 + (3 << ((gif[10] & 7) + 1))
    comment = b"*/=1;alert(1);/*"
    block = b"\x21\xfe" + bytes([len(comment)]) + comment + b"\0"
    return gif[:6] + b"/*" + struct.pack("<H", 3700) + gif[10:table] + block + gif[table:] + b"*/"


def _dicom(data: bytes, code: str) -> BadFile:
    return BadFile(data, "film.dcm", "application/dicom", code)


def _with_preamble(start: bytes, code: str) -> BadFile:
    return _dicom(start.ljust(128, b"\0") + as_dicom(synthetic_film(6))[128:], code)


def _nested(depth: int) -> bytes:
    """A film with `depth` sequences of undefined length inside each other."""
    data = as_dicom(synthetic_film(6))
    opening = struct.pack("<HH2sHIHHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)
    closing = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    at = data.index(struct.pack("<HH2s", 0x0010, 0x0010, b"PN"))
    return data[:at] + opening * depth + closing * depth + data[at:]


def _deflated_bomb() -> bytes:
    """1 MB of file, of which pydicom makes 1 GB in memory."""
    small = _without_pixels(uid.DeflatedExplicitVRLittleEndian)
    meta_ends = 144 + int.from_bytes(small[140:144], "little")
    comment = struct.pack("<HH2sHI", 0x0020, 0x4000, b"UT", 0, 1_000_000_000)
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    opening = squeeze.compress(comment) + squeeze.flush(zlib.Z_FULL_FLUSH)
    return small[:meta_ends] + opening + _inflating(1000, raw=True)


def _without_pixels(transfer_syntax: str) -> bytes:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = uid.ComputedRadiographyImageStorage, uid.generate_uid()
    dataset.Modality = "CR"
    dataset.ImageComments = "x" * 5000
    return written(dataset, transfer_syntax)


def _dicom_headers() -> dict[str, BadFile]:
    film = synthetic_film(6)
    good = as_dicom(film)
    return {
        "dicom without its part 10 header": _dicom(good[132:], "dicom_invalid"),
        "bare data set without a name": BadFile(good[132:], "IM0001", "application/octet-stream", "dicom_invalid"),
        "text named dcm": _dicom(b"This is no DICOM file. " * 20, "dicom_invalid"),
        "dicom cut in its header": _dicom(good[:420], "dicom_invalid"),
        "33 nested sequences": _dicom(_nested(33), "dicom_invalid"),
        "5000 nested sequences": _dicom(_nested(5000), "dicom_invalid"),
        "windows program": _with_preamble(b"MZ\x90\0", "dicom_executable_preamble"),
        "linux program": _with_preamble(b"\x7fELF", "dicom_executable_preamble"),
        "mac program": _with_preamble(b"\xcf\xfa\xed\xfe", "dicom_executable_preamble"),
        "script": _with_preamble(b"#!/bin/sh\n", "dicom_executable_preamble"),
        "zip in the preamble": _with_preamble(b"PK\x03\x04", "dicom_executable_preamble"),
        "html in the preamble": _with_preamble(b"<html>", "dicom_invalid"),
        "deflated": _dicom(_without_pixels(uid.DeflatedExplicitVRLittleEndian), "dicom_transfer_syntax"),
        "deflated bomb": _dicom(_deflated_bomb(), "dicom_transfer_syntax"),
        "video": _dicom(_without_pixels(uid.MPEG2MPML), "dicom_transfer_syntax"),
        "ct": _dicom(as_dicom(film, modality="CT"), "dicom_not_chest_xray"),
        "hand": _dicom(as_dicom(film, body_part="HAND"), "dicom_not_chest_xray"),
        "lateral": _dicom(as_dicom(film, view="LL"), "quality_not_chest"),
        "multi-frame": _dicom(as_dicom(film, NumberOfFrames=2), "dicom_multiframe"),
        "65535 rows, columns and 1000 frames": _dicom(
            as_dicom(film, Rows=65535, Columns=65535, NumberOfFrames=1000), "dicom_multiframe"
        ),
        "65535 rows and columns": _dicom(as_dicom(film, Rows=65535, Columns=65535), "image_too_many_pixels"),
        "64 x 64": _dicom(as_dicom(film.resize((64, 64))), "image_dimensions"),
    }


def _dicom_pixels() -> dict[str, BadFile]:
    film = synthetic_film(7)
    good = as_dicom(film)
    jpeg2000 = as_dicom(film, transfer_syntax=uid.JPEG2000Lossless)
    start = jpeg2000.index(b"\xff\x4f\xff\x51") + 4  # the code stream's own header: decoders forgive damage behind it
    damaged = jpeg2000[:start] + b"\xaa" * (len(jpeg2000) - start - 8) + jpeg2000[-8:]
    return {
        "no pixel data": _dicom(as_dicom(film, PixelData=None), "dicom_no_pixels"),
        "short pixel data": _dicom(as_dicom(film, PixelData=b"\0\1" * 1000), "dicom_no_pixels"),
        "cut in its pixel data": _dicom(good[: len(good) // 2], "dicom_no_pixels"),
        "damaged jpeg 2000": _dicom(damaged, "image_corrupt"),
    }

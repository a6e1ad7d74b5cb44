"""The cheap check of an uploaded file: which format, how large, whose, and whether it can be a film at all.

May import `mlcore.contracts` and its siblings `pictures` and `dicom_header` (Pillow, pydicom). This is all
that the web process reads of a file; `mlcore.decode` repeats it before the full decode in a child process.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import BinaryIO, Literal, NoReturn

from mlcore.contracts import FileIdentity, FilmWarning, HeaderFacts, ImageRefusedError, image_message
from mlcore.dicom_header import inspect_dicom, is_anonymous
from mlcore.pictures import MAX_PIXELS, open_picture, outline, read_facts

MIN_SIDE = 128
GOOD_SIDE = 512
MAX_ASPECT = 3

Format = Literal["jpeg", "png", "gif", "dicom"]

_EXTENSIONS: dict[str, Format] = {
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".png": "png",
    ".gif": "gif",
    ".dcm": "dicom",
    ".dicom": "dicom",
}
_CONTENT_TYPES: dict[str, Format] = {
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/pjpeg": "jpeg",
    "image/png": "png",
    "image/x-png": "png",
    "image/gif": "gif",
    "application/dicom": "dicom",
    "image/dicom": "dicom",
}
_GENERIC_TYPES = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/x-www-form-urlencoded"})
_MAGIC: tuple[tuple[bytes, Format], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
)
_CONVERTIBLE_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"BM", b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")
_CONVERT_HINT = " Convert it to PNG, JPEG or DICOM."

# Every repetition has an end: an open one costs the square of a long run of blanks.
_PATIENT_ID = re.compile(r"patient\s{0,9}'?s?[\s_]{0,9}(?:id|number|no\.?)\s{0,9}[=:]\s{0,9}([\w./-]{1,64})", re.I)
_PATIENT_NUMBER = re.compile(r"\bpatient\s{1,9}#?([\w./-]{0,40}\d[\w./-]{0,40})", re.I)
_PATIENT_NAME = re.compile(r"patient\s{0,9}'?s?[\s_]{0,9}name\s{0,9}[=:]\s{0,9}([^\n;,|=]{1,64})", re.I)
_CARET_NAME = re.compile(r"(?<![\w'-])([^\W\d_][\w'-]*(?:\^[\w'.-]+(?: [\w'.-]+)?)+)")
_MAX_TEXT = 1 << 16
_BIRTH_DATE = re.compile(
    r"(?:birth[\s_]{0,9}date|date[\s_]{0,9}of[\s_]{0,9}birth|\bdob)\s{0,9}[=:]\s{0,9}(\d{4}-?\d\d-?\d\d)", re.I
)


def inspect_header(stream: BinaryIO, *, name: str = "", content_type: str = "") -> tuple[HeaderFacts, FileIdentity]:
    """Facts about the file and the identity it carries, from its header alone.

    `stream` is seekable and is left at its beginning; `name` and `content_type` are what the sender declared.
    Raises ImageRefusedError with a code of `IMAGE_CODES` and nothing else, whatever the bytes are
    (a failing disk is still an OSError).
    """
    stream.seek(0)
    head = stream.read(512)
    actual = sniff(head)
    try:
        if actual is None:
            _refuse_unknown(head, name, content_type)
        _check_declared(actual, name, content_type)
        facts, identity = inspect_dicom(stream) if actual == "dicom" else _inspect_picture(stream, actual)
        _check_size(facts.width, facts.height)
    except ImageRefusedError:
        raise
    except OSError as error:
        if error.errno:
            raise
        raise _damaged(actual) from error
    except Exception as error:  # Pillow and pydicom raise whatever a parser can on hostile bytes
        raise _damaged(actual) from error
    finally:
        stream.seek(0)
    return replace(facts, warnings=facts.warnings + _size_warnings(facts)), identity


def sniff(head: bytes) -> Format | None:
    """The accepted format that the first bytes show; the DICOM mark wins over any preamble."""
    if head[128:132] == b"DICM":
        return "dicom"
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)


def _damaged(actual: Format | None) -> ImageRefusedError:
    return ImageRefusedError("dicom_invalid" if actual == "dicom" else "image_corrupt")


def _refuse_unknown(head: bytes, name: str, content_type: str) -> NoReturn:
    if not head:
        raise ImageRefusedError("file_empty")
    if "dicom" in (_named(name), _typed(content_type)) or _is_bare_data_set(head):
        raise ImageRefusedError("dicom_invalid")
    convertible = (
        head.startswith(_CONVERTIBLE_MAGIC)
        or (head.startswith(b"RIFF") and head[8:12] == b"WEBP")
        or head[4:8] == b"ftyp"
    )
    raise ImageRefusedError("unsupported_media_type", hint=_CONVERT_HINT if convertible else "")


def _is_bare_data_set(head: bytes) -> bool:
    """A DICOM data set without its Part 10 header: it begins with a short element of group 0002 or 0008."""
    if len(head) < 8 or head[:2] not in (b"\x08\0", b"\0\x08", b"\x02\0"):
        return False
    is_explicit = head[4:6].isalpha() and head[4:6].isupper()
    return 0 in head[2:4] and (is_explicit or head[6:8] == b"\0\0")


def _named(name: str) -> str | None:
    """The format that the extension claims; "" for no extension (also the numbers of a UID), None for another."""
    extension = os.path.splitext(name.strip().lower())[1]
    if extension in ("", ".") or extension[1:].isdigit():
        return ""
    return _EXTENSIONS.get(extension)


def _typed(content_type: str) -> str | None:
    declared = content_type.partition(";")[0].strip().lower()
    return "" if declared in _GENERIC_TYPES else _CONTENT_TYPES.get(declared)


def _check_declared(actual: Format, name: str, content_type: str) -> None:
    extension = os.path.splitext(name)[1]
    for declared, shown in ((_named(name), extension), (_typed(content_type), content_type)):
        if declared not in ("", actual):
            readable = re.sub(r"[^\w./+-]", "", shown)[:32]
            raise ImageRefusedError(
                "type_mismatch", named=readable, actual="DICOM" if actual == "dicom" else actual.upper()
            )


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ImageRefusedError("image_too_many_pixels", width=width, height=height, limit=MAX_PIXELS // 1_000_000)
    short, long = sorted((width, height))
    if short < MIN_SIDE or long > MAX_ASPECT * short:
        raise ImageRefusedError("image_dimensions", width=width, height=height, minimum=MIN_SIDE, aspect=MAX_ASPECT)


def _inspect_picture(stream: BinaryIO, kind: Literal["jpeg", "png", "gif"]) -> tuple[HeaderFacts, FileIdentity]:
    shape = outline(stream, kind)
    _check_size(shape.width, shape.height)
    with open_picture(stream) as image:
        picture = read_facts(image)
    if picture.is_animated:
        raise ImageRefusedError("image_multiframe")
    has_tail = shape.end is not None and shape.end < stream.seek(0, io.SEEK_END)
    facts = HeaderFacts(
        format=kind,
        width=picture.width,
        height=picture.height,
        bits=shape.bits,
        warnings=(_warning("trailing_data_removed"),) if has_tail else (),
    )
    return facts, _identity(picture.texts)


def _size_warnings(facts: HeaderFacts) -> tuple[FilmWarning, ...]:
    if min(facts.width, facts.height) >= GOOD_SIDE:
        return ()
    return (_warning("low_resolution", width=facts.width, height=facts.height),)


def _warning(code: str, **params: object) -> FilmWarning:
    return FilmWarning(code, image_message(code, **params))


def _identity(texts: Iterable[str]) -> FileIdentity:
    """Text that exporters write into EXIF, PNG and GIF comments: "PatientID=0042", "PATIENT DOE^JOHN"."""
    text = "\n".join(texts)[:_MAX_TEXT]
    patient_id = _first(text, _PATIENT_ID, _PATIENT_NUMBER)
    name = _first(text, _PATIENT_NAME, _CARET_NAME)
    if is_anonymous(name):
        return FileIdentity()
    return FileIdentity(
        "" if is_anonymous(patient_id) else patient_id, name, _first(text, _BIRTH_DATE).replace("-", "")
    )


def _first(text: str, *patterns: re.Pattern[str]) -> str:
    return next((found.group(1).strip() for pattern in patterns if (found := pattern.search(text))), "")

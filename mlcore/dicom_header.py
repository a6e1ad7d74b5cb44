"""The DICOM header: file meta, a bounded walk over the data set, and the rules a chest film must meet.

May import pydicom and `mlcore.contracts`. Nothing is inflated, no pixel is read, nesting and the number
of elements are limited before pydicom sees anything. Next: `mlcore.header`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from pydicom import config, uid
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from mlcore.contracts import FileIdentity, HeaderFacts, ImageRefusedError

# A header with an odd date or a long name is still a film: values are taken as they are.
config.settings.reading_validation_mode = config.IGNORE

MAX_NESTING = 32
_MAX_ELEMENTS = 50_000  # a real film has a few hundred
_MAX_VALUE = 4096
_PIXEL_GROUP = 0x7FE0
_UNDEFINED = 0xFFFFFFFF
_LONG_VRS = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_PROGRAM_MARKS = (b"MZ", b"\x7fELF", b"#!", b"PK")
_MACH_O_MARKS = (b"\xfe\xed\xfa", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf")
_TIFF_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_DICOMDIR = "1.2.840.10008.1.3.10"
TRANSFER_SYNTAXES = frozenset(
    {
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.JPEGBaseline8Bit,
        uid.JPEGExtended12Bit,
        uid.JPEGLossless,
        uid.JPEGLosslessSV1,
        uid.JPEGLSLossless,
        uid.JPEGLSNearLossless,
        uid.JPEG2000Lossless,
        uid.JPEG2000,
        uid.RLELossless,
    }
)
MODALITIES = frozenset({"CR", "DX", "DR"})
_CHEST_WORDS = ("CHEST", "THORA", "TORAX", "LUNG", "RIB", "PULMO", "CLAVIC", "STERN", "HEART", "BRONCH")
_NO_BODY_PART = frozenset({"", "UNKNOWN", "OTHER", "NONE", "UNSPECIFIED", "NA"})
_LATERAL_VIEWS = frozenset({"LL", "RL", "LAT", "LATERAL", "LLAT", "RLAT", "LEFTLATERAL", "RIGHTLATERAL"})
_ANONYMOUS = re.compile(r"anonym|de-?identif|removed|redacted", re.IGNORECASE)

_KEYWORDS = (
    "SpecificCharacterSet",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "AcquisitionDateTime",
    "AcquisitionDate",
    "AcquisitionTime",
    "ContentDate",
    "ContentTime",
    "StudyDate",
    "StudyTime",
    "Modality",
    "BodyPartExamined",
    "ViewPosition",
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientIdentityRemoved",
    "BurnedInAnnotation",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
)
_WANTED = frozenset(tag for keyword in _KEYWORDS if (tag := tag_for_keyword(keyword)) is not None)
_TRANSFER_SYNTAX_UID = 0x00020010
_MEDIA_SOP_CLASS_UID = 0x00020002


class Element(NamedTuple):
    """One top-level element: `start` of its tag, `value` offset and `length` in bytes."""

    tag: int
    start: int
    value: int
    length: int


@dataclass(slots=True)
class _Frame:
    """An open sequence or item; `end` None means it ends at its delimiter."""

    kind: str  # "sequence", "item" or "fragments"
    end: int | None
    implicit: bool


class _Walk:
    """Iterates over the top-level elements of a data set, stepping through nested ones without recursion."""

    def __init__(self, stream: BinaryIO, start: int, *, implicit: bool, little: bool) -> None:
        self.stream, self.implicit, self.order = stream, implicit, "little" if little else "big"
        self.size = stream.seek(0, io.SEEK_END)
        self.position = stream.seek(start)
        self.frames: list[_Frame] = []

    def __iter__(self) -> Iterator[Element]:
        for _ in range(_MAX_ELEMENTS):
            self._close_finished()
            self.stream.seek(self.position)
            head = self.stream.read(8)
            if len(head) < 8:
                return
            tag = self._number(head[:2]) << 16 | self._number(head[2:4])
            if tag >> 16 == 0xFFFE:
                self._delimiter(tag, self._number(head[4:8]))
                continue
            top_level = not self.frames
            element, vr = self._element(tag, head)
            if top_level and tag >> 16 >= _PIXEL_GROUP:
                return
            self._enter(element, vr)
            if top_level:
                yield element
        raise ImageRefusedError("dicom_invalid")

    def _number(self, data: bytes) -> int:
        return int.from_bytes(data, self.order)  # type: ignore[arg-type]

    def _close_finished(self) -> None:
        while self.frames and self.frames[-1].end is not None and self.position >= self.frames[-1].end:
            self.frames.pop()

    def _delimiter(self, tag: int, length: int) -> None:
        self.position += 8
        if tag != 0xFFFEE000:  # end of an item or a sequence
            if self.frames:
                self.frames.pop()
        elif not self.frames or self.frames[-1].kind == "fragments":
            self.position += length
        else:
            end = None if length == _UNDEFINED else self.position + length
            self.frames.append(_Frame("item", end, self.frames[-1].implicit))

    def _element(self, tag: int, head: bytes) -> tuple[Element, bytes]:
        start = self.position
        if self.frames[-1].implicit if self.frames else self.implicit:
            return Element(tag, start, start + 8, self._number(head[4:8])), _dictionary_vr(tag)
        vr = head[4:6]
        if vr in _LONG_VRS:
            return Element(tag, start, start + 12, self._number(self.stream.read(4))), vr
        return Element(tag, start, start + 8, self._number(head[6:8])), vr

    def _enter(self, element: Element, vr: bytes) -> None:
        """Move to the value's end, or into it when it holds items."""
        undefined = element.length == _UNDEFINED
        end = None if undefined else element.value + element.length
        if end is not None and end > self.size:
            raise ImageRefusedError("dicom_invalid")
        self.position = element.value
        implicit = self.frames[-1].implicit if self.frames else self.implicit
        if vr == b"SQ" or (undefined and (implicit or vr == b"UN")):
            self.frames.append(_Frame("sequence", end, implicit or vr == b"UN"))
            if sum(frame.kind == "sequence" for frame in self.frames) > MAX_NESTING:
                raise ImageRefusedError("dicom_invalid")
        elif undefined:
            self.frames.append(_Frame("fragments", None, implicit))
        elif end is not None:
            self.position = end


def _dictionary_vr(tag: int) -> bytes:
    try:
        return dictionary_VR(tag).encode()
    except KeyError:
        return b"UN"


def inspect_dicom(stream: BinaryIO) -> tuple[HeaderFacts, FileIdentity]:
    """Facts and identity of a DICOM file; ImageRefusedError when it is not one chest film we can read.

    The transfer syntax is judged from the file meta before anything else is parsed: a deflated data set
    of 1 MB inflates to 2 GB.
    """
    _check_preamble(stream)
    transfer_syntax, start = _file_meta(stream)
    header = _header(stream, start, transfer_syntax)
    _check_chest_film(header)
    width, height = int(header.get("Columns") or 0), int(header.get("Rows") or 0)
    if width < 1 or height < 1:
        raise ImageRefusedError("dicom_no_pixels")
    facts = HeaderFacts(
        format="dicom",
        width=width,
        height=height,
        bits=int(header.get("BitsStored") or header.get("BitsAllocated") or 8),
        modality=_word(header, "Modality"),
        view_position=_word(header, "ViewPosition"),
        body_part=_word(header, "BodyPartExamined"),
        photometric=_word(header, "PhotometricInterpretation"),
        transfer_syntax=transfer_syntax,
        sop_instance_uid=_word(header, "SOPInstanceUID"),
        series_instance_uid=_word(header, "SeriesInstanceUID"),
        study_instance_uid=_word(header, "StudyInstanceUID"),
        acquired_at=_acquired_at(header),
        burned_in=_word(header, "BurnedInAnnotation").upper(),
    )
    return facts, _identity(header)


def _check_preamble(stream: BinaryIO) -> None:
    """128 zero bytes or a TIFF mark (dual-personality files); a program header is CVE-2019-11687."""
    stream.seek(0)
    preamble = stream.read(132)
    if preamble[128:] != b"DICM":
        raise ImageRefusedError("dicom_invalid")
    if preamble.startswith(_PROGRAM_MARKS) or preamble.startswith(_MACH_O_MARKS) or preamble[1:4] == b"\xfa\xed\xfe":
        raise ImageRefusedError("dicom_executable_preamble")
    if any(preamble[:128]) and not preamble.startswith(_TIFF_MARKS):
        raise ImageRefusedError("dicom_invalid")


def _file_meta(stream: BinaryIO) -> tuple[str, int]:
    """The transfer syntax and where the data set begins."""
    values: dict[int, str] = {}
    start = 132
    for element in _Walk(stream, 132, implicit=False, little=True):
        if element.tag >> 16 != 2:
            break
        if element.tag in (_TRANSFER_SYNTAX_UID, _MEDIA_SOP_CLASS_UID):
            stream.seek(element.value)
            values[element.tag] = stream.read(min(element.length, 64)).rstrip(b"\0 ").decode("ascii", "replace")
        start = element.value + element.length
        if element.tag == _TRANSFER_SYNTAX_UID and values[element.tag] not in TRANSFER_SYNTAXES:
            raise ImageRefusedError("dicom_transfer_syntax")
        if values.get(_MEDIA_SOP_CLASS_UID) == _DICOMDIR:
            raise ImageRefusedError("unsupported_media_type")
    if _TRANSFER_SYNTAX_UID not in values:
        raise ImageRefusedError("dicom_invalid")
    return values[_TRANSFER_SYNTAX_UID], start


def _header(stream: BinaryIO, start: int, transfer_syntax: str) -> Dataset:
    """The wanted elements, read by pydicom from a copy that holds nothing else."""
    little = transfer_syntax != uid.ExplicitVRBigEndian
    stream.seek(start + 4)
    # Some writers declare one encoding and use the other; the first element shows which (as pydicom decides).
    implicit = not all(0x40 < byte < 0x5B for byte in stream.read(2))
    copy = io.BytesIO()
    for element in _Walk(stream, start, implicit=implicit, little=little):
        if element.tag in _WANTED and element.length <= _MAX_VALUE:
            stream.seek(element.start)
            copy.write(stream.read(element.value + element.length - element.start))
    copy.seek(0)
    return read_dataset(copy, implicit, little)


def _word(header: Dataset, keyword: str) -> str:
    value = header.get(keyword)
    if value is None:
        return ""
    if not isinstance(value, str) and hasattr(value, "__iter__") and not hasattr(value, "original_string"):
        value = next(iter(value), "")
    return str(value).strip().replace("\0", "")[:64]


def _check_chest_film(header: Dataset) -> None:
    modality = _word(header, "Modality").upper()
    if modality not in MODALITIES:
        what = f"Modality {modality}" if modality.isalnum() else "A DICOM file without a modality"
        raise ImageRefusedError("dicom_not_chest_xray", what=what)
    body_part = re.sub(r"[^A-Z]", "", _word(header, "BodyPartExamined").upper())
    is_chest = any(word in body_part for word in _CHEST_WORDS) and "SPINE" not in body_part
    if body_part not in _NO_BODY_PART and not is_chest:
        raise ImageRefusedError("dicom_not_chest_xray", what=f"Body part {body_part}")
    if re.sub(r"[^A-Z]", "", _word(header, "ViewPosition").upper()) in _LATERAL_VIEWS:
        raise ImageRefusedError("quality_not_chest")
    if int(header.get("NumberOfFrames") or 1) > 1:
        raise ImageRefusedError("dicom_multiframe")
    if int(header.get("SamplesPerPixel") or 1) not in (1, 3):
        raise ImageRefusedError("dicom_invalid")


def _acquired_at(header: Dataset) -> str:
    """YYYYMMDD[HHMMSS…] of the acquisition, else of the content, else of the study."""
    written = _word(header, "AcquisitionDateTime")
    for event in ("Acquisition", "Content", "Study"):
        if not written and (date := _word(header, f"{event}Date")):
            written = date + _word(header, f"{event}Time")
    return re.sub(r"(?<=\d)[.:](?=\d\d)", "", written[:14]) + written[14:]


def _identity(header: Dataset) -> FileIdentity:
    """Nobody, when the file says that its identity was removed."""
    patient_id, name = _word(header, "PatientID"), _word(header, "PatientName")
    removed = _word(header, "PatientIdentityRemoved").upper() == "YES"
    if removed or is_anonymous(name):
        return FileIdentity()
    return FileIdentity("" if is_anonymous(patient_id) else patient_id, name, _word(header, "PatientBirthDate"))


def is_anonymous(text: str) -> bool:
    """Whether a name or number only says that the identity was taken out."""
    return bool(_ANONYMOUS.search(text))

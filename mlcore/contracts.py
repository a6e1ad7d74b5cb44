"""The boundary of the model side: frozen values and errors that enter and leave `mlcore`.

May import: the standard library and NumPy; Pillow where a film is asked for as a picture. Every other module of
`mlcore` imports this one; `diagnosis` turns these values into rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL import Image

ImageArray = npt.NDArray[np.float32]

#: Every reason for which a picture is refused or warned about, and the sentence a person reads.
#: `{name}` fields are filled from the error's `params`.
IMAGE_CODES: Mapping[str, str] = {
    # refused from the header, at once
    "file_empty": "The file is empty. Export the image again.",
    "unsupported_media_type": "This is not a JPEG, PNG, GIF or DICOM image.{hint}",
    "type_mismatch": "The file is named {named} but contains {actual} data. Export it again or rename it.",
    "image_too_many_pixels": "{width} × {height} is more than {limit} megapixels. Export a smaller image.",
    "image_dimensions": "{width} × {height} cannot be read: the shorter side needs {minimum} pixels "
    "and the longer side at most {aspect} times the shorter. Export the whole film again.",
    "image_multiframe": "Only single images are accepted. Send each frame as its own file.",
    "dicom_invalid": "This is not a valid DICOM file. Export it again from the X-ray device.",
    "dicom_executable_preamble": "The DICOM file contains a program header and was refused. "
    "Export it again from the X-ray device and tell the clinic administrator.",
    "dicom_transfer_syntax": "This DICOM compression is not supported. Export the film uncompressed.",
    "dicom_multiframe": "Only single images are accepted. Send each frame as its own file.",
    "dicom_not_chest_xray": "{what} is not accepted here. Send a chest X-ray (CR, DX or DR).",
    # refused after full decoding
    "dicom_no_pixels": "The DICOM file holds no image. Export it again with its pixel data.",
    "image_corrupt": "The image is damaged. Export it again.",
    "image_blank": "The image has no content. Check the exposure and export it again.",
    "image_colour_mode": "This looks like a colour photo, not an X-ray. Send the film itself.",
    "quality_not_chest": "This does not look like a frontal chest X-ray. Check that the right file was sent.",
    "quality_rotated": "The film seems to be turned by {degrees}°. Turn it upright and send it again.",
    "quality_exposure": "The film is too dark or too bright to read. Export it with its display window.",
    "processing_failed": "We could not read this image. A person has been told.",
    # warnings: accepted, and said
    "trailing_data_removed": "The file carried extra data after the image; it is not shown or passed on.",
    "low_resolution": "Accepted; at {width} × {height} pixels the result may be less reliable.",
    "quality_low_contrast": "Accepted; the film has little contrast and the result may be less reliable.",
    "quality_inverted": "The film seems to be inverted (bright lungs); the result may be less reliable.",
    "quality_cropped": "Part of the chest seems to be cut off. If a lung field is missing, send the whole film.",
    "quality_unusual": "Accepted; the film looks unlike the films the model learned from.",
}


class CodedError(Exception):
    """An error with a stable `code` and a sentence that is safe to show to any user."""

    def __init__(self, code: str, **params: object) -> None:
        self.code = code
        self.params = params
        super().__init__(self.message)

    @property
    def message(self) -> str:
        return image_message(self.code, **self.params)


class ImageRefusedError(CodedError):
    """Permanent: the software worked, the picture cannot be used. Never retried."""


class InfrastructureError(Exception):
    """Retriable: GPU, memory or storage trouble that says nothing about the film. Costs no attempt."""


class ModelIntegrityError(Exception):
    """The model folder is missing, malformed, or its weights do not match the registered sha256."""


def image_message(code: str, **params: object) -> str:
    """The sentence for `code`; fields that were not given become empty text."""

    class _Blank(dict[str, object]):
        def __missing__(self, key: str) -> str:
            return ""

    return IMAGE_CODES[code].format_map(_Blank(params))


@dataclass(frozen=True, slots=True)
class FilmWarning:
    """Something accepted but worth saying: `code` is a key of `IMAGE_CODES`."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class HeaderFacts:
    """What a header says about a picture, without identity. Sizes in pixels, bits per sample.

    `burned_in`: does text of a person stand in the pixels (BurnedInAnnotation)? YES, NO, or empty where nobody says.
    """

    format: Literal["jpeg", "png", "gif", "dicom"]
    width: int
    height: int
    bits: int = 8
    modality: str = ""
    view_position: str = ""
    body_part: str = ""
    photometric: str = ""
    transfer_syntax: str = ""
    sop_instance_uid: str = ""
    series_instance_uid: str = ""
    study_instance_uid: str = ""
    acquired_at: str = ""
    burned_in: str = ""
    warnings: tuple[FilmWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """Identity found in a header. Compared with the declared patient at intake, then dropped; never stored."""

    patient_id: str = ""
    patient_name: str = ""
    birth_date: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """Which values are shown between black and white, in modality values (stored × slope + intercept).

    `of` says where it comes from: the file's `header`, a straight line through the device's own `curve`, the `full`
    scale of display values, or the `range` in which this film's values lie.
    """

    centre: float
    width: float
    of: Literal["header", "curve", "full", "range"]


@dataclass(frozen=True, slots=True)
class Spacing:
    """Millimetres between rows and between columns. `at` says where they hold: at the `detector` (the body is drawn
    larger than it is), `calibrated` by device or person, on the `scanned` sheet, or `unstated` in the file."""

    row_mm: float
    column_mm: float
    at: Literal["detector", "calibrated", "scanned", "unstated"]


@dataclass(frozen=True, slots=True)
class StoredFilm:
    """A film's values as its file stores them, upright, nothing applied: `samples` (height, width) of 8 or 16 bits.

    `lowest` is the least value the samples can hold; `inverted`: high modality values are shown dark.
    """

    samples: npt.NDArray[np.integer]
    bits: int
    lowest: int = 0
    photometric: Literal["MONOCHROME1", "MONOCHROME2"] = "MONOCHROME2"
    inverted: bool = False
    slope: float = 1.0
    intercept: float = 0.0
    windows: tuple[Window, ...] = ()
    spacing: Spacing | None = None


@dataclass(frozen=True)
class DecodedImage:
    """A film as light intensities: `pixels` is float32 (height, width) in [0, 1], bone bright. `stored`, where it was
    decoded from a file, holds the values that these were made of."""

    pixels: ImageArray
    facts: HeaderFacts
    stored: StoredFilm | None = None

    @cached_property
    def picture(self) -> Image.Image:
        """`pixels` for Pillow, which copies them: once for all who resize."""
        from PIL import Image

        return Image.fromarray(np.ascontiguousarray(self.pixels, dtype=np.float32))


@dataclass(frozen=True, slots=True)
class QualityReason:
    """One measured reason: `value` of `metric` against `limit`."""

    code: str
    message: str
    metric: str
    value: float
    limit: float


@dataclass(frozen=True, slots=True)
class QualityReport:
    """The gate's answer. A rejected film never reaches the model.

    `score` in [0, 1] falls with blur, noise and missing contrast; it compares exposures and decides nothing.
    """

    verdict: Literal["ok", "warn", "rejected"]
    reasons: tuple[QualityReason, ...] = ()
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class ModelInput:
    """What `prepare` hands to `infer`: float32 (height, width, channels) plus the sha256 of the original bytes."""

    array: ImageArray
    image_sha256: str
    preprocessing: str


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """One batch. `probabilities` (n, labels) in [0, 1]; `maps` (n, rows, columns, labels), unnormalised."""

    probabilities: ImageArray
    maps: ImageArray


@dataclass(frozen=True, slots=True)
class FindingResult:
    """A word beside its numbers. `threshold` applies to `calibrated`."""

    label: str
    probability: float
    calibrated: float
    threshold: float
    word: Literal["present", "likely", "possible", "absent"]


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which model said it."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class FilmResult:
    """The outcome of one film on the command line and in the one-process pipeline."""

    file: str
    state: Literal["predicted", "rejected"]
    code: str = ""
    message: str = ""
    model: ModelIdentity | None = None
    findings: Sequence[FindingResult] = ()
    warnings: Sequence[FilmWarning] = ()
    timings_ms: Mapping[str, float] = field(default_factory=dict)

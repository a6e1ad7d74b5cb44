"""One film in every encoding that is accepted: JPEG, PNG, GIF and DICOM in all its transfer syntaxes.

May import NumPy, Pillow, pydicom and imagecodecs (JPEG lossless and JPEG-LS, which pydicom does not write).
"""

from __future__ import annotations

import io

import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import Image, PngImagePlugin
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite

CR_STORAGE = uid.ComputedRadiographyImageStorage

_ENCODERS = {
    uid.JPEGBaseline8Bit: lambda a, bits: imagecodecs.jpeg8_encode(a.astype(np.uint8), level=95),
    uid.JPEGLossless: lambda a, bits: imagecodecs.ljpeg_encode(a, bitspersample=bits),
    uid.JPEGLosslessSV1: lambda a, bits: imagecodecs.ljpeg_encode(a, bitspersample=bits),
    uid.JPEGLSLossless: lambda a, bits: imagecodecs.jpegls_encode(a),
    uid.JPEGLSNearLossless: lambda a, bits: imagecodecs.jpegls_encode(a, level=1),
    uid.JPEG2000Lossless: lambda a, bits: imagecodecs.jpeg2k_encode(a, codecformat="j2k", reversible=True),
    uid.JPEG2000: lambda a, bits: imagecodecs.jpeg2k_encode(a, codecformat="j2k", level=60),
}

#: Every transfer syntax of the intake rules that a test film can be written in.
WRITABLE_SYNTAXES = (
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.RLELossless,
    *_ENCODERS,
)


def _saved(film: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    film.save(stream, kind, **options)
    return stream.getvalue()


def as_jpeg(film: Image.Image, *, quality: int = 90, description: str = "", orientation: int = 1) -> bytes:
    """JPEG; `description` becomes the EXIF ImageDescription."""
    exif = Image.Exif()
    if description:
        exif[0x010E] = description
    if orientation != 1:
        exif[0x0112] = orientation
    return _saved(film, "JPEG", quality=quality, exif=exif.tobytes() if len(exif) else b"")


def as_png(film: Image.Image, *, text: dict[str, str] | None = None) -> bytes:
    """PNG; `text` becomes tEXt chunks."""
    info = PngImagePlugin.PngInfo()
    for key, value in (text or {}).items():
        info.add_text(key, value)
    return _saved(film, "PNG", pnginfo=info)


def as_png16(film: Image.Image) -> bytes:
    """16-bit grey PNG with 12 significant bits, as exported by many archives."""
    return _saved(Image.fromarray(np.asarray(film).astype(np.uint16) * 16), "PNG")


def as_gif(film: Image.Image) -> bytes:
    """GIF with a grey palette."""
    return _saved(film, "GIF")


def as_dicom(
    film: Image.Image,
    *,
    transfer_syntax: str = uid.ExplicitVRLittleEndian,
    photometric: str = "MONOCHROME2",
    bits: int = 12,
    modality: str = "CR",
    body_part: str = "CHEST",
    view: str = "PA",
    patient_id: str = "0042",
    patient_name: str = "DOE^JOHN",
    window: tuple[float, float] | None = None,
    **attributes: object,
) -> bytes:
    """A Part 10 file. `bits` stored (8 or 9 to 16), `window` (centre, width); others by keyword, None deletes.

    The SOP instance UID is new each time unless `SOPInstanceUID` is given.
    """
    if transfer_syntax == uid.JPEGBaseline8Bit:
        bits = 8
    dataset = _dataset(film, photometric, bits)
    dataset.Modality, dataset.BodyPartExamined, dataset.ViewPosition = modality, body_part, view
    dataset.PatientID, dataset.PatientName = patient_id, patient_name
    if window is not None:
        dataset.WindowCenter, dataset.WindowWidth = window
    samples = _samples(film, photometric, bits)
    _set_pixels(dataset, samples, bits, uid.UID(transfer_syntax))
    for keyword, value in attributes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return written(dataset, transfer_syntax)


def written(dataset: Dataset, transfer_syntax: str, *, preamble: bytes = b"\0" * 128) -> bytes:
    """The Part 10 bytes of a data set."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.UID(transfer_syntax)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", CR_STORAGE)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", uid.generate_uid())
    dataset.preamble = preamble
    stream = io.BytesIO()
    dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def _dataset(film: Image.Image, photometric: str, bits: int) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CR_STORAGE, uid.generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uid.generate_uid(), uid.generate_uid()
    dataset.StudyDate, dataset.StudyTime = "20260503", "101500"
    dataset.Columns, dataset.Rows = film.size
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = photometric
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = (8 if bits == 8 else 16), bits, bits - 1
    dataset.PixelRepresentation = 0
    return dataset


def _samples(film: Image.Image, photometric: str, bits: int) -> npt.NDArray[np.unsignedinteger]:
    samples = np.asarray(film).astype(np.uint8 if bits == 8 else np.uint16)
    if bits != 8:
        samples = np.round(samples * ((2**bits - 1) / 255)).astype(np.uint16)
    return samples.dtype.type(2**bits - 1) - samples if photometric == "MONOCHROME1" else samples


def _set_pixels(dataset: Dataset, samples: npt.NDArray[np.unsignedinteger], bits: int, syntax: uid.UID) -> None:
    if encode := _ENCODERS.get(syntax):
        dataset.PixelData = encapsulate([encode(samples, bits)])
        dataset["PixelData"].VR = "OB"
    elif syntax == uid.RLELossless:
        dataset.compress(syntax, samples, generate_instance_uid=False)
    else:
        order = ">" if syntax == uid.ExplicitVRBigEndian else "<"
        data = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
        dataset.PixelData = data + b"\0" * (len(data) % 2)
        dataset["PixelData"].VR = "OB" if bits == 8 else "OW"

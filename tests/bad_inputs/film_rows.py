"""Rows of the bad-input table that are about the film: the file, how it is sent, whose it is, and sent again.

Statuses and sentences are written out here, not read from the code they hold to account.
May import `tests.bad_inputs.files`, `.desk`, `.row`, the factories.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator

from tests import factories
from tests.bad_inputs.desk import API, END, STUDIES, Answer, Desk, file_part, form
from tests.bad_inputs.files import BadFile, bad_files
from tests.bad_inputs.row import FILM, OTHER, Kind, Row, Send, film_form
from tests.encodings import as_dicom, as_jpeg, as_png
from tests.films import synthetic_film

# --- files

STATUSES = {"file_empty": 400, "unsupported_media_type": 415, "type_mismatch": 415}
SENTENCES = {
    "file_empty": "The file is empty. Export the image again.",
    "unsupported_media_type": "This is not a JPEG, PNG, GIF or DICOM image.",
    "image_multiframe": "Only single images are accepted. Send each frame as its own file.",
    "image_corrupt": "The image is damaged. Export it again.",
    "image_blank": "The image has no content. Check the exposure and export it again.",
    "image_colour_mode": "This looks like a colour photo, not an X-ray. Send the film itself.",
    "dicom_invalid": "This is not a valid DICOM file. Export it again from the X-ray device.",
    "dicom_executable_preamble": "The DICOM file contains a program header and was refused. "
    "Export it again from the X-ray device and tell the clinic administrator.",
    "dicom_transfer_syntax": "This DICOM compression is not supported. Export the film uncompressed.",
    "dicom_multiframe": "Only single images are accepted. Send each frame as its own file.",
    "dicom_no_pixels": "The DICOM file holds no image. Export it again with its pixel data.",
    "quality_not_chest": "This does not look like a frontal chest X-ray. Check that the right file was sent.",
    "trailing_data_removed": "The file carried extra data after the image; it is not shown or passed on.",
}


def _too_many(width: int, height: int) -> str:
    return f"{width} × {height} is more than 40 megapixels. Export a smaller image."


def _dimensions(width: int, height: int) -> str:
    return (
        f"{width} × {height} cannot be read: the shorter side needs 128 pixels and the longer side at most 3 times "
        "the shorter. Export the whole film again."
    )


def _mismatch(named: str, actual: str) -> str:
    return f"The file is named {named} but contains {actual} data. Export it again or rename it."


_CONVERT = "This is not a JPEG, PNG, GIF or DICOM image. Convert it to PNG, JPEG or DICOM."
#: Where the sentence says something of this very file.
OWN_SENTENCES = {
    **dict.fromkeys(("tiff", "tiff named jpg", "webp", "heic", "bmp"), _CONVERT),
    "jpeg named png": _mismatch(".png", "JPEG"),
    "png typed as jpeg": _mismatch("image/jpeg", "PNG"),
    "gif named dcm": _mismatch(".dcm", "GIF"),
    "dicom named jpg": _mismatch(".jpg", "DICOM"),
    "jpeg named exe": _mismatch(".exe", "JPEG"),
    "png bomb of 8944 squared": _too_many(8944, 8944),
    "png bomb of 10000 squared": _too_many(10000, 10000),
    "png header of 14200 squared": _too_many(14200, 14200),
    "png header of 60000 squared": _too_many(60000, 60000),
    "gif screen of 65535 squared": _too_many(65535, 65535),
    "gif frame of 65535 squared": _too_many(65535, 65535),
    "crude gif and script": _too_many(0x2A2F, 0x2F2A),
    "65535 rows and columns": _too_many(65535, 65535),
    "1 x 1": _dimensions(1, 1),
    "1 x 50000": _dimensions(1, 50000),
    "127 x 200": _dimensions(127, 200),
    "601 x 200": _dimensions(601, 200),
    "64 x 64": _dimensions(64, 64),
    "small film": "Accepted; at 256 × 256 pixels the result may be less reliable.",
    "ct": "Modality CT is not accepted here. Send a chest X-ray (CR, DX or DR).",
    "hand": "Body part HAND is not accepted here. Send a chest X-ray (CR, DX or DR).",
}


def _file_row(name: str, bad: BadFile) -> Row:
    kind: Kind = "warned" if bad.is_warned else "late" if bad.is_late else "refused"
    return Row(
        name=name,
        status=STATUSES.get(bad.code, 422) if kind == "refused" else 201,
        code=bad.code,
        sentence=OWN_SENTENCES.get(name) or SENTENCES[bad.code],
        send=lambda desk, way: desk.send(way, *bad[:3]),
        kind=kind,
    )


FILES = tuple(_file_row(name, bad) for name, bad in bad_files().items())


# --- how a film is sent

LIMIT = 64_000_000
ZEROS = b"\0" * 1_000_000


def _blocks(size: int) -> Iterator[bytes]:
    """A body of that many zero bytes in a file part, without holding it."""
    yield form({}, file_part(b""))[: -len(END) - 2]
    for _ in range(size // len(ZEROS)):
        yield ZEROS
    yield b"\r\n" + END


def _too_large(desk: Desk, way: str) -> Answer:
    body = film_form(desk)[: -len(END)]

    def blocks() -> Iterator[bytes]:
        yield body
        yield from _blocks(81 * len(ZEROS))

    return desk.post(way, blocks(), length=len(body) + sum(map(len, _blocks(0))) + 81 * len(ZEROS))


def _cut_off(desk: Desk, way: str) -> Answer:
    body = film_form(desk, file_part(FILM))
    return desk.post(way, body[: len(body) // 2], length=len(body))


def _false_length(desk: Desk, way: str) -> Answer:
    body = film_form(desk, file_part(FILM))
    return desk.post(way, body, length=len(body) - 5000)


def _without_length(desk: Desk, way: str) -> Answer:
    body = film_form(desk, file_part(FILM))
    chunk = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
    return desk.post(way, chunk, headers={"Transfer-Encoding": "chunked", "Content-Length": ""})


def _compressed(desk: Desk, way: str) -> Answer:
    return desk.post(way, gzip.compress(film_form(desk, file_part(FILM))), headers={"Content-Encoding": "gzip"})


def _no_file(desk: Desk, way: str) -> Answer:
    return desk.post(way, film_form(desk))


def _text_for_a_file(desk: Desk, way: str) -> Answer:
    return desk.post(way, film_form(desk, file="text instead of a file"))


def _two_files(desk: Desk, way: str) -> Answer:
    return desk.post(way, film_form(desk, file_part(FILM), file_part(OTHER)))


def _two_fields(desk: Desk, way: str) -> Answer:
    return desk.post(way, film_form(desk, file_part(FILM), file_part(OTHER, field="more")))


def _other_body(desk: Desk, way: str) -> Answer:
    headers = {"Content-Type": "application/json", "Idempotency-Key": "k"}
    return desk.request(way, "POST", STUDIES, headers, b'{"patient": "x"}')


_CUT = "The upload was cut off. Send it again."
_ONE = "Send one image at a time."
_NO_FILE = "No image was sent. Choose a file and try again."

SENDING = (
    Row("no file", 400, "file_missing", _NO_FILE, _no_file),
    Row("text instead of a file", 400, "file_missing", _NO_FILE, _text_for_a_file),
    Row("81 MB", 413, "file_too_large", "The file is 81 MB; the limit is 64 MB.", _too_large),
    Row("cut off", 400, "length_mismatch", _CUT, _cut_off),
    Row("a length that is too small", 400, "length_mismatch", _CUT, _false_length),
    Row("no length", 400, "length_mismatch", _CUT, _without_length),
    Row("compressed", 415, "content_encoding_unsupported", "Compressed uploads are not accepted.", _compressed),
    Row("two files", 400, "too_many_files", _ONE, _two_files),
    Row("two files in two fields", 400, "too_many_files", _ONE, _two_fields),
    Row("JSON for a film", 415, "unsupported_body", "Send multipart/form-data.", _other_body, ways=(API,), film=False),
)


# --- whose film it is


def _named(data: bytes, name: str, kind: str) -> Send:
    """The file names DOE^JOHN, 0042; it is sent for another."""

    def send(desk: Desk, way: str) -> Answer:
        chosen = factories.patient_make(desk.clinic, "Asha Verma", mrn="0017")
        return desk.send(way, data, name, kind, patient=chosen)

    return send


def _says(patient: str) -> str:
    return (
        f"The file says patient {patient}; you selected 0017. Choose the right patient, or add that number to this "
        "patient's identifiers."
    )


def _under_another(desk: Desk, way: str) -> Answer:
    assert desk.send(API, FILM).status_code == 201
    return desk.send(way, FILM, patient=factories.patient_make(desk.clinic, "Asha Verma"))


def _at_another_clinic(desk: Desk, way: str) -> Answer:
    assert Desk(desk.web).send(API, FILM).status_code == 201
    return desk.send(way, FILM)


def _again(desk: Desk, way: str) -> Answer:
    assert desk.send(API, FILM).status_code == 201
    return desk.send(way, FILM)


def _accession(desk: Desk, way: str) -> Answer:
    assert desk.send(API, FILM, accession_number="A-1").status_code == 201
    return desk.send(way, OTHER, accession_number="A-1")


def _instance(desk: Desk, way: str) -> Answer:
    first, second = (as_dicom(synthetic_film(seed), SOPInstanceUID="1.2.826.0.1.3680043.10.1") for seed in (11, 12))
    assert desk.send(API, first, "a.dcm", "application/dicom").status_code == 201
    return desk.send(way, second, "b.dcm", "application/dicom")


_JPEG, _DICOM = ("film.jpg", "image/jpeg"), ("film.dcm", "application/dicom")
NUMBER_IN_EXIF = as_jpeg(synthetic_film(11), description="PATIENT 0042")
NAME_IN_EXIF = as_jpeg(synthetic_film(11), description="PATIENT DOE^JOHN")
#: An open-ended pattern spends a minute on these while it looks for a name.
BLANKS = as_png(synthetic_film(11), text={f"Comment {n}": "patient" + " " * 4089 for n in range(16)})
ID_IN_PNG = as_png(synthetic_film(11), text={"PatientID": "0042", "PatientName": "DOE^JOHN"})

WHOSE = (
    Row("DICOM of another", 409, "patient_mismatch", _says("0042"), _named(as_dicom(synthetic_film(11)), *_DICOM)),
    Row("EXIF with another number", 409, "patient_mismatch", _says("0042"), _named(NUMBER_IN_EXIF, *_JPEG)),
    Row("EXIF with another name", 409, "patient_mismatch", _says("DOE JOHN"), _named(NAME_IN_EXIF, *_JPEG)),
    Row("PNG text of another", 409, "patient_mismatch", _says("0042"), _named(ID_IN_PNG, "film.png", "image/png")),
    Row("long blanks in PNG text", 201, "", "", lambda desk, way: desk.send(way, BLANKS), "taken"),
    Row("EXIF with the chosen name", 201, "", "", lambda desk, way: desk.send(way, NAME_IN_EXIF, *_JPEG), "taken"),
    Row(
        "the same bytes for another",
        409,
        "image_under_other_patient",
        "Already filed under another patient. Ask the clinic administrator.",
        _under_another,
    ),
    Row("the same bytes at another clinic", 201, "", "", _at_another_clinic, "taken"),
    Row("the same bytes again", 200, "duplicate_of", "Already sent on {today}; nothing was added.", _again, "known"),
    Row(
        "an accession number in use",
        409,
        "accession_taken",
        "This accession number belongs to another study.",
        _accession,
    ),
    Row(
        "a DICOM instance with other content",
        409,
        "dicom_instance_conflict",
        "This DICOM image was already sent with other content. Check the export.",
        _instance,
    ),
)


# --- keys and sums


def _without_key(desk: Desk, way: str) -> Answer:
    return desk.post(way, film_form(desk, file_part(FILM)), headers={"Idempotency-Key": ""})


def _key_reused(desk: Desk, way: str) -> Answer:
    assert desk.send(API, FILM, key="one").status_code == 201
    return desk.send(way, OTHER, key="one")


def _key_again(desk: Desk, way: str) -> Answer:
    first, again = (desk.send(way, FILM, key="one") for _ in range(2))
    assert first.status_code == 201
    assert again.headers["Idempotent-Replay"] == "true"
    return again


REPEATS = (
    Row(
        "no key",
        400,
        "idempotency_key_required",
        "Send an Idempotency-Key header with every upload.",
        _without_key,
        ways=(API,),
        film=False,
    ),
    Row(
        "a key for another film",
        422,
        "idempotency_key_reused",
        "This Idempotency-Key was used for another request.",
        _key_reused,
    ),
    Row("a key with the same film", 200, "", "", _key_again, "known", ways=(API,)),
    Row(
        "another sum",
        422,
        "checksum_mismatch",
        "The file changed on the way. Send it again.",
        lambda desk, way: desk.send(way, FILM, sha256="0" * 64),
        ways=(API,),
    ),
)

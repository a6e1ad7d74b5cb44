"""The bad-input table: each row is what is sent, and the status, code and whole sentence that must come back.

May import `tests.bad_inputs.files`, `.desk`, the factories. Statuses and sentences are written out here, not read from
the code they hold to account. Walked by `test_table.py` against the site's real web process.
"""

from __future__ import annotations

import gzip
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from tests import factories
from tests.bad_inputs.desk import API, END, MULTIPART, PAGE, PATIENTS, STUDIES, Answer, Desk, file_part, form
from tests.bad_inputs.files import BadFile, bad_files
from tests.encodings import as_dicom, as_jpeg, as_png
from tests.films import synthetic_film

Send = Callable[[Desk, str], Answer]
#: refused: nothing is kept. warned: taken, and said. late: taken, then rejected by prepare. known: nothing added.
Kind = Literal["refused", "warned", "late", "known", "taken"]


@dataclass(frozen=True)
class Row:
    """`film` says that a film is sent, so that a refusal must be recorded. `sentence` is all that a person reads."""

    name: str
    status: int
    code: str
    sentence: str
    send: Send
    kind: Kind = "refused"
    ways: tuple[str, ...] = (API, PAGE)
    film: bool = True


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

FILM = as_png(synthetic_film(11))
OTHER = as_png(synthetic_film(12))
LIMIT = 64_000_000
ZEROS = b"\0" * 1_000_000


def _to(desk: Desk, *parts: bytes, **fields: str) -> bytes:
    return form({"patient": str(desk.patient.pk), **fields}, *parts)


def _blocks(size: int) -> Iterator[bytes]:
    """A body of that many zero bytes in a file part, without holding it."""
    yield form({}, file_part(b""))[: -len(END) - 2]
    for _ in range(size // len(ZEROS)):
        yield ZEROS
    yield b"\r\n" + END


def _too_large(desk: Desk, way: str) -> Answer:
    body = _to(desk)[: -len(END)]

    def blocks() -> Iterator[bytes]:
        yield body
        yield from _blocks(81 * len(ZEROS))

    return desk.post(way, blocks(), length=len(body) + sum(map(len, _blocks(0))) + 81 * len(ZEROS))


def _cut_off(desk: Desk, way: str) -> Answer:
    body = _to(desk, file_part(FILM))
    return desk.post(way, body[: len(body) // 2], length=len(body))


def _false_length(desk: Desk, way: str) -> Answer:
    body = _to(desk, file_part(FILM))
    return desk.post(way, body, length=len(body) - 5000)


def _without_length(desk: Desk, way: str) -> Answer:
    body = _to(desk, file_part(FILM))
    chunk = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
    return desk.post(way, chunk, headers={"Transfer-Encoding": "chunked", "Content-Length": ""})


def _compressed(desk: Desk, way: str) -> Answer:
    return desk.post(way, gzip.compress(_to(desk, file_part(FILM))), headers={"Content-Encoding": "gzip"})


def _no_file(desk: Desk, way: str) -> Answer:
    return desk.post(way, _to(desk))


def _text_for_a_file(desk: Desk, way: str) -> Answer:
    return desk.post(way, _to(desk, file="text instead of a file"))


def _two_files(desk: Desk, way: str) -> Answer:
    return desk.post(way, _to(desk, file_part(FILM), file_part(OTHER)))


def _two_fields(desk: Desk, way: str) -> Answer:
    return desk.post(way, _to(desk, file_part(FILM), file_part(OTHER, field="more")))


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
    return desk.post(way, _to(desk, file_part(FILM)), headers={"Idempotency-Key": ""})


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


# --- text, dates, JSON, parameters

NEW = {"name": "Chandra Rao", "birth_year": 1950}


def _patient(body: object) -> Send:
    return lambda desk, way: desk.json(body)


def _page_patient(**fields: str | bytes) -> Send:
    def send(desk: Desk, way: str) -> Answer:
        said = {"sex": "unknown", "clinic": str(desk.clinic.pk)}
        return desk.request(PAGE, "POST", "/patients/new/", MULTIPART, form(said | fields))

    return send


def _text(field: str) -> str:
    return f"{field}: contains characters that cannot be stored, or is too long."


def _date(field: str) -> str:
    return f"{field}: give a date that is not in the future, age at most 130."


def _json(name: str, code: str, sentence: str, body: object) -> Row:
    return Row(name, 400, code, sentence, _patient(body), ways=(API,), film=False)


def _typed(row: str, code: str, sentence: str, /, **fields: str | bytes) -> Row:
    return Row(row, 400, code, sentence, _page_patient(**fields), ways=(PAGE,), film=False)


def _get(name: str, sentence: str, query: str) -> Row:
    def send(desk: Desk, way: str) -> Answer:
        return desk.request(API, "GET", f"{PATIENTS}?{query}")

    return Row(name, 400, "invalid_parameter", sentence, send, ways=(API,), film=False)


_NOT_JSON = "The body is not JSON that can be read."
_PARAMETERS = "allowed values are birth_year, clinic, cursor, ordering, page_size, q."
FIELDS = (
    _json("NUL in a name", "invalid_text", _text("name"), NEW | {"name": "Asha\0Verma"}),
    _json("a lone surrogate in a name", "invalid_text", _text("name"), NEW | {"name": "Asha\ud800"}),
    _json("1 MB in a name", "invalid_text", _text("name"), NEW | {"name": "a" * 1_000_000}),
    _json("a direction override in a name", "invalid_text", _text("name"), NEW | {"name": "Asha\u202eamreV"}),
    _json("line ends in a name", "invalid_text", _text("name"), NEW | {"name": "Asha\r\nX-Header: 1"}),
    _typed("NUL typed", "", _text("Name"), name="Asha\0Verma", birth_year="1950"),
    _typed("bytes that are no UTF-8 typed", "", _text("Name"), name=b"Asha\xff\xfe", birth_year="1950"),
    _typed("1 MB typed", "", _text("Name"), name="a" * 1_000_000, birth_year="1950"),
    _typed("a direction override typed", "", _text("Name"), name="Asha\u202eamreV", birth_year="1950"),
    _typed("line ends typed", "", _text("Name"), name="Asha\r\nX-Header: 1", birth_year="1950"),
    _json("born tomorrow", "invalid_date", _date("birth_date"), {"name": "Chandra Rao", "birth_date": "2999-01-01"}),
    _json("131 years old", "invalid_date", _date("birth_year"), NEW | {"birth_year": 1890}),
    _typed("born tomorrow, typed", "", _date("birth_date"), name="Chandra Rao", birth_date="2999-01-01"),
    _typed("131 years old, typed", "", _date("birth_year"), name="Chandra Rao", birth_year="1890"),
    _json("an unknown field", "unknown_field", "is_admin: this field does not exist here.", NEW | {"is_admin": True}),
    _json("a missing field", "invalid_input", "Some fields need attention.", {}),
    _json("deep JSON", "invalid_json", _NOT_JSON, b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    _json("huge JSON", "invalid_json", _NOT_JSON, b'{"name": "' + b"a" * 3_000_000 + b'"}'),
    _json("NaN", "invalid_json", _NOT_JSON, b'{"birth_year": NaN}'),
    _json("bytes that are no UTF-8", "invalid_json", _NOT_JSON, b'{"name": "\xff\xfe"}'),
    _get("page=-1", f"page: {_PARAMETERS}", "page=-1"),
    _get("page_size=-1", "page_size: allowed values are 1 to 200.", "page_size=-1"),
    _get("an unlisted ordering", "ordering: allowed values are -created_at, created_at.", "ordering=name"),
    _get("an unlisted filter", f"name__startswith: {_PARAMETERS}", "name__startswith=A"),
)


def _film_text(row: str, code: str, sentence: str, /, **fields: str | bytes) -> Row:
    def send(desk: Desk, way: str) -> Answer:
        return desk.post(way, _to(desk, file_part(FILM), **fields))

    return Row(row, 400, code, sentence, send, ways=(API,), film=False)


FILM_FIELDS = (
    _film_text("NUL beside a film", "invalid_text", _text("indication"), indication="a\0b"),
    _film_text("bytes that are no UTF-8 beside a film", "invalid_text", _text("indication"), indication=b"a\xff\xfe"),
    _film_text("1 MB beside a film", "invalid_text", _text("indication"), indication="a" * 1_000_000),
    _film_text("an unknown field beside a film", "unknown_field", "id: this field does not exist here.", id="1"),
)


# --- who asks

_NOTHING = "There is nothing here, or you may not see it."
_ROLE = "Your role does not allow this. Ask your clinic administrator."


def _for(patient: Callable[[Desk], object]) -> Send:
    return lambda desk, way: desk.send(way, FILM, patient=patient(desk))


def _foreign(desk: Desk) -> object:
    return Desk(desk.web).patient


def _anonymous(desk: Desk, way: str) -> Answer:
    return desk.post(way, _to(desk, file_part(FILM)), headers={"Authorization": ""})


def _wrong_role(desk: Desk, way: str) -> Answer:
    desk.sign_in(factories.user_make("clinicadmin", desk.clinic))
    return desk.send(way, FILM)


def _without_page_token(desk: Desk, way: str) -> Answer:
    return desk.post(way, _to(desk, file_part(FILM)), headers={"X-CSRFToken": ""})


def _wrong_method(desk: Desk, way: str) -> Answer:
    return desk.request(way, "DELETE", STUDIES if way == API else "/")


WHO = (
    Row("an unknown patient", 404, "not_found", _NOTHING, _for(lambda desk: uuid.uuid4()), film=False),
    Row("a patient of another clinic", 404, "not_found", _NOTHING, _for(_foreign), film=False),
    Row("a malformed patient", 404, "not_found", _NOTHING, _for(lambda desk: "17"), film=False),
    Row("nobody signed in", 401, "not_authenticated", "Sign in to continue.", _anonymous, ways=(API,), film=False),
    Row("a role that sends no films", 403, "permission_denied", _ROLE, _wrong_role, film=False),
    Row(
        "a page without its token",
        403,
        "csrf_failed",
        "The page is too old. Reload it.",
        _without_page_token,
        ways=(PAGE,),
        film=False,
    ),
    Row(
        "a method that does not exist",
        405,
        "method_not_allowed",
        "This address does not accept DELETE.",
        _wrong_method,
        film=False,
    ),
)

ROWS: tuple[Row, ...] = (*FILES, *SENDING, *WHOSE, *REPEATS, *FIELDS, *FILM_FIELDS, *WHO)

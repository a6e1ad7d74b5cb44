"""Rows of the bad-input table that are about the request: text, dates, JSON, parameters, and who asks.

Statuses and sentences are written out here, not read from the code they hold to account.
May import `tests.bad_inputs.desk`, `.row`, the factories.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from tests import factories
from tests.bad_inputs.desk import API, MULTIPART, PAGE, PATIENTS, STUDIES, Answer, Desk, file_part, form
from tests.bad_inputs.row import FILM, Row, Send, film_form

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
        return desk.post(way, film_form(desk, file_part(FILM), **fields))

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
    return desk.post(way, film_form(desk, file_part(FILM)), headers={"Authorization": ""})


def _wrong_role(desk: Desk, way: str) -> Answer:
    desk.sign_in(factories.user_make("clinicadmin", desk.clinic))
    return desk.send(way, FILM)


def _without_page_token(desk: Desk, way: str) -> Answer:
    return desk.post(way, film_form(desk, file_part(FILM)), headers={"X-CSRFToken": ""})


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

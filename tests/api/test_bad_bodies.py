"""The rows of the bad-input table that concern text, dates, JSON, parameters and pages; each with status and code."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patients.models import Patient
from tests import factories as make
from tests.api.problems import assert_problem

pytestmark = pytest.mark.django_db

URL = "/api/v1/patients/"
NEW = {"name": "Chandra Rao", "birth_year": 1950}


@pytest.fixture
def client(api_for):
    return api_for("operator")


def _post(client, body):
    raw = body if isinstance(body, (bytes, str)) else json.dumps(body)
    return client.post(URL, raw, content_type="application/json")


BAD_TEXT = {
    "NUL": "Asha\0Verma",
    "lone surrogate": "Asha\ud800",
    "one megabyte": "a" * 1_000_000,
    "too long": "a" * 201,
    "right-to-left override": "Asha\u202eamreV",
    "line break": "Asha\r\nX-Header: 1",
    "control character": "Asha\x1b[31m",
}


@pytest.mark.parametrize("text", BAD_TEXT.values(), ids=BAD_TEXT)
@pytest.mark.parametrize("field", ["name", "phone", "identifiers"])
def test_text_that_cannot_be_stored_is_refused_and_the_field_named(field, text, client):
    value = [{"system": "MRN", "value": text}] if field == "identifiers" else text
    body = assert_problem(_post(client, NEW | {field: value}), "invalid_text", 400)
    assert body["detail"].startswith("value" if field == "identifiers" else field)
    assert Patient.objects.count() == 0


@pytest.mark.parametrize("name", ["عائشة", "आशा वर्मा", "שרה", "李小龍", "Zoë O'Neil-Ng", "می\u200cخواهم"])
def test_names_in_any_script_are_fine(name, client):
    response = _post(client, NEW | {"name": name})
    assert (response.status_code, response.json()["name"]) == (201, name)


@pytest.mark.parametrize(
    "day", ["2999-01-01", "1850-01-01", "2026-02-30", "03/02/1950", "1950-02-03T00:00:00Z", 19500203, "0000-00-00"]
)
def test_a_date_in_the_future_or_of_no_living_person_is_refused(day, client):
    body = assert_problem(_post(client, {"name": "Chandra Rao", "birth_date": day}), "invalid_date", 400)
    assert body["detail"].startswith("birth_date")


@pytest.mark.parametrize("year", [2999, 1700, -1, 10**30])
def test_a_year_in_the_future_or_of_no_living_person_is_refused(year, client):
    body = assert_problem(_post(client, NEW | {"birth_year": year}), "invalid_date", 400)
    assert body["detail"].startswith("birth_year")


@pytest.mark.parametrize("year", [1899, 2101])
def test_an_impossible_year_is_refused_even_beside_a_birth_date(year, client):
    body = {"name": "Chandra Rao", "birth_date": "1950-02-03", "birth_year": year}
    for address in (URL, f"{URL}matches/"):
        assert_problem(client.post(address, body, content_type="application/json"), "invalid_date", 400)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (NEW | {"is_admin": True}, "is_admin"),
        (NEW | {"id": "1"}, "id"),
        (NEW | {"identifiers": [{"value": "1", "clinic": "x"}]}, "clinic"),
    ],
)
def test_an_unknown_field_is_refused_and_named(body, field, client):
    assert assert_problem(_post(client, body), "unknown_field", 400)["detail"].startswith(field)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"[]",
        b'"text"',
        b"null",
        b"NaN",
        b'{"birth_year": NaN}',
        b'{"birth_year": -Infinity}',
        b'{"name": "a", "name": "b"}',
        b'{"name": "\xff\xfe"}',
        b'{"birth_year": ' + b"9" * 5000 + b"}",
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"[" * 200_000,
        b'{"name": "' + b"a" * 3_000_000 + b'"}',
    ],
    ids=lambda body: body[:24].decode("latin-1"),
)
def test_what_is_not_strict_json_of_bounded_size_and_depth_is_refused(body, client):
    assert_problem(_post(client, body), "invalid_json" if body else "invalid_input", 400)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "Chandra Rao"}, "birth_year"),
        (NEW | {"name": "  "}, "name"),
        (NEW | {"name": ["a"]}, "name"),
        (NEW | {"name": None}, "name"),
        (NEW | {"name": 17}, "name"),
        (NEW | {"identifiers": [{"system": "MRN", "value": 17}]}, "identifiers.0.value"),
        (NEW | {"sex": "M"}, "sex"),
        (NEW | {"birth_year": "then"}, "birth_year"),
        (NEW | {"birth_year": 1950.5}, "birth_year"),
        (NEW | {"identifiers": [{"system": "MRN"}]}, "identifiers.0.value"),
        (NEW | {"identifiers": "0017"}, "identifiers.non_field_errors"),
    ],
    ids=str,
)
def test_a_missing_or_impossible_value_is_refused_and_the_field_named(body, field, client):
    assert field in assert_problem(_post(client, body), "invalid_input", 400)["errors"]


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "text/html"])
def test_a_body_of_another_kind_is_refused(kind, client):
    response = client.post(URL, b"x", content_type=kind)
    assert "application/json" in assert_problem(response, "unsupported_body", 415)["detail"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=-1", "page"),
        ("page_size=0", "page_size"),
        ("page_size=-1", "page_size"),
        ("page_size=201", "page_size"),
        ("page_size=ten", "page_size"),
        ("page_size=²", "page_size"),
        ("ordering=name", "ordering"),
        ("ordering=-created_at,id", "ordering"),
        ("name__startswith=A", "name__startswith"),
        ("clinic__patients__name=A", "clinic__patients__name"),
        ("format=xml", "format"),
        ("birth_year=then", "birth_year"),
        ("birth_year=99999", "birth_year"),
        ("clinic=1", "clinic"),
        ("clinic=%00", "clinic"),
        ("clinic=", "clinic"),
        ("birth_year=", "birth_year"),
        ("q=%00", "q"),
        ("cursor=x", "cursor"),
        ("cursor=%F0%9F%99%82", "cursor"),
        ("cursor=" + base64.urlsafe_b64encode(b"yesterday|1").decode(), "cursor"),
        ("cursor=" + base64.urlsafe_b64encode(b"2026-01-01|" + b"0" * 32).decode(), "cursor"),
        ("cursor=" + base64.urlsafe_b64encode(b"0001-01-01T00:00:00+23:00|" + b"0" * 32).decode(), "cursor"),
        ("cursor=" + "A" * 5000, "cursor"),
    ],
)
def test_an_unlisted_parameter_or_value_is_refused_with_what_is_allowed(query, field, client):
    detail = assert_problem(client.get(f"{URL}?{query}"), "invalid_parameter", 400)["detail"]
    assert detail.startswith(f"{field}: allowed values are ")
    assert not detail.endswith("are .")


@pytest.mark.parametrize("ordering", ["-created_at", "created_at"])
def test_pages_are_whole_and_stay_stable_while_rows_arrive(ordering, client, clinic):
    moment = make.patient_make(clinic).created_at
    # several rows of the very same time: only the id tells them apart
    for _ in range(6):
        make.patient_make(clinic, created_at=moment)
    known = {str(pk) for pk in Patient.objects.values_list("pk", flat=True)}
    seen: list[str] = []
    url = f"{URL}?page_size=2&ordering={ordering}"
    while url:
        page = client.get(url).json()
        seen += [row["id"] for row in page["results"]]
        if page["next"] and ordering.startswith("-"):
            make.patient_make(clinic)
        url = page["next"]
    assert len(seen) == len(set(seen))
    assert set(seen) == known


def test_a_page_never_counts_and_knows_when_it_is_the_last(client, clinic):
    for _ in range(3):
        make.patient_make(clinic)
    assert client.get(f"{URL}?page_size=3").json()["next"] is None
    assert client.get(f"{URL}?page_size=2").json()["next"].startswith("http://")
    assert set(client.get(URL).json()) == {"next", "results"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
BODY = st.fixed_dictionaries(
    {},
    optional={
        key: JSON
        for key in ("name", "birth_date", "birth_year", "sex", "phone", "abha_number", "identifiers", "clinic")
    },
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODY | JSON)
def test_no_json_body_is_a_fault_of_ours(body, client):
    response = _post(client, body)
    assert response.status_code in (201, 400, 404, 409), (body, response.content)

"""The published description: complete, free of warnings, true of real answers, and its page free of foreign code."""

from __future__ import annotations

import re
import uuid
from typing import Any

import jsonschema
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from drf_spectacular.generators import SchemaGenerator

from patients.errors import CODES
from tests import factories as make
from tests.api.problems import assert_problem
from tests.synthetic import as_png, synthetic_film

SCHEMA_URL, DOCS_URL = "/api/v1/schema/", "/api/v1/docs/"


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return SchemaGenerator().get_schema(request=None, public=True)


def operations(schema):
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_the_description_has_no_warning_and_is_valid(tmp_path):
    call_command("spectacular", "--fail-on-warn", "--validate", "--file", str(tmp_path / "schema.yml"))


@pytest.mark.django_db
def test_the_description_is_for_who_is_signed_in(anonymous, api_for):
    assert_problem(anonymous.get(SCHEMA_URL), "not_authenticated")
    response = api_for("operator").get(SCHEMA_URL)
    assert response.status_code == 200
    assert b"/api/v1/studies/" in response.content


def test_every_operation_has_a_summary_and_may_answer_with_a_problem(schema):
    for path, method, operation in operations(schema):
        assert operation.get("summary"), (method, path)
        problem = operation["responses"]["default"]["content"]["application/problem+json"]
        assert problem["schema"]["$ref"].endswith("/Problem"), (method, path)


def test_every_refusal_of_the_table_is_described(schema):
    codes = schema["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
    assert set(codes) == {code for code, entry in CODES.items() if entry.status >= 400}


def test_uploads_say_that_they_need_a_key_and_a_file(schema):
    for path in ("/api/v1/studies/", "/api/v1/studies/{id}/radiographs/"):
        operation = schema["paths"][path]["post"]
        (key,) = (each for each in operation["parameters"] if each["name"] == "Idempotency-Key")
        assert (key["in"], key["required"]) == ("header", True)
        assert list(operation["requestBody"]["content"]) == ["multipart/form-data"]
        assert set(operation["responses"]) == {"200", "201", "default"}


def test_lists_describe_their_pages_and_filters(schema):
    names = {each["name"] for each in schema["paths"]["/api/v1/radiographs/"]["get"]["parameters"]}
    assert {"cursor", "page_size", "ordering", "state", "word", "patient"} <= names


def test_the_page_asks_a_browser_to_sign_in(anonymous):
    response = anonymous.get(DOCS_URL)
    assert response.status_code == 302
    assert response.headers["Location"].startswith("/accounts/login/")


@pytest.mark.django_db
def test_the_page_loads_local_files_only_and_nothing_inline(client_for):
    client = client_for("operator")
    response = client.get(DOCS_URL)
    html = response.content.decode()
    assert response.status_code == 200
    addresses = re.findall(r'(?:src|href)="([^"]+)"', html)
    assert len(addresses) >= 4
    assert all(address.startswith("/") and not address.startswith("//") for address in addresses)
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style| style=| on\w+=", html) == []
    policy = response.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    script = client.get(DOCS_URL + "?script=")
    assert script.headers["Content-Type"].startswith("application/javascript")
    assert SCHEMA_URL.removeprefix("/api/v1") in script.content.decode()


# --- answers are what the description says


def as_json_schema(node: Any) -> Any:
    """OpenAPI 3.0 as JSON Schema: `nullable` becomes one more type."""
    if isinstance(node, list):
        return [as_json_schema(each) for each in node]
    if not isinstance(node, dict):
        return node
    plain = {key: as_json_schema(value) for key, value in node.items() if key not in ("nullable", "readOnly")}
    return {"anyOf": [plain, {"type": "null"}]} if node.get("nullable") is True else plain


def assert_described(schema, response, path, method="get"):
    status = str(response.status_code)
    content = schema["paths"][path][method]["responses"][status]["content"]["application/json"]["schema"]
    document = as_json_schema(content | {"components": schema["components"]})
    jsonschema.validate(response.json(), document, format_checker=jsonschema.FormatChecker())


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/me/",
        "/api/v1/status/",
        "/api/v1/patients/",
        "/api/v1/patients/{patient}/",
        "/api/v1/patients/{patient}/history/",
        "/api/v1/studies/",
        "/api/v1/studies/{study}/",
        "/api/v1/radiographs/",
        "/api/v1/radiographs/{film}/",
        "/api/v1/jobs/",
        "/api/v1/jobs/{job}/",
        "/api/v1/predictions/",
        "/api/v1/predictions/{prediction}/",
        "/api/v1/reports/",
        "/api/v1/reports/{report}/",
        "/api/v1/model-versions/",
        "/api/v1/model-versions/{model}/",
    ],
)
@pytest.mark.parametrize("role", ["radiologist", "operator"])
def test_an_answer_has_the_described_form(role, path, schema, api_for, user_for, patient):
    prediction = make.predicted_film_make(make.study_make(patient), map_key="m", calibrated={"effusion": 0.7})
    film = prediction.radiograph
    waiting = make.job_make(make.radiograph_make(make.study_make(patient), warnings=[{"code": "a", "message": "b"}]))
    report = make.report_make(film.study, user_for("radiologist"))
    ids = {
        "report": report.pk,
        "patient": patient.pk,
        "study": film.study_id,
        "film": film.pk,
        "job": waiting.pk,
        "prediction": prediction.pk,
        "model": prediction.model_version_id,
    }
    response = api_for(role).get(path.format(**ids))
    if role == "operator" and ("{prediction}" in path or "{report}" in path):
        assert_problem(response, "not_found")
    else:
        assert response.status_code == 200
        assert_described(schema, response, re.sub(r"\{\w+\}", "{id}", path))


@pytest.mark.django_db
def test_the_answers_to_what_is_sent_have_the_described_form(schema, api_for, patient):
    client = api_for("operator")
    body = {"name": "Chandra Rao", "birth_year": 1950, "identifiers": [{"value": "0099"}]}
    assert_described(schema, client.post("/api/v1/patients/", body, format="json"), "/api/v1/patients/", "post")
    matches = client.post("/api/v1/patients/matches/", body, format="json")
    assert_described(schema, matches, "/api/v1/patients/matches/", "post")
    for _ in range(2):
        film = SimpleUploadedFile("film.png", as_png(synthetic_film(21)), "image/png")
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        sent = client.post(
            "/api/v1/studies/", {"patient": patient.pk, "file": film}, format="multipart", headers=headers
        )
        assert_described(schema, sent, "/api/v1/studies/", "post")


def test_a_problem_has_the_described_form(schema, db, anonymous):
    body = anonymous.get("/api/v1/me/").json()
    jsonschema.validate(body, schema["components"]["schemas"]["Problem"])

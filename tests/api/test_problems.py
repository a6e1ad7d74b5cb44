"""Every error of the API is problem+json with a stable code and a reference, whatever raised it and wherever."""

from __future__ import annotations

import errno
import logging

import pytest
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import SuspiciousOperation
from django.db import IntegrityError, InterfaceError, OperationalError, ProgrammingError
from django.http import Http404, UnreadablePostError
from rest_framework import exceptions

from cxrsite import problems
from patients.errors import CODES, ApplicationError
from tests.api.problems import assert_problem

pytestmark = pytest.mark.django_db

URL = "/api/v1/me/"


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (ApplicationError("patient_mismatch", file_says="1", selected="2"), "patient_mismatch"),
        (exceptions.ValidationError({"name": ["needed"]}), "invalid_input"),
        (exceptions.ValidationError(["not an object"]), "invalid_json"),
        (exceptions.ParseError(), "invalid_json"),
        (exceptions.Throttled(3), "rate_limited"),
        (exceptions.PermissionDenied(), "permission_denied"),
        (DjangoPermissionDenied(), "permission_denied"),
        (exceptions.NotFound(), "not_found"),
        (Http404(), "not_found"),
        (UnreadablePostError(), "length_mismatch"),
        (SuspiciousOperation(), "invalid_input"),
        (OperationalError("could not connect to server at 10.0.0.7"), "temporarily_unavailable"),
        (InterfaceError("connection already closed"), "temporarily_unavailable"),
        (OSError(errno.ENOSPC, "No space left on device", "/srv/media/x.py"), "storage_unavailable"),
        (ProgrammingError("SELECT secret"), "internal_error"),
        (IntegrityError("Key (value)=(0017) already exists"), "internal_error"),
        (RecursionError(), "internal_error"),
        (KeyError("name"), "internal_error"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
def test_whatever_a_view_raises_is_a_problem_with_a_code(fault, code, api_for, monkeypatch):
    def fail(user):
        raise fault

    monkeypatch.setattr("patients.api.views.me", fail)
    assert_problem(api_for("operator").get(URL), code)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (OperationalError("could not connect"), "temporarily_unavailable"),
        (ApplicationError("too_many_files"), "too_many_files"),
        (ValueError("a patient's name"), "internal_error"),
    ],
)
def test_whatever_a_middleware_raises_is_a_problem_under_the_api(fault, code, anonymous, monkeypatch):
    def fail(self, request):
        raise fault

    monkeypatch.setattr("django.contrib.sessions.middleware.SessionMiddleware.process_request", fail)
    assert_problem(anonymous.get(URL), code)


def test_a_fault_is_logged_with_its_kind_and_place_and_without_its_message(api_for, monkeypatch, caplog):
    def fail(user):
        raise IntegrityError(f"Key (value)=({name}) already exists")

    name = "Asha " + "Verma"

    monkeypatch.setattr("patients.api.views.me", fail)
    with caplog.at_level(logging.ERROR):
        body = assert_problem(api_for("operator").get(URL), "internal_error")
    assert body["request_id"] in body["detail"]
    (fault,) = [each for each in caplog.records if each.name == "cxrsite.problems"]
    assert fault.fault == "IntegrityError"
    assert any("test_problems" in place for place in fault.where)
    assert name not in caplog.text


def test_a_fault_of_a_page_reaches_the_log_without_its_message(client_for, monkeypatch, caplog):
    number = "00" + "42"  # the log shows lines of code, which are no patient's

    def fail():
        raise IntegrityError(f"Key (value)=({number}) already exists")

    monkeypatch.setattr("diagnosis.monitoring.status_read", fail)
    client = client_for("operator")
    client.raise_request_exception = False
    with caplog.at_level(logging.ERROR):
        response = client.get("/status/")
    assert response.status_code == 500
    (fault,) = [each for each in caplog.records if each.name == "cxrsite.problems"]
    assert fault.fault == "IntegrityError"
    assert number not in response.content.decode()


@pytest.mark.parametrize(("code", "seconds"), problems.RETRY_AFTER.items())
def test_where_waiting_helps_the_answer_says_how_long(code, seconds, api_for, monkeypatch):
    def fail(user):
        raise ApplicationError(code)

    monkeypatch.setattr("patients.api.views.me", fail)
    assert api_for("operator").get(URL).headers["Retry-After"] == str(seconds)


def test_every_code_of_the_table_has_a_title_a_sentence_and_a_status():
    for code, entry in CODES.items():
        assert entry.title, code
        assert entry.detail, code
        assert 200 <= entry.status < 600, code


def test_field_errors_are_named_however_deep_they_lie():
    error = exceptions.ValidationError({"identifiers": [{}, {"value": ["This field is required."]}], "name": ["No."]})
    assert problems.coded(error).fields == {"identifiers.1.value": ["This field is required."], "name": ["No."]}


def test_an_unknown_address_under_the_api_is_a_problem(anonymous):
    assert_problem(anonymous.get("/api/v1/nothing/"), "not_found")


def test_a_page_shows_the_same_sentence_as_the_api(client_for):
    response = client_for("operator").get("/nothing/")
    assert response.status_code == 404
    assert CODES["not_found"].detail in response.content.decode()


def test_a_page_without_a_database_still_answers_in_words(anonymous, monkeypatch):
    def fail(self, request):
        raise OperationalError("could not connect")

    monkeypatch.setattr("django.contrib.sessions.middleware.SessionMiddleware.process_request", fail)
    response = anonymous.get("/")
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "30"
    assert CODES["temporarily_unavailable"].detail in response.content.decode()

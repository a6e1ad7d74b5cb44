"""Receiving: counted, hashed, refused early, and gone when the request ends; through Django's parser and DRF's."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client, RequestFactory
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request

from diagnosis.uploads import UploadRefusedError
from patients.models import AuditEvent

DATA = os.urandom(300_000)


def post(data: bytes = DATA, **headers: Any) -> Any:
    file = SimpleUploadedFile("film.png", data, "image/png")
    return RequestFactory().post("/", {"note": "one", "file": file}, **headers)


def drf(request: Any) -> Request:
    return Request(request, parsers=[MultiPartParser()])


@pytest.fixture(params=[lambda request: request, drf], ids=["django", "drf"])
def parsed(request: Any) -> Any:
    return request.param


def incoming(settings: Any) -> list[Path]:
    return list(Path(settings.FILE_UPLOAD_TEMP_DIR).iterdir())


def refused(request: Any) -> str:
    with pytest.raises(UploadRefusedError) as caught:
        _ = request.FILES
    return caught.value.code


def test_a_file_is_hashed_while_it_is_received(parsed, settings):
    request = parsed(post())
    file = request.FILES["file"]
    assert (file.sha256, file.size) == (hashlib.sha256(DATA).hexdigest(), len(DATA))
    assert Path(file.temporary_file_path()).read_bytes() == DATA
    assert request.POST["note"] == "one"


def test_the_temporary_file_ends_with_the_request(parsed, settings):
    django_request = post()
    _ = parsed(django_request).FILES["file"]
    assert len(incoming(settings)) == 1
    django_request.close()
    assert incoming(settings) == []


def test_a_body_that_says_it_is_too_large_is_not_read(parsed, settings, monkeypatch):
    settings.MAX_UPLOAD_BYTES = 100_000
    monkeypatch.setattr("diagnosis.uploads.FORM_OVERHEAD_BYTES", 0)
    request = post()
    assert refused(parsed(request)) == "file_too_large"
    assert request._stream._pos < len(DATA)
    assert incoming(settings) == []


def test_a_file_is_counted_whatever_the_length_says(parsed, settings):
    settings.MAX_UPLOAD_BYTES = len(DATA) - 1
    assert refused(parsed(post())) == "file_too_large"
    assert incoming(settings) == []


def test_a_file_of_exactly_the_limit_is_taken(parsed, settings):
    settings.MAX_UPLOAD_BYTES = len(DATA)
    assert parsed(post()).FILES["file"].size == len(DATA)


def test_a_body_that_was_cut_off_is_refused(parsed, settings):
    whole = post()
    body = whole.body[:-1000]
    cut = RequestFactory().generic("POST", "/", body, content_type=whole.content_type + "; boundary=BoUnDaRyStRiNg")
    cut.META["CONTENT_LENGTH"] = cut.environ["CONTENT_LENGTH"] = str(len(whole.body))
    assert refused(parsed(cut)) == "length_mismatch"
    assert incoming(settings) == []


def test_a_body_longer_than_its_declared_length_is_refused(parsed, settings):
    whole = post()
    whole.META["CONTENT_LENGTH"] = whole.environ["CONTENT_LENGTH"] = str(len(whole.body) - 1000)
    request = RequestFactory().generic("POST", "/", whole.body[:-1000], content_type=whole.content_type)
    request.META["CONTENT_TYPE"] = whole.META["CONTENT_TYPE"]
    assert refused(parsed(request)) == "length_mismatch"
    assert incoming(settings) == []


def test_a_body_without_a_length_is_refused():
    request = post()
    del request.META["CONTENT_LENGTH"]
    request.META["HTTP_TRANSFER_ENCODING"] = "chunked"
    assert refused(request) == "length_mismatch"


def test_a_compressed_body_is_refused(parsed):
    assert refused(parsed(post(headers={"Content-Encoding": "gzip"}))) == "content_encoding_unsupported"


def test_a_second_file_is_refused(parsed, settings):
    files = {name: SimpleUploadedFile(name, DATA, "image/png") for name in ("one", "two")}
    assert refused(parsed(RequestFactory().post("/", files))) == "too_many_files"
    assert incoming(settings) == []


def test_a_full_disk_is_said_so(parsed, settings):
    settings.FILE_UPLOAD_TEMP_DIR = str(Path(settings.FILE_UPLOAD_TEMP_DIR) / "missing")
    assert refused(parsed(post())) == "storage_unavailable"


def test_a_refusal_is_recorded_for_whoever_is_signed_in(user_for):
    request = post(headers={"Content-Encoding": "gzip"})
    request.user = user_for("operator")
    refused(request)
    event = AuditEvent.objects.get(verb="upload")
    assert (event.user, event.outcome) == (request.user, "content_encoding_unsupported")


def test_a_page_answers_with_the_code_though_the_csrf_check_reads_the_form(user_for, settings):
    settings.MAX_UPLOAD_BYTES = 1000
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(user_for("operator"), backend="allauth.account.auth_backends.AuthenticationBackend")
    client.cookies["csrftoken"] = "a" * 32
    response = client.post("/", {"file": SimpleUploadedFile("film.png", DATA, "image/png")})
    assert response.status_code == 413
    assert AuditEvent.objects.filter(user=user_for("operator"), outcome="file_too_large").exists()

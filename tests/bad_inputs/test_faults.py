"""The rows of the bad-input table where something of ours is broken: what is said, by page and by API.

Broken inside the test's process; the same faults of real servers and disks are in `tests/faults`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError

from diagnosis.models import Job, Radiograph
from tests.api.problems import assert_problem
from tests.bad_inputs.desk import API, PAGE
from tests.encodings import as_png
from tests.films import synthetic_film

pytestmark = pytest.mark.django_db
PNG = as_png(synthetic_film(11))


class Fault(NamedTuple):
    """What is broken, and what a person who sends a good film then reads. `REF` stands for the request's reference."""

    name: str
    breaks: Callable[[Any, Any], None]
    status: int
    code: str
    sentence: str


def raises(error: Exception) -> Callable[..., Any]:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    return fail


def _disk_full(patch: Any, settings: Any) -> None:
    patch.setattr("os.fsync", raises(OSError(28, "No space left on device")))


def _no_place_for_uploads(patch: Any, settings: Any) -> None:
    settings.FILE_UPLOAD_TEMP_DIR += "/missing"


def _database_away(patch: Any, settings: Any) -> None:
    patch.setattr(Radiograph.objects, "create", raises(OperationalError("server closed the connection")))


def _bug(patch: Any, settings: Any) -> None:
    patch.setattr("diagnosis.services.intake._film_commit", raises(ValueError("SELECT name FROM patients: Asha")))


def _same_key_at_work(patch: Any, settings: Any) -> None:
    patch.setattr("diagnosis.services.intake.lock_try", lambda name: False)


def _too_fast(patch: Any, settings: Any) -> None:
    settings.RATE_LIMITS = settings.RATE_LIMITS | {"upload": 0}


FAULTS = (
    Fault("disk full", _disk_full, 503, "storage_unavailable", "Nothing was saved. Try again in 30 s."),
    Fault(
        "no place for uploads",
        _no_place_for_uploads,
        503,
        "storage_unavailable",
        "Nothing was saved. Try again in 30 s.",
    ),
    Fault("database away", _database_away, 503, "temporarily_unavailable", "Nothing was saved. Try again in 30 s."),
    Fault("a bug", _bug, 500, "internal_error", "Something went wrong on our side. Reference REF."),
    Fault(
        "the same key at work",
        _same_key_at_work,
        409,
        "idempotency_in_progress",
        "The same upload is still in progress. Try again shortly.",
    ),
    Fault("too fast", _too_fast, 429, "rate_limited", "Too many requests. Wait 60 seconds and try again."),
)


def send(way: str, client: Any, patient: Any) -> Any:
    body = {"patient": patient.pk, "file": SimpleUploadedFile("film.png", PNG, "image/png")}
    headers = {"Idempotency-Key": "k"}
    return client.post("/api/v1/studies/" if way == API else "/", body, format="multipart", headers=headers)


@pytest.fixture
def browser(way: str, api_for: Any, client_for: Any) -> Any:
    if way == API:
        return api_for("operator")
    client = client_for("operator")
    post = client.post
    client.post = lambda path, body, format, headers: post(path, body, headers=headers)
    return client


def said(page: Any) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", page.content.decode())))


@pytest.mark.parametrize(
    ("fault", "way"), [pytest.param(f, w, id=f"{f.name}-{w}") for f in FAULTS for w in (API, PAGE)]
)
def test_a_fault_of_ours_is_said_and_nothing_is_kept(fault, way, browser, patient, monkeypatch, settings):
    with monkeypatch.context() as patch:
        fault.breaks(patch, settings)
        answer = send(way, browser, patient)
    sentence = fault.sentence.replace("REF", answer.headers["X-Request-ID"])
    if way == API:
        assert assert_problem(answer, fault.code, fault.status)["detail"] == sentence
    else:
        assert answer.status_code == fault.status
        assert sentence in said(answer)
        assert fault.code in said(answer)
        assert not re.search("Traceback|SELECT|Asha,", answer.content.decode())
    if fault.status == 503:
        assert answer.headers["Retry-After"] == "30"
    assert (Radiograph.objects.count(), Job.objects.count()) == (0, 0)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", [API, PAGE])
def test_without_redis_a_film_is_saved_and_said_to_be_late(way, browser, patient, settings, monkeypatch):
    monkeypatch.setattr("diagnosis.services.queue.current_app.connection", raises(ConnectionRefusedError()))
    answer = send(way, browser, patient)
    if way == API:
        assert answer.status_code == 201
        (warning,) = answer.json()["warnings"]
        assert warning == {"code": "processing_delayed", "message": "Saved. Analysis may be late."}
    else:
        assert "Saved. Analysis may be late." in said(browser.get(answer.url))
    assert Job.objects.get().state == "queued"

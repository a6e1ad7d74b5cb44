"""Processes are asked to end while films are on their way: a deploy loses, doubles and refuses nothing.

Scaled down: `CXR_FULL_COUNTS=1` takes the counts of the failure table.
"""

from __future__ import annotations

import http.client
import os
import random
import threading
import uuid
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from knox.models import AuthToken

from diagnosis.models import Job, Prediction, Radiograph
from diagnosis.services.recovery import sweep
from patients.models import AuditEvent
from tests.diagnosis.conftest import small_film
from tests.diagnosis.workers import jobs_open, wait_for
from tests.site.running import free_port

FULL = bool(os.environ.get("CXR_FULL_COUNTS"))
SIGNALS, FILMS_UNDER_SIGNALS = (200, 400) if FULL else (6, 24)
RESTARTS, FILMS_UNDER_RESTARTS = (10, 100) if FULL else (2, 24)

pytestmark = [
    pytest.mark.workers,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(7200 if FULL else 300),
]


def each_film_was_read_once(films: int) -> None:
    assert Prediction.objects.count() == Radiograph.objects.count() == films
    assert set(Job.objects.values_list("state", flat=True)) == {"succeeded"}
    assert AuditEvent.objects.filter(verb="infer").count() == films


def test_f16_workers_that_are_asked_to_end_at_any_moment_leave_nothing_behind(workers, send):
    chance = random.Random(16)
    for _ in range(FILMS_UNDER_SIGNALS):
        send(uuid.uuid4())
    workers.start("prepare", "infer")
    for _ in range(SIGNALS):
        done = Prediction.objects.count()
        wait_for(lambda done=done: Prediction.objects.count() > done or not jobs_open(), meanwhile=sweep)
        name = chance.choice(["prepare", "infer"])
        threading.Event().wait(chance.random() * 0.5)  # at no moment in particular
        workers.stop(name)
        workers.start(name)
    wait_for(lambda: not jobs_open(), seconds=120, meanwhile=sweep)
    each_film_was_read_once(FILMS_UNDER_SIGNALS)


class Clinic(threading.Thread):
    """Sends films one after the other, each again with the same key where the connection broke."""

    def __init__(self, port: int, token: str, patient: Any) -> None:
        super().__init__()
        self._port, self._patient = port, patient
        self._headers = {"Authorization": f"Token {token}", "Content-Type": MULTIPART_CONTENT}
        self.statuses: list[int] = []

    def run(self) -> None:
        for _ in range(FILMS_UNDER_RESTARTS):
            film = SimpleUploadedFile("film.png", small_film(uuid.uuid4()), "image/png")
            body = encode_multipart(BOUNDARY, {"file": film, "patient": str(self._patient.pk)})
            self.statuses.append(self._send(body, uuid.uuid4().hex))

    def _send(self, body: bytes, key: str) -> int:
        for _ in range(5):
            site = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
            try:
                site.request("POST", "/api/v1/studies/", body, self._headers | {"Idempotency-Key": key})
                return site.getresponse().status
            except (OSError, http.client.HTTPException):
                continue
            finally:
                site.close()
        return 0


def answers(port: int) -> bool:
    site = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        site.request("GET", "/livez")
        return site.getresponse().status == 200
    except OSError:
        return False
    finally:
        site.close()


def test_f17_a_rolling_restart_loses_doubles_and_refuses_no_film(workers, patient, user_for):
    port = free_port()
    workers.environment = {"PORT": str(port), "HOST": "127.0.0.1", "WEB_WORKERS": "1"}
    _, token = AuthToken.objects.create(user_for("operator"))
    workers.start("web", "prepare", "infer", "sweeper")
    wait_for(lambda: answers(port))
    clinic = Clinic(port, token, patient)
    clinic.start()
    for times in range(1, RESTARTS + 1):
        workers.reload_web()
        for name in ("prepare", "infer"):
            wait_for(lambda name=name, times=times: workers.log(name).count(f"{name}@test is ready") >= times)
            assert workers.stop(name) == 0
            workers.start(name)
        workers.stop("sweeper")
        workers.start("sweeper")
    clinic.join()
    connection.close()
    assert clinic.statuses == [201] * FILMS_UNDER_RESTARTS
    wait_for(lambda: not jobs_open(), seconds=120)
    each_film_was_read_once(FILMS_UNDER_RESTARTS)

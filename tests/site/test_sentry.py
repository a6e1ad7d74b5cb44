"""What leaves for a Sentry server: the fault and its place, and nothing that names a patient."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import sentry_sdk
from django.test import Client
from sentry_sdk.transport import Transport
from structlog.contextvars import bound_contextvars

from cxrsite.sentry import sentry_start

NAME = "Asha " + "Verma"


class Caught(Transport):
    """Keeps what would have left."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Any] = []

    def capture_envelope(self, envelope: Any) -> None:
        self.sent += [item.payload.json for item in envelope.items]


@pytest.fixture
def caught() -> Iterator[Caught]:
    transport = Caught()
    sentry_start("http://key@127.0.0.1:9/1", transport=transport)
    yield transport
    sentry_sdk.get_client().close()
    sentry_sdk.init()


def test_a_fault_on_a_page_leaves_without_the_patient(
    caught: Caught, client_for: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        wanted = NAME
        raise ValueError(f"no such person: {wanted}")

    monkeypatch.setattr("diagnosis.monitoring.status_read", fail)
    client: Client = client_for("operator")
    response = client.get("/status/", {"q": NAME}, headers={"X-Patient": NAME})
    assert response.status_code == 500
    sentry_sdk.flush()
    said = json.dumps(caught.sent)
    assert "ValueError" in said
    assert "test_sentry" in said
    assert response["X-Request-ID"] in said
    assert NAME not in said
    assert "sessionid" not in said


def test_an_error_in_the_log_leaves_as_its_sentence_without_the_values(caught: Caught) -> None:
    with bound_contextvars(job_id="4711"):
        logging.getLogger("tests.sentry").error("the film of %s is damaged", NAME)
    sentry_sdk.flush()
    (event,) = caught.sent
    assert event["logentry"]["message"] == "the film of %s is damaged"
    assert event["tags"] == {"job_id": "4711"}
    assert NAME not in json.dumps(event)

"""Log events: with the ids to find them by, without anything that names a patient."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from logging.config import DictConfigurator
from typing import Any

import pytest
from django.db import IntegrityError
from django.test import Client
from structlog.contextvars import bound_contextvars

from cxrsite.logs import logging_config

SECRET = "Asha " + "Verma"  # put together here, so that no line of code that a log names holds it


def formatter(form: str) -> logging.Formatter:
    config = logging_config(level="DEBUG", form=form)
    return DictConfigurator(config).configure_formatter(config["formatters"]["event"])


class Kept(logging.Handler):
    """Every event as the console would show it."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.setFormatter(formatter(form))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def events() -> Iterator[Kept]:
    kept, root = Kept("json"), logging.getLogger()
    before = root.level
    root.addHandler(kept)
    root.setLevel(logging.DEBUG)
    yield kept
    root.removeHandler(kept)
    root.setLevel(before)


def of(events: Kept, logger: str) -> list[dict[str, Any]]:
    return [event for event in map(json.loads, events.lines) if event["logger"] == logger]


def test_a_request_that_fails_is_one_event_with_its_reference_and_no_query(anonymous: Client, events: Kept) -> None:
    response = anonymous.get("/api/v1/patients/", {"q": SECRET})
    (event,) = of(events, "cxrsite.requests")
    assert event.items() >= {"method": "GET", "path": "/api/v1/patients/", "status": 401, "level": "info"}.items()
    assert event["request_id"] == response["X-Request-ID"]
    assert "q=" not in "".join(events.lines)


def test_a_page_that_is_only_looked_at_is_no_event_at_the_usual_level(anonymous: Client, events: Kept) -> None:
    assert anonymous.get("/livez").status_code == 200
    (event,) = of(events, "cxrsite.requests")
    assert event["level"] == "debug"


@pytest.mark.parametrize("form", ["line", "json"])
def test_a_fault_is_told_by_kind_and_place_and_never_by_its_words(form: str) -> None:
    kept = Kept(form)
    log = logging.getLogger("tests.fault")
    log.addHandler(kept)
    try:
        raise IntegrityError(f"Key (name)=({SECRET}) already exists")
    except IntegrityError:
        log.exception("could not be stored")
    log.removeHandler(kept)
    (said,) = kept.lines
    assert SECRET not in said
    assert "IntegrityError" in said
    assert "site/test_logs.py" in said


def test_what_django_hands_on_about_a_request_is_left_out(rf: Any) -> None:
    kept = Kept("json")
    log = logging.getLogger("tests.extra")
    log.addHandler(kept)
    log.error("Failed", extra={"request": rf.get("/patients/", {"q": SECRET}), "status": 500})
    log.removeHandler(kept)
    assert json.loads(kept.lines[0]).items() >= {"event": "Failed", "status": 500}.items()
    assert SECRET not in kept.lines[0]


def test_ids_of_the_context_are_part_of_every_event_within_it() -> None:
    kept = Kept("line")
    log = logging.getLogger("tests.context")
    log.addHandler(kept)
    with bound_contextvars(job_id="4711"):
        log.warning("film is ready")
    log.warning("outside")
    log.removeHandler(kept)
    assert kept.lines == ["WARNING tests.context film is ready job_id=4711", "WARNING tests.context outside"]

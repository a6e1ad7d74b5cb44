"""F7: a worker that hears of nothing while work waits ends itself, whatever its connection says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from diagnosis import worker
from diagnosis.services.presence import Presence
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    codes: list[int] = []
    monkeypatch.setattr(worker, "_exit", codes.append)
    return codes


def heartbeat_of(kind: str, *, note: str = "", age: float | None = 100) -> worker.Heartbeat:
    heartbeat = worker.Heartbeat("worker@here", kind, Presence(note=note))
    if age is not None:
        heartbeat.listens()
        heartbeat._listens_since -= age
    return heartbeat


def waiting(patient: Any, seconds: float) -> None:
    film = factories.radiograph_make(factories.study_make(patient))
    factories.job_make(film, "prepare", queued_at=timezone.now() - timedelta(seconds=seconds))


def test_f7_a_worker_that_hears_of_no_work_ends_to_be_started_anew(patient: Any, ended: list[int]) -> None:
    waiting(patient, 60)
    heartbeat_of("prepare")._end_if_deaf()
    assert ended == [worker.EXIT_DEAF]


@pytest.mark.parametrize(
    ("kind", "given", "waits"),
    [
        ("infer", {}, 60),
        ("prepare", {}, 20),
        ("prepare", {"age": 5}, 60),
        ("prepare", {"age": None}, 600),
        ("prepare", {"note": "no model"}, 60),
    ],
    ids=["other kind", "waits shortly", "just started", "still loads its model", "says that it cannot"],
)
def test_it_stays_where_that_would_not_help(
    kind: str, given: dict[str, Any], waits: float, patient: Any, ended: list[int]
) -> None:
    waiting(patient, waits)
    heartbeat_of(kind, **given)._end_if_deaf()
    assert ended == []

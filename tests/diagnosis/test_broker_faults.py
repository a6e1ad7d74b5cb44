"""Redis frozen, down, killed: films are taken in all the same, and workers hear again."""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import current_app

from diagnosis.models import Job, Radiograph
from diagnosis.monitoring import alerts_read
from diagnosis.services.prepare import prepare_next
from diagnosis.services.recovery import sweep
from tests.diagnosis.broker import Broker
from tests.diagnosis.test_durability import post  # noqa: F401  a fixture
from tests.diagnosis.workers import wait_for

pytestmark = [pytest.mark.workers, pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]


@pytest.fixture
def broker(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """The site's Redis, for this test."""
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:  # a socket's path must be short
        own = Broker(Path(folder))
        settings.CELERY_BROKER_URL = own.url
        monkeypatch.setattr(current_app.conf, "broker_url", own.url)
        yield own
        own.kill()


def warnings_of(response: Any) -> list[str]:
    assert response.status_code == 201, response.content
    return [warning["code"] for warning in response.json()["warnings"]]


def test_f5_a_frozen_redis_holds_up_no_upload_for_long(broker, post):  # noqa: F811
    broker.freeze()
    for _ in range(3):
        begun = time.monotonic()
        assert "processing_delayed" in warnings_of(post())
        assert time.monotonic() - begun < 5, "two seconds of waiting for Redis, and the upload itself"
    broker.thaw()
    assert "processing_delayed" not in warnings_of(post())
    assert Job.objects.filter(state="queued").count() == 4


def test_f6_films_sent_while_redis_is_down_are_read_when_it_is_back(broker, post, settings):  # noqa: F811
    settings.SWEEP_SECONDS = 0
    broker.kill()
    for _ in range(3):
        assert "processing_delayed" in warnings_of(post())
    assert "broker_away" in [alert.code for alert in alerts_read()]
    broker.start()
    assert sweep().hinted == 3
    while prepare_next(worker="test"):
        pass
    assert set(Radiograph.objects.values_list("state", flat=True)) == {"ready"}
    assert "broker_away" not in [alert.code for alert in alerts_read()]


def test_f7_workers_hear_the_next_hint_after_redis_was_killed_again_and_again(broker, workers, send):
    workers.start("prepare")
    prepared = Radiograph.objects.filter(state="ready")
    for round_ in range(1, 4):
        send(uuid.uuid4())  # its hint, and nothing else, brings it to a worker: no sweeper runs here
        wait_for(lambda expected=round_: prepared.count() == expected, seconds=30)
        broker.kill()
        broker.start()
        wait_for(lambda expected=round_: workers.log("prepare").count("Connected to redis") > expected, seconds=30)

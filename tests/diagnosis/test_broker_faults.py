"""Redis is killed under a worker, which hears again; `tests/faults/test_drills.py` does the same to the whole site."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import current_app

from diagnosis.models import Radiograph
from diagnosis.services.queue import hint_publish
from tests.diagnosis.broker import Broker
from tests.diagnosis.workers import wait_for

pytestmark = [pytest.mark.workers, pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]


@pytest.fixture
def broker(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """The site's Redis, for this test."""
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:  # a socket's path must be short
        own = Broker(Path(folder))
        # Celery first: it reads the settings when it is first asked, and would take this address for its own.
        monkeypatch.setattr(current_app.conf, "broker_url", own.url)
        settings.CELERY_BROKER_URL = own.url
        yield own
        own.kill()


def test_f7_workers_hear_the_next_hint_after_redis_was_killed_again_and_again(broker, workers, send):
    workers.start("prepare")
    prepared = Radiograph.objects.filter(state="ready")
    for round_ in range(1, 4):
        send(uuid.uuid4())  # its hint, and nothing else, brings it to a worker: no sweeper runs here
        wait_for(lambda expected=round_: prepared.count() == expected, seconds=30)
        broker.kill()
        broker.start()
        wait_for(lambda expected=round_: workers.log("prepare").count("Connected to redis") > expected, seconds=30)


def test_a_publisher_whose_connection_broke_with_redis_says_so_and_publishes_again_when_redis_is_back(broker):
    assert hint_publish("prepare")
    broker.kill()
    assert not hint_publish("prepare")
    broker.start()
    assert hint_publish("prepare")

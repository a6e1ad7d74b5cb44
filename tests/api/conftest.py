"""Fixtures of the API tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from diagnosis.models import Job
from diagnosis.services.prepare import films_prepare
from diagnosis.services.queue import jobs_claim


@pytest.fixture
def prepare_all(db: None) -> Callable[[], None]:
    """Do what the prepare worker would do with every waiting film, here and now."""

    def run() -> None:
        for _ in range(Job.objects.filter(kind="prepare", state="queued").count()):
            (job,) = jobs_claim(kind="prepare", limit=1, worker="test")
            films_prepare([job])

    return run

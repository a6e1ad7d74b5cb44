"""What the page tests share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone


@pytest.fixture
def count_queries() -> Callable[[Callable[[], object]], int]:
    """How many queries a call makes, after a first one: a session's first request also writes the session, and so does
    one some seconds later, so no time passes."""

    def count(call: Callable[[], object]) -> int:
        with time_machine.travel(timezone.now(), tick=False):
            call()
            with CaptureQueriesContext(connection) as captured:
                call()
        return len(captured)

    return count

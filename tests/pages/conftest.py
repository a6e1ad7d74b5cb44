"""What the page tests share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.pages.exporting import decided


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


@pytest.fixture
def reader(user_for):
    """A radiologist, Meera Nair."""
    user = user_for("radiologist")
    type(user).objects.filter(pk=user.pk).update(first_name="Meera", last_name="Nair")
    user.refresh_from_db()
    return user


@pytest.fixture
def browser(client_for, reader):
    """The reader's."""
    return client_for(reader)


@pytest.fixture
def report(patient, reader):
    """Signed: the model reports pneumonia and no effusion; the reader agrees on the former and sees a nodule, too."""
    return decided(patient, reader)

"""Counts of requests are worth nothing after their minute: the sweeper deletes them, a bounded number each time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from cxrsite.limits import request_count, request_counts_forget
from cxrsite.models import RequestCount
from diagnosis.services.recovery import sweep

pytestmark = pytest.mark.django_db


def count_made(key: str, **ago: float) -> None:
    RequestCount.objects.create(key=key, began_at=Now() - timedelta(**ago), count=7)


def test_a_sweep_forgets_who_asked_an_hour_ago_and_no_one_else():
    count_made("visitor:10.0.0.1", minutes=61)
    count_made("visitor:10.0.0.2", minutes=59)
    request_count({"person": 1})
    sweep()
    assert set(RequestCount.objects.values_list("key", flat=True)) == {"visitor:10.0.0.2", "person:1"}


def test_a_sweep_forgets_a_bounded_number():
    for number in range(5):
        count_made(f"visitor:10.0.0.{number}", days=1)
    assert [request_counts_forget(at_most=2) for _ in range(4)] == [2, 2, 1, 0]


def test_who_comes_back_is_counted_anew():
    count_made("person:1", days=1)
    request_counts_forget()
    request_count({"person": 1})
    assert RequestCount.objects.get().count == 1

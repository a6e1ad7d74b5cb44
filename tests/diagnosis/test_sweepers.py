"""Two real sweeper processes: whichever dies, hangs or is cut off, the other goes on sweeping."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import time_machine
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from diagnosis.models import Job, Worker
from tests import factories
from tests.diagnosis.workers import Workers, wait_for

pytestmark = [pytest.mark.workers, pytest.mark.django_db(transaction=True)]

#: A sweep is due a second after the last; whoever is left takes over within five more.
TAKEOVER_SECONDS = 1 + 5


@pytest.fixture
def sweepers(settings: Any, tmp_path: Path) -> Iterator[Callable[..., Workers]]:
    settings.SWEEP_SECONDS = 1
    started: list[Workers] = []

    def start(**programs: str) -> Workers:
        started.append(Workers(tmp_path, programs))
        return started[-1]

    yield start
    for each in started:
        each.end()


def last_sweep() -> datetime | None:
    return Worker.objects.filter(kind="sweeper").values_list("seen_at", flat=True).first()


def wait_for_sweep(*, after: datetime | None, seconds: float = 30) -> datetime:
    """The moment of a sweep later than `after`."""
    return wait_for(lambda: (moment := last_sweep()) and (after is None or moment > after) and moment, seconds=seconds)


def connected(name: str) -> int:
    """How many sessions of the database belong to this process."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [name])
        return int(cursor.fetchone()[0])


def left_job(patient: Any) -> Job:
    """A job whose worker died."""
    film = factories.radiograph_make(factories.study_make(patient))
    return factories.job_make(film, state="running", lease_until=timezone.now() - timedelta(minutes=1))


@pytest.mark.parametrize("victim", ["sweeper", "sweeper-2"])
def test_f18_when_one_of_two_sweepers_is_killed_the_other_takes_over_within_five_seconds(sweepers, patient, victim):
    running = sweepers()
    running.start("sweeper", "sweeper-2")
    wait_for_sweep(after=None)
    running.kill(victim)
    job, killed_at = left_job(patient), last_sweep()
    wait_for_sweep(after=killed_at, seconds=TAKEOVER_SECONDS)
    wait_for(lambda: Job.objects.get(pk=job.pk).state == "queued", seconds=TAKEOVER_SECONDS)


def test_f18_a_sweeper_that_is_paused_while_it_holds_the_lock_loses_it_within_five_seconds(sweepers, patient):
    running = sweepers(sweeper="tests.diagnosis.paused_sweeper")
    job = left_job(patient)
    running.start("sweeper")
    wait_for(lambda: running.status("sweeper") == psutil.STATUS_STOPPED)
    assert Job.objects.get(pk=job.pk).state == "running"
    running.start("sweeper-2")
    wait_for(lambda: Job.objects.get(pk=job.pk).state == "queued", seconds=30)

    running.signal("sweeper", signal.SIGCONT)
    wait_for(lambda: "no sweep: " in running.log("sweeper"))
    running.kill("sweeper-2")
    wait_for_sweep(after=last_sweep(), seconds=30)


def test_f18_two_sweepers_sweep_no_more_often_than_one(sweepers, settings):
    settings.SWEEP_SECONDS = 3600
    running = sweepers()
    running.start("sweeper")
    first = wait_for_sweep(after=None)
    running.start("sweeper-2")
    wait_for(lambda: connected("sweeper-2"))
    assert last_sweep() == first
    assert running.stop("sweeper-2") == 0


def test_a_sweeper_goes_on_when_the_database_comes_back_and_ends_when_asked(sweepers):
    running = sweepers()
    running.start("sweeper")
    before = wait_for_sweep(after=None)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sweeper'")
        assert cursor.rowcount  # a connection of a sweeper that was killed just before may be ending still
    wait_for_sweep(after=before)
    assert running.stop("sweeper") == 0


FAKETIME = next(Path("/usr").glob("lib*/**/faketime/libfaketime.so.1"), None)


@pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not installed (Debian, Ubuntu: apt install libfaketime)")
def test_f24_a_clock_that_is_an_hour_ahead_ends_no_lease_and_still_finds_lost_work(sweepers, patient):
    held = left_job(patient)
    Job.objects.filter(pk=held.pk).update(lease_until=Now() + timedelta(minutes=1))
    running = sweepers()
    running.environment = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": "+1h", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    running.start("sweeper")
    first = wait_for_sweep(after=None)
    lost = left_job(patient)
    wait_for_sweep(after=wait_for_sweep(after=first))
    wait_for(lambda: Job.objects.get(pk=lost.pk).state == "queued")
    assert Job.objects.get(pk=held.pk).state == "running"
    assert first < timezone.now() + timedelta(minutes=1), "sweeps are dated by the database"


@pytest.mark.parametrize("hours", [-1, 1])
def test_f24_jobs_are_dated_by_the_database_whatever_the_clock_of_the_web_server_says(patient, hours):
    now = timezone.now()
    with time_machine.travel(now + timedelta(hours=hours)):
        job = Job.objects.create(radiograph=factories.radiograph_make(factories.study_make(patient)), kind="prepare")
    assert abs(job.queued_at - now) < timedelta(minutes=5)
    assert abs(job.created_at - now) < timedelta(minutes=5)

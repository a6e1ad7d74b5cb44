"""Real workers meet poison, hang, run out of memory, are paused: it costs a process at most, never another film."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from django.db import connection

from diagnosis.models import Job, Prediction, Tally
from diagnosis.services.queue import hint_publish
from diagnosis.services.recovery import sweep
from patients.models import AuditEvent
from tests import films as poison
from tests.diagnosis.conftest import small_film
from tests.diagnosis.workers import jobs_open, wait_for

pytestmark = [pytest.mark.workers, pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]


@pytest.fixture
def waiting(prepared: Any) -> Callable[..., Job]:
    """`waiting(film_id)`: a small film that waits for the model."""

    def make(film_id: uuid.UUID | None = None) -> Job:
        film_id = film_id or uuid.uuid4()
        return prepared(data=small_film(film_id))

    return make


def outcome(job: Job) -> tuple[str, int, str]:
    job.refresh_from_db()
    return job.state, job.attempt, job.error_code


def claims_since(fence: int) -> int:
    """Every claim draws one fence, and so does this question."""
    return fence_draw() - fence - 1


def fence_draw() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('diagnosis_job_fence')")
        return int(cursor.fetchone()[0])


def test_f10_of_a_batch_of_eight_only_the_poison_film_fails_and_only_after_three_deaths_alone(workers, waiting):
    healthy = [waiting() for _ in range(4)]
    bad = waiting(poison.KILLS_INFER)
    healthy += [waiting() for _ in range(3)]
    before = fence_draw()

    def supervise() -> None:
        workers.restart_the_dead()
        sweep()

    workers.start("infer")
    wait_for(lambda: not jobs_open(), seconds=150, meanwhile=supervise)
    assert outcome(bad) == ("failed", 3, "worker_lost")
    assert [outcome(job) for job in healthy] == [("succeeded", 1, "")] * 7
    assert Prediction.objects.count() == 7
    assert workers.deaths["infer"] <= 4, "once together, three times alone"
    assert claims_since(before) == 8 + 7 + 3, "all together once, then each alone, the poison film three times"


def test_f9_f11_a_decoder_that_hangs_or_eats_memory_costs_its_child_and_no_other_film(workers, send, settings):
    settings.CELERY_TASK_SOFT_TIME_LIMIT, settings.CELERY_TASK_TIME_LIMIT = 3, 4
    settings.CELERY_WORKER_MAX_TASKS_PER_CHILD = 3
    bad = {name: send(getattr(poison, name)) for name in ("HANGS_PREPARE", "EATS_MEMORY")}
    healthy = [send(uuid.uuid4()) for _ in range(6)]
    workers.start("prepare")
    wait_for(lambda: not jobs_open("prepare"), seconds=120, meanwhile=sweep)

    jobs = {job.radiograph_id: job for job in Job.objects.filter(kind="prepare")}
    assert outcome(jobs[bad["HANGS_PREPARE"].pk]) == ("failed", 3, "worker_lost")
    assert outcome(jobs[bad["EATS_MEMORY"].pk]) == ("failed", 3, "processing_failed")
    assert {outcome(jobs[film.pk])[0] for film in healthy} == {"succeeded"}
    assert not workers.is_dead("prepare"), "the worker itself lives on"
    assert len({job.worker for job in jobs.values()}) > 2, "children are replaced"


@pytest.mark.parametrize("film_id", [poison.SLEEPS_IN_INFER, poison.HOLDS_INTERPRETER], ids=["sleeps", "holds the GIL"])
def test_f11_an_infer_process_that_hangs_ends_itself_at_the_deadline(workers, waiting, settings, film_id):
    settings.JOB_DEADLINE_SECONDS = 3
    job = waiting(film_id)
    workers.start("infer")
    wait_for(lambda: Job.objects.filter(pk=job.pk, state="running").exists())
    wait_for(lambda: workers.is_dead("infer"), seconds=settings.JOB_DEADLINE_SECONDS + 5)
    assert "Timeout (0:00:03)!" in workers.log("infer")
    wait_for(lambda: outcome(job) == ("queued", 1, ""), meanwhile=sweep)


def test_f12_a_worker_that_is_paused_past_its_lease_writes_nothing_when_it_wakes(workers, waiting):
    job = waiting(poison.SLOW_INFER)
    workers.start("infer")
    wait_for(lambda: Job.objects.filter(pk=job.pk, state="running").exists())
    workers.signal("infer", signal.SIGSTOP)
    wait_for(lambda: workers.status("infer") == psutil.STATUS_STOPPED)
    workers.start("infer.b")
    wait_for(lambda: Prediction.objects.exists(), meanwhile=sweep)
    workers.signal("infer", signal.SIGCONT)
    wait_for(lambda: Tally.objects.filter(name=Tally.STALE_WRITE, count=1).exists())
    assert Prediction.objects.count() == 1
    assert outcome(job) == ("succeeded", 2, "")


def test_f13_f14_ten_hints_and_a_job_longer_than_the_visibility_timeout_run_once(workers, waiting, settings):
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {**settings.CELERY_BROKER_TRANSPORT_OPTIONS, "visibility_timeout": 1}
    waiting(poison.SLOW_INFER)
    for _ in range(4):
        waiting()
    before = fence_draw()
    assert hint_publish("infer", count=10 * 5)
    workers.start("infer")
    wait_for(lambda: Prediction.objects.count() == 5)
    assert workers.stop("infer") == 0
    assert claims_since(before) == 5
    assert set(Job.objects.filter(kind="infer").values_list("state", "attempt")) == {("succeeded", 1)}
    assert AuditEvent.objects.filter(verb="infer").count() == 5

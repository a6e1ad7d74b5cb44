"""The queue: who gets a job, who may write it back, and what staff can do."""

from __future__ import annotations

import contextlib
import threading
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.db import OperationalError, connection
from django.db.models.functions import Now
from django.utils import timezone

from diagnosis import tasks
from diagnosis.models import Job
from diagnosis.services import queue
from diagnosis.services.queue import StaleFenceError, job_cancel, job_retry, jobs_claim, jobs_finish
from patients.errors import ApplicationError
from patients.models import AuditEvent
from tests import factories
from tests.diagnosis.workers import hints_forget


@pytest.fixture
def job_of(patient: Any) -> Any:
    """A job of a film of its own."""

    def make(kind: str = "prepare", state: str = "queued", **fields: Any) -> Job:
        return factories.job_make(factories.radiograph_make(factories.study_make(patient)), kind, state, **fields)

    return make


def claim(kind: str = "prepare", limit: int = 1, **changes: Any) -> list[Job]:
    return jobs_claim(kind=kind, limit=limit, worker="test@host 1", **changes)


def test_a_claim_counts_the_attempt_and_gives_lease_and_fence(job_of):
    job_of()
    (job,) = claim()
    assert (job.state, job.attempt, job.worker) == ("running", 1, "test@host 1")
    assert job.fence is not None
    assert Job.objects.filter(lease_until__gt=Now()).exists()
    assert claim() == []


def test_urgent_comes_first_then_the_oldest(job_of):
    now = timezone.now()
    routine = job_of(queued_at=now - timedelta(hours=1))
    late, early = job_of(priority=0, queued_at=now), job_of(priority=0, queued_at=now - timedelta(minutes=1))
    assert [claim()[0].pk for _ in range(3)] == [early.pk, late.pk, routine.pk]


def test_every_claim_draws_a_new_fence(job_of):
    job_of("infer"), job_of("infer")
    first, second = claim("infer", limit=8)
    assert first.fence < second.fence


def test_a_batch_holds_one_model_version(job_of):
    one, other = factories.model_version_make(), factories.model_version_make("2.0.0", status="shadow")
    job_of("infer", model_version=one)
    job_of("infer", model_version=other)
    job_of("infer", model_version=one)
    assert {job.model_version for job in claim("infer", limit=8)} == {one}


def test_a_claim_leaves_the_long_card_of_the_model_where_it_is(job_of):
    job_of("infer", model_version=factories.model_version_make())
    (job,) = claim("infer")
    assert job.model_version.get_deferred_fields() == {"card"}


def test_a_model_that_cannot_run_is_passed_over(job_of):
    one, other = factories.model_version_make(), factories.model_version_make("2.0.0", status="shadow")
    job_of("infer", model_version=one)
    waiting = job_of("infer", model_version=other)
    assert claim("infer", limit=8, skip_models={one.pk}) == [waiting]


def test_a_job_that_must_run_alone_comes_alone(job_of):
    alone = job_of("infer", solo=True, priority=0)
    job_of("infer"), job_of("infer")
    assert claim("infer", limit=8) == [alone]
    assert len(claim("infer", limit=8)) == 2


def test_a_job_that_must_run_alone_waits_while_others_batch(job_of):
    job_of("infer", priority=0), job_of("infer", priority=0)
    job_of("infer", solo=True)
    assert [job.solo for job in claim("infer", limit=8)] == [False, False]


def test_an_emergency_is_prepared_alone(job_of):
    emergency = job_of(priority=0)
    job_of(), job_of()
    assert claim(limit=8) == [emergency]
    assert len(claim(limit=8)) == 2


@pytest.mark.parametrize(("waiting", "taken"), [(0, 0), (1, 1), (2, 1), (3, 2), (6, 3), (7, 4), (20, 4)])
def test_of_what_waits_a_process_takes_its_share(job_of, waiting, taken):
    for _ in range(waiting):
        job_of()
    assert len(claim(limit=4, takers=2)) == taken


def test_films_for_which_no_model_was_asked_share_a_batch_as_well(job_of):
    factories.model_version_make()
    for _ in range(3):
        job_of(model_version=None)
    assert len(claim(limit=8)) == 3


@pytest.mark.django_db(transaction=True)
def test_two_workers_never_get_the_same_job(job_of):
    for _ in range(20):
        job_of()
    got: list[Any] = []

    def work() -> None:
        while jobs := claim(limit=3):
            got.extend(job.pk for job in jobs)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == len(set(got)) == 20


@pytest.mark.parametrize(
    ("jobs", "grows"),
    [
        ([("infer", "queued", {})], False),
        ([("infer", "queued", {}), ("prepare", "queued", {})], True),
        ([("infer", "queued", {}), ("prepare", "running", {})], True),
        ([("infer", "queued", {}), ("prepare", "failed", {})], False),
        ([("infer", "queued", {}), ("prepare", "succeeded", {})], False),
        ([("infer", "queued", {"priority": 0}), ("infer", "queued", {}), ("prepare", "queued", {})], False),
        ([("infer", "queued", {"priority": 1}), ("prepare", "queued", {})], True),
        ([("infer", "queued", {})] * 2 + [("prepare", "queued", {})], True),
        ([("infer", "queued", {})] * 3 + [("prepare", "queued", {})], False),
        ([("prepare", "queued", {})], True),
    ],
)
def test_a_batch_grows_while_films_are_prepared_and_there_is_room_and_no_emergency(job_of, jobs, grows):
    for kind, state, fields in jobs:
        job_of(kind, state, **fields)
    assert queue.batch_grows(3) is grows


def test_only_the_holder_of_the_fence_can_finish(job_of):
    job_of()
    (late,) = claim()
    queue.jobs_release([late])
    (holder,) = claim()
    with pytest.raises(StaleFenceError):
        jobs_finish(late)
    holder.timings_ms = {"decode": 12.345}
    jobs_finish(holder)
    holder.refresh_from_db()
    assert (holder.state, holder.lease_until, holder.timings_ms) == ("succeeded", None, {"decode": 12.3})


def test_a_finished_job_cannot_be_finished_again(job_of):
    job_of()
    (job,) = claim()
    jobs_finish(job)
    with pytest.raises(StaleFenceError):
        jobs_finish(job)


def test_a_failure_is_recorded_with_its_code(job_of):
    job_of()
    (job,) = claim()
    queue.job_fail(job, "image_integrity")
    job.refresh_from_db()
    assert (job.state, job.error_code) == ("failed", "image_integrity")
    assert AuditEvent.objects.get(verb="prepare").outcome == "image_integrity"


def test_trouble_of_the_machine_costs_no_attempt(job_of):
    job_of()
    for _ in range(50):
        queue.jobs_release(claim())
    job = Job.objects.get()
    assert (job.state, job.attempt) == ("queued", 0)


def test_a_release_waits_for_the_database(job_of, monkeypatch):
    job_of()
    jobs = claim()
    held, tries = queue._held, []

    class Away:
        def update(self, **values: Any) -> int:
            tries.append(1)
            if len(tries) < 3:
                raise OperationalError
            return held(jobs).update(**values)

    monkeypatch.setattr(queue, "_held", lambda jobs: Away())
    monkeypatch.setattr(queue.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(connection, "close", lambda: None)
    queue.jobs_release(jobs)
    assert Job.objects.get().state == "queued"


def test_a_job_fails_at_its_third_attempt(job_of, hints):
    job_of()
    for attempt in (1, 2, 3):
        (job,) = claim()
        assert job.attempt == attempt
        queue.jobs_return([job], code="processing_failed")
    job.refresh_from_db()
    assert (job.state, job.error_code) == ("failed", "processing_failed")
    assert hints == ["prepare", "prepare"]


def test_a_batch_comes_back_to_run_alone_and_pays_nothing(job_of):
    job_of("infer"), job_of("infer")
    queue.jobs_return(claim("infer", limit=8), code="processing_failed")
    assert set(Job.objects.values_list("state", "attempt", "solo")) == {("queued", 0, True)}


def test_a_job_that_ran_alone_pays(job_of):
    job_of("infer")
    queue.jobs_return(claim("infer", limit=8), code="processing_failed")
    job = Job.objects.get()
    assert (job.state, job.attempt, job.solo) == ("queued", 1, True)


# --- leases


@pytest.mark.django_db(transaction=True)
def test_a_held_lease_is_renewed(job_of, settings):
    settings.JOB_LEASE_SECONDS = 0.3
    job_of()
    jobs = claim()
    before = jobs[0].lease_until
    renewed = threading.Event()
    with queue.leases_held(jobs):
        for _ in range(100):
            if Job.objects.get().lease_until > before + timedelta(seconds=0.5):
                renewed.set()
                break
            renewed.wait(0.05)
    assert renewed.is_set()


# --- staff


@pytest.mark.parametrize("role", ["radiologist", "clinicadmin", "system"])
def test_staff_can_ask_for_another_try(job_of, user_for, role, hints):
    job = job_retry(user=user_for(role), job=job_of(state="failed", attempt=3))
    assert (job.state, job.attempt, job.retries, job.error_code) == ("queued", 0, 1, "")
    assert AuditEvent.objects.get(verb="retry").object_id == str(job.pk)
    assert hints == ["prepare"]


@pytest.mark.parametrize("role", ["operator", "radiographer", "doctor"])
def test_others_cannot(job_of, user_for, role):
    with pytest.raises(ApplicationError) as caught:
        job_retry(user=user_for(role), job=job_of(state="failed"))
    assert caught.value.code == "permission_denied"


@pytest.mark.parametrize("state", ["queued", "running", "succeeded"])
def test_a_job_that_neither_failed_nor_was_cancelled_cannot_be_retried(job_of, user_for, state):
    with pytest.raises(ApplicationError) as caught:
        job_retry(user=user_for("radiologist"), job=job_of(state=state))
    assert caught.value.code == "job_not_retriable"


def test_a_cancelled_job_can_be_taken_up_again(job_of, user_for, hints):
    job = job_retry(user=user_for("radiologist"), job=job_of(state="cancelled"))
    assert (job.state, job.attempt, job.retries) == ("queued", 0, 1)
    assert hints == ["prepare"]


def test_a_failed_job_whose_work_runs_elsewhere_cannot_be_retried(job_of, user_for):
    failed = job_of(state="failed")
    factories.job_make(failed.radiograph, state="queued")
    with pytest.raises(ApplicationError) as caught:
        job_retry(user=user_for("radiologist"), job=failed)
    assert caught.value.code == "job_not_retriable"


def test_a_film_whose_model_input_was_damaged_is_prepared_again(job_of, user_for, hints):
    damaged = job_of("infer", "failed", error_code="image_integrity")
    made = factories.job_make(damaged.radiograph, "prepare", "succeeded", model_version=damaged.model_version)
    waiting = job_retry(user=user_for("radiologist"), job=damaged)
    assert (waiting, waiting.state, waiting.attempt) == (made, "queued", 0)
    damaged.refresh_from_db()
    assert damaged.state == "cancelled"
    assert hints == ["prepare"]


def test_a_waiting_job_can_be_cancelled_once(job_of, user_for):
    job = job_of()
    assert job_cancel(user=user_for("clinicadmin"), job=job).state == "cancelled"
    with pytest.raises(ApplicationError) as caught:
        job_cancel(user=user_for("clinicadmin"), job=job)
    assert caught.value.code == "job_not_cancellable"
    assert claim() == []


# --- hints, with the real Redis


def taken_from(name: str, header: str) -> list[Any]:
    """One header of every message that waits in a queue of Redis, in the order a worker gets them."""
    headers = []
    with current_app.connection() as broker, contextlib.closing(broker.SimpleQueue(name)) as waiting:
        while message := waiting.queue.get():
            headers.append(message.headers[header])
            message.ack()
    return headers


def sent_to(name: str) -> list[str]:
    return taken_from(name, "task")


@pytest.fixture
def empty_queues() -> Any:
    hints_forget()
    yield
    hints_forget()


@pytest.mark.workers
def test_a_hint_carries_no_argument_and_reaches_its_queue_after_redis_forgot_everything(empty_queues):
    assert queue.hint_publish("infer")
    hints_forget()
    assert queue.hint_publish("infer")
    assert sent_to("infer") == ["diagnosis.infer"]


@pytest.mark.workers
def test_a_hint_leaves_the_time_limits_to_the_worker_that_takes_it(empty_queues):
    assert tasks.prepare.name in current_app.tasks, "Celery knows the limits of this process"
    assert queue.hint_publish("prepare")
    assert taken_from("prepare", "timelimit") == [[None, None]]


@pytest.mark.workers
def test_hints_are_topped_up_to_what_waits_and_never_pile_up(empty_queues):
    assert queue.hint_publish("infer", 2, enough=2)  # Redis keeps no empty queue
    assert queue.hint_publish("infer", 5, enough=5)
    assert queue.hint_publish("infer", 3, enough=3)
    assert sent_to("infer") == ["diagnosis.infer"] * 5


@pytest.mark.workers
def test_a_broker_that_is_away_is_no_error(monkeypatch):
    monkeypatch.setattr(current_app.conf, "broker_url", "redis://127.0.0.1:1/0")
    assert not queue.hint_publish("prepare")
    assert not queue.hint_publish("prepare", 3, enough=3)

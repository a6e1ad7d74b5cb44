"""The sweeper: nothing stays lost, nothing healthy is touched, and sweeping twice changes nothing."""

from __future__ import annotations

import os
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.utils import timezone
from knox.models import AuthToken

from diagnosis import storage
from diagnosis.models import Job, UploadKey, Worker
from diagnosis.services.models import model_activate
from diagnosis.services.prepare import prepare_next
from diagnosis.services.queue import jobs_claim
from diagnosis.services.recovery import sweep
from patients.locks import lock_try
from tests import factories

AGO = timedelta(minutes=5)


@pytest.fixture
def job_of(patient: Any) -> Any:
    def make(kind: str = "prepare", state: str = "queued", **fields: Any) -> Job:
        return factories.job_make(factories.radiograph_make(factories.study_make(patient)), kind, state, **fields)

    return make


def test_a_job_whose_worker_died_is_queued_again(job_of):
    job = job_of(state="running", solo=True, lease_until=timezone.now() - AGO)
    assert sweep().taken_back == 1
    job.refresh_from_db()
    assert (job.state, job.attempt, job.lease_until) == ("queued", 1, None)


def test_a_job_with_a_valid_lease_is_left_alone(job_of):
    job_of(state="running")
    assert sweep().taken_back == 0
    assert Job.objects.get().state == "running"


def test_the_third_death_is_the_last(job_of):
    job = job_of(state="running", solo=True, attempt=3, lease_until=timezone.now() - AGO)
    sweep()
    job.refresh_from_db()
    assert (job.state, job.error_code) == ("failed", "worker_lost")


def test_films_of_a_dead_batch_come_back_alone_and_pay_nothing(job_of):
    job_of("infer"), job_of("infer")
    jobs_claim(kind="infer", limit=8, worker="dead")
    Job.objects.update(lease_until=timezone.now() - AGO)
    sweep()
    assert set(Job.objects.values_list("state", "attempt", "solo")) == {("queued", 0, True)}
    assert len(jobs_claim(kind="infer", limit=8, worker="next")) == 1


def test_sweeping_twice_changes_nothing(job_of):
    job_of(state="running", lease_until=timezone.now() - AGO)
    sweep()
    before = list(Job.objects.values())
    assert sweep().taken_back == 0
    assert list(Job.objects.values()) == before


@pytest.mark.django_db(transaction=True)
def test_a_second_sweeper_steps_back():
    locked, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            lock_try("sweeper")
            locked.set()
            done.wait(60)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert locked.wait(60)
    assert sweep() is None
    done.set()
    thread.join()
    assert sweep() is not None


def test_a_sweep_that_is_not_yet_due_is_left_out(job_of):
    assert sweep(every=60) is not None
    job_of(state="running", lease_until=timezone.now() - AGO)
    assert sweep(every=60) is None
    Worker.objects.update(seen_at=timezone.now() - timedelta(seconds=61))
    assert sweep(every=60).taken_back == 1


def test_a_hint_that_was_lost_is_repeated(job_of, hints):
    job_of(queued_at=timezone.now() - AGO)
    job_of("infer", queued_at=timezone.now() - AGO)
    job_of("infer", queued_at=timezone.now() - AGO)
    sweep()
    assert sorted(hints) == ["infer", "prepare"]


def test_a_job_that_just_came_needs_no_second_hint(job_of, hints):
    job_of()
    sweep()
    assert hints == []


def test_films_that_no_model_was_asked_about_are_queued_when_one_becomes_active(take_in, user_for, model, system_admin):
    type(model).objects.update(status="retired")
    radiograph = take_in(urgency="urgent")
    prepare_next(worker="test")
    assert sweep().added == 0
    model_activate(model=model, by=system_admin)
    assert sweep().added == 1
    assert sweep().added == 0
    job = Job.objects.get(radiograph=radiograph, model_version=model)
    assert (job.kind, job.priority) == ("prepare", 1)
    prepare_next(worker="test")
    assert Job.objects.filter(radiograph=radiograph, kind="infer", state="queued").exists()
    assert sweep().added == 0


def test_a_new_model_does_not_ask_about_films_that_were_answered(patient, model):
    factories.model_version_make(status="retired")
    factories.predicted_film_make(factories.study_make(patient))
    assert sweep().added == 0


def test_the_sweeper_signs_in(db):
    sweep()
    assert Worker.objects.get(name="sweeper").kind == "sweeper"


def test_workers_that_were_silent_for_a_day_are_forgotten(db):
    old = timezone.now() - timedelta(days=2)
    Worker.objects.create(name="infer@gone", kind="infer", started_at=old, seen_at=old)
    sweep()
    assert not Worker.objects.filter(name="infer@gone").exists()


def test_keys_are_kept_for_a_week(patient, user_for):
    radiograph = factories.radiograph_make(factories.study_make(patient))
    for key, days in (("old", 8), ("new", 6)):
        UploadKey.objects.create(
            user=user_for("operator"),
            clinic=patient.clinic,
            key=key,
            fingerprint="",
            radiograph=radiograph,
            created_at=timezone.now() - timedelta(days=days),
        )
    sweep()
    assert list(UploadKey.objects.values_list("key", flat=True)) == ["new"]


def test_tokens_and_sessions_that_have_expired_are_removed(db, user_for):
    hour = timedelta(hours=1)
    for expiry in (-hour, hour, None):
        AuthToken.objects.create(user_for("operator"), expiry=expiry)
    for name, until in (("past", timezone.now() - hour), ("open", timezone.now() + hour)):
        Session.objects.create(session_key=name, session_data="", expire_date=until)
    sweep()
    assert not AuthToken.objects.filter(expiry__lt=timezone.now()).exists()
    assert AuthToken.objects.count() == 2
    assert [*Session.objects.values_list("session_key", flat=True)] == ["open"]


def test_what_a_killed_upload_left_is_removed_after_a_day(db, settings):
    folder, drafts = Path(settings.FILE_UPLOAD_TEMP_DIR), storage.path_of(storage.DRAFTS)
    drafts.mkdir()
    old, new, draft = folder / "a.upload.png", folder / "b.upload.png", drafts / "c"
    for path in (old, new, draft):
        path.write_bytes(b"")
    day_ago = time.time() - 25 * 60 * 60
    os.utime(old, (day_ago, day_ago))
    os.utime(draft, (day_ago, day_ago))
    sweep()
    assert [path.exists() for path in (old, new, draft)] == [False, True, False]

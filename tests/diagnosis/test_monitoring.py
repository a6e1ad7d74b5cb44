"""What the system says of itself: counts, and an alert for whatever keeps films waiting."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from diagnosis import monitoring
from diagnosis.models import Job, Worker
from diagnosis.monitoring import alerts_read, status_read
from diagnosis.services.recovery import sweep
from patients.audit import audit_record
from patients.models import AuditEvent
from patients.sealing import audit_seal
from tests import factories

pytestmark = pytest.mark.django_db


def worker_make(kind: str, *, silent: timedelta = timedelta(0), **fields: Any) -> Worker:
    seen = timezone.now() - silent
    return Worker.objects.create(name=f"{kind}@a", kind=kind, started_at=seen, seen_at=seen, **fields)


@pytest.fixture
def working() -> None:
    """Nothing is wrong."""
    sweep()
    worker_make("prepare"), worker_make("infer", engine="fake")
    factories.model_version_make()


@pytest.fixture
def film(patient: Any) -> Any:
    return factories.radiograph_make(factories.study_make(patient))


def codes() -> list[str]:
    return [alert.code for alert in alerts_read()]


def alert(code: str) -> monitoring.Alert:
    (found,) = alerts_read()
    assert found.code == code
    return found


def ago(moment: datetime | None) -> float:
    assert moment is not None
    return (timezone.now() - moment).total_seconds()


def test_status_counts_workers_queues_and_the_oldest_wait(working, film, django_assert_num_queries):
    Worker.objects.filter(kind="prepare").update(seen_at=timezone.now() - timedelta(minutes=2))
    factories.job_make(film, queued_at=timezone.now() - timedelta(seconds=100))
    factories.job_make(film, "infer", "failed")
    with django_assert_num_queries(3):
        status = status_read()
    assert {worker["kind"]: worker["alive"] for worker in status["workers"]} == {"infer": True, "prepare": False}
    assert status["queues"]["prepare"]["queued"] == 1
    assert status["queues"]["prepare"]["oldest_wait_seconds"] >= 100
    assert status["queues"]["infer"] == {"queued": 0, "running": 0, "failed": 1, "oldest_wait_seconds": None}
    assert status["sweeper"] == {"last_seen_at": Worker.objects.get(kind="sweeper").seen_at, "alive": True}
    assert (status["model"]["version"], status["redis"], status["storage"]["available"]) == ("1.0.0", True, True)


def test_a_system_that_works_has_no_alert(working, film, django_assert_num_queries):
    factories.job_make(film)
    status = status_read()
    with django_assert_num_queries(7):
        assert alerts_read(status) == []


def test_f18_half_a_minute_without_a_sweep_is_an_alert(working):
    Worker.objects.filter(kind="sweeper").update(seen_at=timezone.now() - timedelta(seconds=29))
    assert codes() == []
    Worker.objects.filter(kind="sweeper").update(seen_at=timezone.now() - timedelta(seconds=31))
    assert 31 <= ago(alert("sweeper_silent").since) < 60


def test_a_sweeper_that_never_ran_is_an_alert(working):
    Worker.objects.filter(kind="sweeper").delete()
    assert alert("sweeper_silent").since is None


@pytest.mark.parametrize("kind", ["prepare", "infer"])
def test_a_kind_without_a_living_worker_is_an_alert(working, kind):
    Worker.objects.filter(kind=kind).update(seen_at=timezone.now() - timedelta(minutes=2))
    assert 120 <= ago(alert(f"{kind}_missing").since) < 180


def test_a_worker_that_lives_but_cannot_work_is_no_worker(working):
    Worker.objects.filter(kind="infer").update(note="The weights changed.")
    assert codes() == ["infer_missing"]


def test_a_film_that_waits_longer_than_its_clinic_allows_is_an_alert(working, film, clinic):
    clinic.max_wait_minutes = 30
    clinic.save()
    job = factories.job_make(film, queued_at=timezone.now() - timedelta(minutes=29))
    assert codes() == []
    Job.objects.filter(pk=job.pk).update(queued_at=timezone.now() - timedelta(minutes=31))
    late = alert("queue_slow")
    assert "allows: 1." in late.sentence
    assert 60 <= ago(late.since) < 120


def test_each_clinic_has_its_own_limit(working, film, clinic, other_clinic, foreign_patient):
    for place, minutes in ((clinic, 30), (other_clinic, 10)):
        place.max_wait_minutes = minutes
        place.save()
    other = factories.radiograph_make(factories.study_make(foreign_patient))
    for each in (film, other):
        factories.job_make(each, queued_at=timezone.now() - timedelta(minutes=20))
    assert "allows: 1." in alert("queue_slow").sentence


def test_a_job_that_failed_is_an_alert_until_a_person_tries_it_again(working, film):
    job = factories.job_make(film, state="failed")
    assert "a person: 1." in alert("jobs_failed").sentence
    Job.objects.filter(pk=job.pk).update(state="queued")
    assert codes() == []


def test_entries_of_the_audit_that_nobody_seals_are_an_alert(working, user_for):
    moment = timezone.now() - timedelta(minutes=2)
    audit_record(user=user_for("operator"), verb="test")
    assert codes() == []  # written just now
    AuditEvent.objects.bulk_create([AuditEvent(verb="test", at=moment)])
    found = alert("audit_unsealed")
    assert ago(found.since) == pytest.approx(120, abs=20)
    audit_seal()
    assert codes() == []


def test_a_version_on_trial_alarms_nobody(working, film):
    factories.job_make(film, "infer", "failed", shadow=True)
    factories.job_make(film, shadow=True, queued_at=timezone.now() - timedelta(days=9))
    assert codes() == []


def test_a_broker_a_storage_and_a_model_that_are_away_are_alerts(working, settings, tmp_path):
    settings.CELERY_BROKER_URL = "redis+socket:///nowhere/redis.sock"
    settings.MEDIA_ROOT = tmp_path / "absent"
    factories.model_version_make().__class__.objects.update(status="retired")
    assert codes() == ["storage_full", "broker_away", "model_missing"]


def test_everybody_who_signs_in_sees_the_alerts_and_the_api_lists_them(working, film, client_for, api_for):
    factories.job_make(film, state="failed")
    page = client_for("operator").get("/status/").content.decode()
    assert "Failed jobs that wait for a person: 1." in page
    assert "Everything works." not in page
    (found,) = api_for("operator").get("/api/v1/status/").json()["alerts"]
    assert found["code"] == "jobs_failed"
    Job.objects.update(state="cancelled")
    assert "Everything works." in client_for("operator").get("/status/").content.decode()

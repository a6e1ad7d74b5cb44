"""`/metrics` and `/progressz`: what machines are told of the site, and whether anything moves."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from diagnosis.models import Job, Tally, Worker
from diagnosis.services.presence import tally_add
from diagnosis.throughput import STUCK_AFTER
from tests import factories
from tests.site.running import ROOT

pytestmark = pytest.mark.django_db
TOKEN = "a-long-random-text"


@pytest.fixture(autouse=True)
def _token(settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN


def ask(client: Client, token: str = TOKEN) -> Any:
    return client.get("/metrics", headers={"Authorization": f"Bearer {token}"})


def values(text: str) -> dict[tuple[str, ...], float]:
    """(name, label values in order) → value."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[(sample.name, *(sample.labels[name] for name in sorted(sample.labels)))] = sample.value
    return found


@pytest.fixture
def film(patient: Any) -> Any:
    return factories.radiograph_make(factories.study_make(patient))


def test_only_the_bearer_of_the_token_and_a_system_administrator_read_metrics(
    anonymous: Client, client_for: Any, settings: Any
) -> None:
    assert ask(anonymous).status_code == 200
    assert ask(anonymous, "another").status_code == 404
    assert client_for("system").get("/metrics").status_code == 200
    assert client_for("clinicadmin").get("/metrics").status_code == 404
    settings.METRICS_TOKEN = ""
    assert ask(anonymous, "").status_code == 404


def test_waiting_work_its_age_and_what_a_person_should_do_are_numbers(anonymous: Client, film: Any) -> None:
    factories.job_make(film, queued_at=timezone.now() - timedelta(minutes=7))
    found = values(ask(anonymous).content.decode())
    assert found["cxr_jobs_queued", "prepare"] == 1
    assert found["cxr_jobs_oldest_wait_seconds", "prepare"] == pytest.approx(420, abs=30)
    assert found["cxr_workers_alive", "prepare"] == 0
    assert found["cxr_alert", "prepare_missing"] == 1
    assert found["cxr_database_up",] == 1


def test_stage_times_of_the_last_minutes_and_refused_writes_are_numbers(anonymous: Client, film: Any) -> None:
    ended = timezone.now()
    times = {
        "queued_at": ended - timedelta(seconds=9),
        "started_at": ended - timedelta(seconds=4),
        "finished_at": ended,
    }
    factories.job_make(film, "infer", "succeeded", timings_ms={"predict": 1500.0, "batch": 8}, **times)
    tally_add(Tally.STALE_WRITE)
    found = values(ask(anonymous).content.decode())
    assert found["cxr_stage_seconds", "infer", "0.5", "wait"] == pytest.approx(5)
    assert found["cxr_stage_seconds", "infer", "0.95", "work"] == pytest.approx(4)
    assert found["cxr_stage_seconds", "infer", "0.5", "predict"] == pytest.approx(1.5)
    assert found["cxr_stale_write_refused_total",] == 1
    assert ("cxr_stage_seconds", "infer", "0.5", "batch") not in found


def test_metrics_name_no_clinic_and_no_patient(anonymous: Client, film: Any) -> None:
    factories.job_make(film)
    text = ask(anonymous).content.decode()
    assert film.study.patient.name not in text
    assert film.clinic.name not in text
    assert film.clinic.code not in text


def test_requests_are_counted_by_view_and_status_never_by_address(anonymous: Client, film: Any) -> None:
    anonymous.get(f"/studies/{film.study_id}/")
    text = ask(anonymous).content.decode()
    assert 'view="study_detail"' in text
    assert str(film.study_id) not in text


def test_progress_is_good_while_nothing_waits(anonymous: Client) -> None:
    answer = anonymous.get("/progressz")
    assert (answer.status_code, answer.json()) == (200, {"stuck": []})


def test_work_that_waits_while_nothing_of_its_kind_moves_is_stuck_whatever_the_worker_says(
    anonymous: Client, film: Any
) -> None:
    now = timezone.now()
    Worker.objects.create(name="prepare@here", kind="prepare", started_at=now, seen_at=now)
    factories.job_make(film, queued_at=now - STUCK_AFTER - timedelta(seconds=5))
    answer = anonymous.get("/progressz")
    assert (answer.status_code, answer.json()) == (503, {"stuck": ["prepare"]})

    other = factories.radiograph_make(film.study)
    running = factories.job_make(other, state="running")
    assert anonymous.get("/progressz").status_code == 200

    Job.objects.filter(pk=running.pk).update(lease_until=now - timedelta(seconds=1))
    assert anonymous.get("/progressz").status_code == 503


def test_progress_is_not_there_for_other_computers(anonymous: Client) -> None:
    assert anonymous.get("/progressz", REMOTE_ADDR="203.0.113.9").status_code == 404


def test_the_readme_names_the_addresses_for_machines() -> None:
    readme = (ROOT / "README.md").read_text()
    for address in ("/livez", "/readyz", "/progressz", "/metrics"):
        assert f"`{address}`" in readme

"""The study page: states in words, findings with their numbers, what each role is shown."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from diagnosis.models import Job, Worker
from patients.models import AuditEvent
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def study(patient):
    return factories.study_make(patient, indication="Cough and fever")


@pytest.fixture
def predicted(study):
    return factories.predicted_film_make(study)


@pytest.fixture
def workers(db):
    now = timezone.now()
    for kind in Job.Kind.values:
        Worker.objects.create(name=f"{kind}@here", kind=kind, started_at=now, seen_at=now)


def page_of(client, study) -> str:
    answer = client.get(reverse("study_detail", args=[study.pk]))
    assert answer.status_code == 200
    return answer.content.decode()


def test_result_carries_word_number_threshold_and_model(client_for, study, predicted):
    page = page_of(client_for("radiologist"), study)
    model = predicted.model_version
    for text in (
        "Pneumonia present",
        "80 %",
        "threshold 50 %",
        "0.8000",
        f"{model.name} {model.version}",
        model.sha256[:8],
    ):
        assert text in page
    assert "Not yet read by a radiologist" in page


def test_patient_identifier_and_study_stand_at_the_film(client_for, study, predicted):
    page = page_of(client_for("radiologist"), study)
    label = page[page.index('class="film-label"') :]
    label = label[: label.index("film-canvas")]
    for text in (study.patient.name, "0017", "1961", str(study.pk)[:8]):
        assert text in label


def test_opening_a_study_is_recorded(client_for, study, predicted):
    page_of(client_for("radiologist"), study)
    assert AuditEvent.objects.filter(verb="read", object_type="study", object_id=study.pk).count() == 1


def test_active_model_speaks_before_a_newer_one_that_was_retired(client_for, study, predicted):
    trial = factories.model_version_make("2.0.0", status="retired")
    factories.prediction_make(predicted.radiograph, trial, calibrated={"pneumonia": 0.01, "effusion": 0.99})
    page = page_of(client_for("radiologist"), study)
    assert "Pneumonia present" in page
    assert "What other model versions said" in page


def test_operator_sees_results_only_where_the_clinic_shows_them(client_for, study, predicted, clinic):
    client = client_for("operator")
    hidden = page_of(client, study)
    assert "Your role does not show results at this clinic." in hidden
    assert "80 %" not in hidden
    clinic.show_unread_results = True
    clinic.save()
    assert "80 %" in page_of(client, study)


def test_referring_doctor_waits_for_the_signature(client_for, user_for, study, predicted):
    study.referring_doctor = user_for("doctor")
    study.save()
    client = client_for("doctor")
    waiting = page_of(client, study)
    assert "once a radiologist has signed" in waiting
    assert "80 %" not in waiting
    factories.report_make(study, user_for("radiologist"))
    signed = page_of(client, study)
    assert "80 %" in signed
    assert "Report signed by" in signed


def test_clinic_administrator_sees_the_state_but_neither_patient_nor_result(client_for, study, predicted):
    page = page_of(client_for("clinicadmin"), study)
    for text in (study.patient.name, "0017", "80 %", "Cough and fever", '<img class="film-pixels"'):
        assert text not in page


def test_waiting_film_says_its_place_and_keeps_asking(client_for, study, workers):
    ahead = factories.study_make(study.patient)
    factories.job_make(factories.radiograph_make(ahead), queued_at=timezone.now() - timedelta(minutes=1))
    factories.job_make(factories.radiograph_make(study))
    page = page_of(client_for("operator"), study)
    assert "Waiting to be checked" in page
    assert "Place 2 in the queue" in page
    assert "hx-get=" in page
    assert '<noscript><meta http-equiv="refresh"' in page


def test_waiting_film_says_when_nobody_works(client_for, study):
    factories.job_make(factories.radiograph_make(study))
    assert "No worker is running." in page_of(client_for("operator"), study)


def test_finished_film_asks_no_more(client_for, study, predicted):
    page = page_of(client_for("radiologist"), study)
    assert 'hx-trigger="every' not in page
    assert "http-equiv" not in page


def test_rejected_film_says_why_and_what_to_do(client_for, study):
    factories.radiograph_make(study, state="rejected")
    page = page_of(client_for("operator"), study)
    assert "The image has no content." in page
    assert "image_blank" in page
    assert "Send the corrected film" in page


def test_failed_film_is_retried_by_staff_and_only_by_staff(client_for, study):
    film = factories.radiograph_make(study)
    job = factories.job_make(film, state="failed")
    address = reverse("job_retry", args=[job.pk])
    assert address not in page_of(client_for("operator"), study)
    assert client_for("operator").post(address).status_code == 403
    assert address in page_of(client_for("radiologist"), study)
    answer = client_for("radiologist").post(address)
    assert answer.url == reverse("study_detail", args=[study.pk])
    job.refresh_from_db()
    assert (job.state, job.retries) == ("queued", 1)


def test_film_without_a_model_says_so(client_for, study):
    film = factories.radiograph_make(study, state="ready")
    factories.job_make(film, "prepare", "succeeded")
    assert "no model is active" in page_of(client_for("operator"), study)


def test_status_fragment_holds_only_the_film_asked_for(client_for, study, predicted):
    other = factories.radiograph_make(study)
    client = client_for("radiologist")
    address = reverse("study_status", args=[study.pk])
    one = client.get(address, {"film": other.pk}).content.decode()
    assert f"film-{other.pk}" in one
    assert f"film-{predicted.radiograph_id}" not in one
    assert "<html" not in one
    for unknown in (study.pk, "nonsense"):
        assert client.get(address, {"film": unknown}).status_code == 404


@pytest.mark.parametrize("waits", [False, True])
def test_page_costs_seventeen_queries_however_many_films(client_for, study, predicted, count_queries, waits):
    client = client_for("radiologist")
    address = reverse("study_detail", args=[study.pk])
    if waits:  # two more: who works, and the place in the queue
        factories.job_make(factories.radiograph_make(study))
    few = count_queries(lambda: client.get(address))
    for _ in range(4):
        factories.prediction_make(factories.radiograph_make(study, state="ready"))
    assert count_queries(lambda: client.get(address)) == few == (19 if waits else 17)


def test_of_many_findings_those_below_their_thresholds_are_folded_away(client_for, patient):
    study = factories.study_make(patient)
    numbers = {f"finding{number}": 0.1 for number in range(13)} | {"edema": 0.9}
    factories.predicted_film_make(study, calibrated=numbers)
    page = client_for("radiologist").get(f"/studies/{study.pk}/").content.decode()
    assert "Edema present" in page
    assert "13 findings below their thresholds" in page
    first = page.split("13 findings below")[0]
    assert "Finding12" not in first.split('class="findings"')[1]
    page = client_for("radiologist").get(f"/patients/{patient.pk}/").content.decode()
    assert "13 findings below the threshold on every film" in page


def test_of_few_findings_all_are_shown(client_for, patient):
    study = factories.study_make(patient)
    factories.predicted_film_make(study)
    assert "below their thresholds" not in client_for("radiologist").get(f"/studies/{study.pk}/").content.decode()

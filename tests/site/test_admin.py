"""The administration of the flow: finds, shows, changes nothing by itself, and calls services for retry and cancel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from diagnosis.admin import FlowAdmin
from diagnosis.models import Finding, Job, Prediction, Radiograph, Report, Study
from patients.models import AuditEvent, Clinic, Patient, User
from tests import factories

pytestmark = pytest.mark.django_db
CLINICAL = [Study, Radiograph, Job, Prediction, Finding, Report]


@pytest.fixture
def browser(client_for: Callable[..., Client], system_admin: User, clinic: Clinic, other_clinic: Clinic) -> Client:
    """A system administrator who opened both clinics' records by emergency access."""
    for each in (clinic, other_clinic):
        factories.break_glass_make(system_admin, each)
    return client_for("system")


@pytest.fixture
def study(patient: Patient, user_for: Callable[..., Any]) -> Study:
    """A read study of Asha Verma (MRN 0017) with one film, one failed job, one prediction, one report."""
    study = factories.study_make(patient, accession_number="ACC-7")
    factories.predicted_film_make(study)
    factories.job_make(factories.radiograph_make(study), "infer", "failed")
    factories.report_make(study, user_for("radiologist"))
    return study


def changelist(model: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def shown(browser: Client, model: Any, query: str = "") -> int:
    """How many rows the list shows for a search."""
    answer = browser.get(changelist(model), {"q": query})
    assert answer.status_code == 200
    return len(answer.context["cl"].result_list)


@pytest.mark.parametrize("model", CLINICAL)
@pytest.mark.parametrize("query", ["verm", "0017", "ID OF THE STUDY", ""])
def test_every_clinical_list_finds_a_row_by_patient_and_study(
    browser: Client, study: Study, foreign_patient: Patient, model: Any, query: str
) -> None:
    factories.report_make(other := factories.study_make(foreign_patient), factories.user_make("radiologist"))
    factories.predicted_film_make(other)
    if "ID" in query:
        query = str(study.radiographs.first().pk) if model is Job else str(study.pk)
        assert shown(browser, model, query) >= 1
    elif query:
        assert 1 <= shown(browser, model, query) == model.objects.filter(**{_patient(model): study.patient}).count()
    else:
        assert shown(browser, model) == model.objects.count()


def _patient(model: Any) -> str:
    flow_admin = admin.site.get_model_admin(model)
    assert isinstance(flow_admin, FlowAdmin)
    return flow_admin.to_patient()


@pytest.mark.parametrize("query", ["nobody", "99999", "ACC-8", "%", "00000000-0000-0000-0000-000000000000"])
def test_search_that_fits_nothing_shows_nothing(browser: Client, study: Study, query: str) -> None:
    assert shown(browser, Study, query) == 0


def test_study_is_found_by_its_accession_number(browser: Client, study: Study) -> None:
    assert shown(browser, Study, "ACC-7") == 1


@pytest.mark.parametrize("model", CLINICAL)
def test_list_costs_the_same_number_of_queries_however_many_rows(
    browser: Client, study: Study, patient: Patient, model: Any, django_assert_max_num_queries: Any
) -> None:
    def queries() -> int:
        with django_assert_max_num_queries(40) as counted:
            shown(browser, model)
        return len(counted.captured_queries)

    queries()
    before = queries()
    for _ in range(3):
        more = factories.study_make(patient)
        factories.predicted_film_make(more)
        factories.job_make(factories.radiograph_make(more), "infer", "failed")
        factories.report_make(more, factories.user_make("radiologist"))
    assert queries() == before


@pytest.mark.parametrize("model", CLINICAL)
def test_clinical_rows_can_be_read_and_not_touched(browser: Client, study: Study, model: Any) -> None:
    row = model.objects.first()
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    assert browser.get(reverse(f"{name}_change", args=[row.pk])).status_code == 200
    assert browser.post(reverse(f"{name}_change", args=[row.pk]), {}).status_code == 403
    assert browser.post(reverse(f"{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    assert browser.get(reverse(f"{name}_add")).status_code == 403


def test_reading_a_row_is_recorded_with_its_patient(browser: Client, study: Study) -> None:
    browser.get(reverse("admin:diagnosis_study_change", args=[study.pk]))
    event = AuditEvent.objects.get(verb="read", object_type="study")
    assert (event.object_id, event.patient, event.role) == (str(study.pk), study.patient, "system")


def test_prediction_shows_its_findings_and_no_picture(browser: Client, study: Study) -> None:
    prediction = Prediction.objects.get()
    page = browser.get(reverse("admin:diagnosis_prediction_change", args=[prediction.pk])).content.decode()
    for finding in prediction.findings.all():
        assert finding.label in page
    assert "/images/" not in page
    assert "<img" not in page


def test_report_is_listed_without_what_it_says(browser: Client, study: Study) -> None:
    report = Report.objects.get()
    page = browser.get(reverse("admin:diagnosis_report_change", args=[report.pk])).content.decode()
    assert "impression" not in page.lower()


def test_patient_page_links_to_the_history_of_that_patient_alone(
    browser: Client, study: Study, foreign_patient: Patient
) -> None:
    factories.predicted_film_make(factories.study_make(foreign_patient))
    page = browser.get(reverse("admin:patients_patient_change", args=[study.patient.pk])).content.decode()
    address = f"{changelist(Finding)}?prediction__radiograph__study__patient__id__exact={study.patient.pk}"
    assert address in page
    rows = browser.get(address).context["cl"].result_list
    assert len(rows) == Finding.objects.filter(prediction__radiograph__study=study).count()
    assert str(Prediction.objects.filter(radiograph__study=study).get().model_version) in browser.get(address).text


def act(browser: Client, action: str, job: Job) -> str:
    answer = browser.post(changelist(Job), {"action": action, "_selected_action": [str(job.pk)]}, follow=True)
    return answer.content.decode()


def test_retry_queues_a_failed_job_again(browser: Client, study: Study) -> None:
    job = Job.objects.get(state="failed")
    assert "1 job was queued again." in act(browser, "retry", job)
    job.refresh_from_db()
    assert (job.state, job.retries) == ("queued", 1)


def test_cancel_stops_a_waiting_job(browser: Client, patient: Patient) -> None:
    job = factories.job_make(factories.radiograph_make(factories.study_make(patient)))
    assert "1 job was cancelled." in act(browser, "cancel", job)
    job.refresh_from_db()
    assert job.state == "cancelled"


def test_what_cannot_be_done_is_said_and_changes_nothing(browser: Client, study: Study) -> None:
    job = Job.objects.filter(state="succeeded").first()
    assert "Only a waiting or failed job can be cancelled." in act(browser, "cancel", job)
    job.refresh_from_db()
    assert job.state == "succeeded"


@pytest.mark.parametrize("role", ["operator", "radiologist", "clinicadmin"])
def test_administration_is_closed_to_the_roles_of_a_clinic(client_for: Callable[..., Client], role: str) -> None:
    assert client_for(role).get(changelist(Study)).status_code == 302

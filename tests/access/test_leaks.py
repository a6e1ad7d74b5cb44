"""Ways around a view that "is protected": filters and orderings as oracles, counts, related fields, files, schema."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from allauth.mfa.totp.internal.auth import TOTP
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from diagnosis.models import Job, Prediction, Radiograph, Report, Study
from patients.models import AuditEvent, Clinic, Patient, Purpose
from patients.services import patient_update
from tests import factories

API_LISTS = ["patients", "studies", "radiographs", "jobs", "predictions"]
ORACLES = [
    "patient__name__startswith=B",
    "patient__clinic=x",
    "study__patient__name=Bela",
    "name__startswith=B",
    "clinic__name=Lake",
    "ordering=patient__name",
    "ordering=clinic__name",
    "sort=name",
    "fields=phone",
    "format=api",
]


@pytest.fixture
def foreign_film(foreign_patient, other_clinic):
    study = factories.study_make(foreign_patient, indication="secret question", accession_number="SECRET-1")
    return factories.predicted_film_make(study).radiograph


@pytest.fixture
def film(patient):
    return factories.predicted_film_make(factories.study_make(patient)).radiograph


@pytest.mark.parametrize("oracle", ORACLES)
@pytest.mark.parametrize("path", API_LISTS)
def test_no_list_can_be_asked_about_related_fields(api_for, film, foreign_film, path, oracle):
    response = api_for("radiologist").get(f"/api/v1/{path}/?{oracle}")
    assert response.status_code == 400
    assert response.json()["code"] in ("invalid_parameter", "unknown_field")


@pytest.mark.parametrize("path", API_LISTS)
def test_a_list_tells_no_number_of_foreign_rows(api_for, film, foreign_film, path):
    body = api_for("radiologist").get(f"/api/v1/{path}/").json()
    assert "count" not in body
    assert len(body["results"]) in (1, 2)
    assert str(foreign_film.pk) not in str(body)


@pytest.mark.parametrize(
    ("path", "name"),
    [("studies", "patient"), ("radiographs", "study"), ("jobs", "radiograph"), ("predictions", "radiograph")],
)
def test_filtering_by_a_foreign_id_reads_like_an_unknown_one(api_for, film, foreign_film, foreign_patient, path, name):
    foreign = {"patient": foreign_patient.pk, "study": foreign_film.study_id, "radiograph": foreign_film.pk}[name]
    answers = [
        api_for("radiologist").get(f"/api/v1/{path}/?{name}={value}")
        for value in (foreign, "00000000-0000-4000-8000-000000000000")
    ]
    assert len({answer.status_code for answer in answers}) == 1
    assert answers[0].json().get("results", []) == answers[1].json().get("results", [])


def test_a_study_cannot_be_filed_for_a_doctor_of_another_clinic(client_for, patient, other_clinic, user_for):
    stranger = user_for("doctor", other_clinic)
    page = client_for("operator").get(f"/?patient={patient.pk}").content.decode()
    assert f'value="{stranger.pk}"' not in page


@pytest.mark.parametrize("model", [Patient, Study, Radiograph, Job, Prediction, Report, AuditEvent])
def test_nothing_is_visible_without_a_membership(film, foreign_film, model):
    nobody = factories.user_make()
    assert not model.objects.visible_to(nobody).exists()


@pytest.mark.parametrize("model", [Patient, Study, Radiograph, Job, Prediction])
def test_a_membership_of_yesterday_shows_nothing_today(film, clinic, model, user_for):
    user = user_for("radiologist")
    assert model.objects.visible_to(user).exists()
    user.memberships.update(valid_to=timezone.now() - timedelta(seconds=1))
    assert not model.objects.visible_to(user).exists()


@pytest.mark.parametrize("path", ["/media/", "/media/originals/", "/protected/", "/var/", "/static/../var/secret_key"])
def test_files_are_not_routed(client_for, film, path):
    assert client_for("radiologist").get(path).status_code == 404
    assert client_for("radiologist").get(path + film.sha256).status_code == 404


def test_the_description_of_the_api_is_for_people_who_are_signed_in(anonymous, db):
    assert anonymous.get("/api/v1/schema/").status_code == 401
    assert anonymous.get("/api/v1/docs/").status_code == 302


def test_a_browser_gets_no_browsable_api(client_for, patient):
    response = client_for("operator").get("/api/v1/patients/", HTTP_ACCEPT="text/html,*/*")
    assert response["Content-Type"].startswith("application/json")


# --- the administration


@pytest.fixture
def admin_client(client_for):
    return client_for("system")


@pytest.mark.parametrize("action", ["delete_selected", "anything"])
@pytest.mark.parametrize("model", ["patient", "auditevent", "user", "clinic"])
def test_the_administration_deletes_no_record(admin_client, patient, user_for, model, action):
    user_for("operator")
    path = f"/admin/patients/{model}/"
    before = Patient.objects.count()
    admin_client.post(path, {"action": action, "_selected_action": str(patient.pk), "post": "yes"})
    assert Patient.objects.count() == before


def test_the_administration_changes_no_patient(admin_client, patient):
    response = admin_client.post(f"/admin/patients/patient/{patient.pk}/change/", {"name": "Somebody Else"})
    patient.refresh_from_db()
    assert (response.status_code, patient.name) == (403, "Asha Verma")


@pytest.mark.parametrize("query", ["verma ash", "0017", "1961"])
def test_the_administration_finds_patients_of_a_clinic_that_was_opened(
    admin_client, system_admin, patient, foreign_patient, query
):
    factories.break_glass_make(system_admin, patient.clinic)
    page = admin_client.get("/admin/patients/patient/", {"q": query}).content.decode()
    assert "Asha Verma" in page
    assert "Bela Nagy" not in page


@pytest.mark.parametrize("query", ["verma", "asha", "0017", "1961", "nobody", ""])
@pytest.mark.parametrize("model", ["patients/patient", "diagnosis/study", "diagnosis/radiograph", "diagnosis/job"])
def test_the_administration_names_no_patient_and_searches_for_none(admin_client, film, model, query):
    """What fits and what does not reads the same: a search is no oracle."""
    answer = admin_client.get(f"/admin/{model}/", {"q": query})
    assert "Asha" not in answer.content.decode()
    assert len(answer.context["cl"].result_list) == (0 if query else answer.context["cl"].result_count)


@pytest.mark.parametrize("page", ["change", "history"])
@pytest.mark.parametrize("model", [Patient, Study, Radiograph, Job, Report])
def test_no_page_of_the_administration_tells_who_a_patient_is(admin_client, user_for, film, model, page):
    study = film.study
    Study.objects.filter(pk=study.pk).update(indication="cough, Mrs Verma", accession_number="ACC-7")
    Patient.objects.filter(pk=study.patient_id).update(phone="555-0199", abha_number="12345678901234")
    factories.report_make(study, user_for("radiologist"), "draft", impression="Mrs Verma is well")
    name = f"/admin/{model._meta.app_label}/{model._meta.model_name}"
    answer = admin_client.get(f"{name}/{model.objects.first().pk}/{page}/")
    assert answer.status_code == 200
    for secret in ("Asha", "Verma", "0017", "1961", "555-0199", "12345678901234", "ACC-7", "cough"):
        # Standing by itself: four digits may well be part of a random id or token.
        assert not re.search(rf"(?<![\w-]){secret}(?![\w-])", answer.content.decode()), secret


@pytest.mark.parametrize("model", ["prediction", "finding"])
def test_the_administration_shows_results_of_opened_clinics_only(admin_client, system_admin, film, foreign_film, model):
    def shown():
        return len(admin_client.get(f"/admin/diagnosis/{model}/").context["cl"].result_list)

    assert shown() == 0
    factories.break_glass_make(system_admin, film.clinic)
    assert shown() == (1 if model == "prediction" else 3)


def test_no_text_that_stands_for_a_patient_holds_their_name(patient, film):
    """Histories, log entries, faults and messages are made of it."""
    for row in (patient, film.study, film, *film.jobs.all(), *film.predictions.all()):
        assert "Asha" not in str(row) + repr(row)


def test_the_administration_lists_patients_in_a_fixed_number_of_queries(admin_client, clinic):
    counts = []
    admin_client.get("/admin/patients/patient/")
    for _ in range(2):
        for number in range(5):
            factories.patient_make(clinic, mrn=f"{len(counts)}-{number}")
        with CaptureQueriesContext(connection) as queries:
            admin_client.get("/admin/patients/patient/")
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_what_a_system_administrator_reads_is_recorded(admin_client, patient, system_admin):
    admin_client.get(f"/admin/patients/patient/{patient.pk}/change/")
    event = AuditEvent.objects.get()
    assert (event.user, event.role, event.verb, event.patient) == (system_admin, "system", "read", patient)
    assert event.purpose == Purpose.SYSTEM


def test_the_audit_names_no_patient_to_a_system_administrator(admin_client, user_for, patient):
    patient_update(user=user_for("operator"), patient=patient, name="Asha Sharma")
    event = AuditEvent.objects.get()
    for path in ("", f"{event.pk}/change/", f"?q={patient.pk}", "?q=update"):
        page = admin_client.get(f"/admin/patients/auditevent/{path}").content.decode()
        assert event.verb in page
        assert "Asha" not in page


@pytest.mark.parametrize("oracle", ["patient__name__startswith=A", "patient__phone=1", "user__password__startswith=a"])
def test_the_audit_answers_no_question_about_related_fields(admin_client, user_for, patient, oracle):
    response = admin_client.get(f"/admin/patients/auditevent/?{oracle}")
    assert response.status_code in (302, 400)


def test_the_administration_shows_no_second_factor(admin_client, user_for):
    factor = TOTP.activate(user_for("operator"), "JBSWY3DPEHPK3PXP").instance
    page = admin_client.get(f"/admin/mfa/authenticator/{factor.pk}/change/").content.decode()
    assert user_for("operator").username in page
    assert factor.data["secret"] not in page


def test_a_clinic_needs_a_time_zone_that_exists(admin_client):
    form = {"name": "Hill", "code": "hill2", "time_zone": "Asia/Nowhere", "max_wait_minutes": "60"}
    form |= {"acknowledge_minutes": "30", "critical_severity": "0.5"}
    assert "Give a time zone" in admin_client.post("/admin/patients/clinic/add/", form).content.decode()
    admin_client.post("/admin/patients/clinic/add/", form | {"time_zone": "Asia/Kolkata"})
    assert Clinic.objects.get(code="hill2").time_zone == "Asia/Kolkata"


def test_a_person_gets_roles_in_the_administration(admin_client, clinic, user_for):
    user = factories.user_make()
    form = {
        "username": user.username,
        "is_active": "on",
        "memberships-TOTAL_FORMS": "1",
        "memberships-INITIAL_FORMS": "0",
        "memberships-0-user": str(user.pk),
        "memberships-0-clinic": str(clinic.pk),
        "memberships-0-role": "operator",
        "memberships-0-valid_from_0": "2026-01-01",
        "memberships-0-valid_from_1": "00:00:00",
    }
    assert admin_client.post(f"/admin/patients/user/{user.pk}/change/", form).status_code == 302
    assert str(user.memberships.get()) == "Clinic operator · Hill Clinic"

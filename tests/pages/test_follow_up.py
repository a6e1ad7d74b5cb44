"""The page of critical findings, the count in the menu, and the acknowledgement on the report's page."""

from __future__ import annotations

import pytest
from django.utils import timezone

from diagnosis.models import CriticalAlert, Study
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def study(patient):
    study = factories.study_make(patient)
    factories.predicted_film_make(study)
    return study


@pytest.fixture
def alert(study, user_for) -> CriticalAlert:
    return factories.alert_make(
        factories.report_make(study, user_for("radiologist"), impression="Pneumonia."), minutes=45
    )


def page_of(client, path="/follow-up/") -> str:
    return client.get(path).content.decode()


def test_late_findings_stand_first_with_a_mark_and_a_count_in_the_menu(alert, client_for, study, user_for, patient):
    factories.alert_make(alert.report, "pneumothorax")
    page = page_of(client_for("radiographer"))
    assert page.index("Pneumonia</strong>") < page.index("Pneumothorax</strong>")
    assert "over by 15 min" in page
    assert "1 over the limit" in page
    assert 'class="waiting-count waiting-late"' in page
    assert "waiting-count" not in page_of(client_for("operator"), "/films/")


def test_the_page_says_loudly_that_nobody_was_mailed(alert, client_for, clinic):
    assert "Nobody was mailed: Hill Clinic" in page_of(client_for("radiographer"))
    clinic.critical_contact = "desk@hill.example"
    clinic.save()
    assert "Nobody was mailed" not in page_of(client_for("radiographer"))


def test_whoever_opens_the_report_has_seen_it_but_not_who_raised_it(alert, client_for, user_for, study):
    report = f"/studies/{study.pk}/report/"
    client_for("radiologist").get(report)
    alert.refresh_from_db()
    assert alert.seen_at is None
    assert "What was done, or who was told" in page_of(client_for("radiographer"), report)
    alert.refresh_from_db()
    assert alert.seen_by == user_for("radiographer")


def test_an_acknowledgement_stands_on_the_report_and_on_the_page(alert, client_for, user_for, study):
    second = factories.alert_make(alert.report, "pneumothorax")
    client = client_for("radiographer")
    address = f"/studies/{study.pk}/report/acknowledge/"
    empty = client.post(address, {"alerts": [alert.pk, second.pk], "action_taken": ""}, follow=True)
    assert "Say in a few words what was done" in empty.content.decode()
    done = client.post(address, {"alerts": [alert.pk, second.pk], "action_taken": "Told Dr Rao"}, follow=True)
    assert done.content.decode().count("Told Dr Rao") == 2
    assert CriticalAlert.objects.open().count() == 0
    page = page_of(client_for("radiologist"))
    assert "Nothing waits" in page
    assert "Told Dr Rao" in page


def test_a_preliminary_critical_finding_stands_on_the_page_of_a_report_that_is_not_signed(study, client_for, user_for):
    factories.alert_make(factories.report_make(study, user_for("radiologist"), "preliminary"))
    page = page_of(client_for("radiographer"), f"/studies/{study.pk}/report/")
    assert "Critical finding" in page
    assert "Not yet signed" in page


def test_a_withdrawn_finding_says_why(alert, client_for):
    CriticalAlert.objects.update(voided_at=timezone.now(), void_reason="Skin fold")
    page = page_of(client_for("radiographer"))
    assert "Withdrawn" in page
    assert "Skin fold" in page


def test_the_list_costs_the_same_for_many_findings(alert, client_for, user_for, patient, count_queries):
    client = client_for("radiographer")
    few = count_queries(lambda: client.get("/follow-up/"))
    for _ in range(5):
        factories.alert_make(factories.report_make(factories.study_make(patient), user_for("radiologist")))
    assert count_queries(lambda: client.get("/follow-up/")) == few


# --- what comes back to the clinic and to the doctor


def test_a_clinic_sees_when_its_film_was_read_and_by_whom(alert, client_for, user_for, study):
    type(user_for("radiologist")).objects.filter(pk=user_for("radiologist").pk).update(
        first_name="Ravi", last_name="Rao"
    )
    for role in ("operator", "radiographer"):
        assert "Read by Ravi Rao" in page_of(client_for(role), "/films/")
        assert "Signed by Ravi Rao" in page_of(client_for(role), f"/studies/{study.pk}/")


def test_a_doctor_follows_a_referral_to_the_signed_report_and_the_patients_history(client_for, user_for, patient):
    doctor, radiologist = user_for("doctor"), user_for("radiologist")
    earlier, referred = factories.study_make(patient), factories.study_make(patient, referring_doctor=doctor)
    other = factories.study_make(factories.patient_make(patient.clinic, "Nobody Referred"))
    for study in (earlier, referred, other):
        factories.predicted_film_make(study)
    client = client_for("doctor")
    assert "Not yet read" in page_of(client, f"/patients/{patient.pk}/")
    for study in (earlier, referred, other):
        factories.report_make(study, radiologist, impression=f"Conclusion {study.pk}")
    films = page_of(client, "/films/")
    assert "Asha Verma" in films
    assert "Nobody Referred" not in films
    history = page_of(client, f"/patients/{patient.pk}/")
    for study in (earlier, referred):
        assert f"/studies/{study.pk}/report/" in history
        assert f"Conclusion {study.pk}" in page_of(client, f"/studies/{study.pk}/report/")
    assert "Findings over time" in history
    assert client.get(f"/studies/{other.pk}/report/").status_code == 404
    assert Study.objects.visible_to(doctor).count() == 2

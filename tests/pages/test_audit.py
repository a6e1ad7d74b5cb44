"""The audit's pages: whose entries stand there, a patient's access report, and who changed what."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from patients.audit import audit_list, audit_record
from patients.models import AuditEvent, Patient, Purpose
from patients.services import identifier_add, patient_update
from tests import factories


@pytest.fixture
def read(reader, patient, clinic):
    return audit_record(user=reader, verb="read", target=patient, clinic=clinic, patient=patient)


@pytest.fixture
def report(patient):
    return f"/audit/patients/{patient.pk}/"


def page(client, path, **query):
    response = client.get(path, query)
    assert response.status_code == 200
    return response.content.decode()


# --- the clinic's audit


def test_a_clinic_administrator_sees_who_did_what_without_the_patients_name(client_for, read, patient):
    text = page(client_for("clinicadmin"), "/audit/")
    assert "Meera Nair" in text
    assert "Looked at the record" in text
    assert str(patient.pk)[:8] in text
    assert "Asha" not in text


def test_a_radiologist_sees_only_own_entries(client_for, user_for, read, patient, clinic):
    audit_record(user=user_for("operator"), verb="update", target=patient, clinic=clinic, patient=patient)
    text = page(client_for("radiologist"), "/audit/")
    assert "Looked at the record" in text
    assert "Changed the record" not in text


def test_entries_of_other_clinics_are_not_there(client_for, user_for, foreign_patient, other_clinic):
    audit_record(
        user=user_for("operator", other_clinic), verb="read", target=foreign_patient, clinic=other_clinic,
        patient=foreign_patient,
    )  # fmt: skip
    assert "No entries yet" in page(client_for("clinicadmin"), "/audit/")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"verb": "read"}, True),
        ({"verb": "list"}, False),
        ({"person": "reader"}, True),
        ({"person": "clinicadmin"}, False),
        ({"patient": "own"}, True),
        ({"patient": "00000000-0000-4000-8000-000000000000"}, False),
        ({"date_from": -1, "date_to": 1}, True),
        ({"date_to": -2}, False),
        ({"date_from": 2}, False),
    ],
)
def test_the_audit_is_narrowed_by_person_verb_patient_and_day(client_for, user_for, read, patient, query, found):
    known = {"reader": read.user_id, "clinicadmin": user_for("clinicadmin").pk, "own": patient.pk}
    today = timezone.now().date()
    query = {
        key: known.get(value, value) if isinstance(value, str) else today + timedelta(days=value)
        for key, value in query.items()
    }
    text = page(client_for("clinicadmin"), "/audit/", **query)
    assert ("Looked at the record" in text, "No entry fits" in text) == (found, not found)


def test_a_day_is_a_day_at_the_clinic(client_for, clinic, read):
    """01:30 in Kolkata on the second is still the first in Greenwich."""
    type(clinic).objects.update(time_zone="Asia/Kolkata")
    event = AuditEvent.objects.create(clinic=clinic, user=read.user, verb="export", at="2026-03-01T20:00:00Z")
    admin = client_for("clinicadmin")
    assert "2 Mar 2026, 01:30:00" in page(admin, "/audit/", date_from="2026-03-02", date_to="2026-03-02")
    assert "No entry fits" in page(admin, "/audit/", date_to="2026-03-01")
    assert event.at


@pytest.mark.parametrize("query", ["date_from=yesterday", "person=999999", "verb=everything", "patient=x"])
def test_a_filter_that_is_none_is_refused(client_for, query):
    assert client_for("clinicadmin").get(f"/audit/?{query}").status_code == 400


def test_pages_follow_one_another_in_a_fixed_number_of_queries(client_for, reader, patient, clinic):
    admin = client_for("clinicadmin")
    admin.get("/audit/")
    counts = []
    for _ in range(2):
        AuditEvent.objects.bulk_create(
            AuditEvent(user=reader, clinic=clinic, verb="read", object_type="patient", patient=patient)
            for _ in range(30)
        )
        with CaptureQueriesContext(connection) as queries:
            first = admin.get("/audit/", {"verb": "read"})
        counts.append(len(queries))
    assert counts[0] == counts[1]
    second = page(admin, f"/audit/?{first.context['older_query']}")
    assert (len(first.context["events"]), second.count("Looked at the record")) == (50, 10)
    assert "Older entries" not in second


def test_reading_the_audit_is_an_entry_in_it(client_for, user_for, clinic):
    page(client_for("clinicadmin"), "/audit/")
    event = AuditEvent.objects.get()
    assert (event.verb, event.user, event.clinic) == ("read_audit", user_for("clinicadmin"), clinic)
    assert event.purpose == Purpose.OPERATIONS


# --- a patient's access report


def test_the_report_tells_who_read_listed_and_changed_when_as_what_and_why(
    client_for, user_for, reader, report, patient
):
    audit_record(user=reader, verb="read", target=patient, clinic=patient.clinic, patient=patient)
    audit_list(user=user_for("operator"), patients=[patient])
    patient_update(user=user_for("operator"), patient=patient, phone="12345")
    audit_record(
        user=reader, verb="read", target=patient, clinic=patient.clinic, patient=patient,
        purpose=Purpose.EMERGENCY, reason="unconscious in the emergency room",
    )  # fmt: skip
    text = page(client_for("clinicadmin"), report)
    for told in (
        "Meera Nair", "Radiologist", "Looked at the record", "Saw the patient in a list", "Clinic operator",
        "Changed the record", "phone", "Emergency treatment", "unconscious in the emergency room", "MRN 0017",
    ):  # fmt: skip
        assert told in text
    assert "12345" not in text
    assert "Asha" not in text


def test_the_report_is_an_entry_in_itself(client_for, user_for, report, patient):
    admin = client_for("clinicadmin")
    assert "Nobody yet" in page(admin, report)
    event = AuditEvent.objects.get()
    assert (event.verb, event.patient, event.purpose) == ("read_audit", patient, Purpose.PATIENT_REQUEST)
    assert "Read who looked at the record" in page(admin, report)


def test_the_report_says_when_nobody_came_in_a_period(client_for, read, report):
    assert "Nobody in this period" in page(client_for("clinicadmin"), report, date_to="2020-01-01")


def test_the_sheet_holds_one_line_per_entry_and_no_formula(client_for, report, patient, reader):
    audit_record(
        user=reader, verb="read", target=patient, clinic=patient.clinic, patient=patient, reason="=HYPERLINK(1)"
    )
    text = page(client_for("clinicadmin"), f"{report}csv/")
    (line,) = csv.DictReader(io.StringIO(text))
    assert (line["person"], line["what"], line["reason"]) == ("Meera Nair", "Looked at the record", "'=HYPERLINK(1)")
    assert AuditEvent.objects.latest("id").verb == "export"


def test_the_printed_report_holds_everything_of_its_period(client_for, report, patient, reader, clinic):
    AuditEvent.objects.bulk_create(
        AuditEvent(user=reader, clinic=clinic, verb="read", object_type="patient", patient=patient) for _ in range(60)
    )
    text = page(client_for("clinicadmin"), f"{report}print/")
    assert text.count("Looked at the record") == 60
    assert "60 entries" in text


@pytest.mark.parametrize("number", ["0017", " 0017 ", "12-3456-7890-1234"])
def test_a_report_is_found_by_the_patients_number(client_for, patient, foreign_patient, report, number):
    Patient.objects.filter(pk=patient.pk).update(abha_number="12-3456-7890-1234")
    response = client_for("clinicadmin").post("/audit/patient/", {"number": number})
    assert (response.status_code, response["Location"]) == (302, report)


@pytest.mark.parametrize("number", ["0042", "001", "Asha", ""])
def test_a_number_of_another_clinic_reads_like_an_unknown_one(client_for, patient, foreign_patient, number):
    response = client_for("clinicadmin").post("/audit/patient/", {"number": number})
    assert response.status_code == 400
    assert "Asha" not in response.content.decode().replace('value="Asha"', "")


def test_several_patients_with_one_number_are_offered(client_for, patient, clinic):
    other = factories.patient_make(clinic, "Somebody Else")
    factories.identifier_make(other, "0017", system="DICOM")
    text = client_for("clinicadmin").post("/audit/patient/", {"number": "0017"}).content.decode()
    assert f"/audit/patients/{patient.pk}/" in text
    assert f"/audit/patients/{other.pk}/" in text
    assert "Somebody" not in text


# --- who changed what


def test_the_history_tells_who_changed_what_from_what_to_what(client_for, user_for, patient, report):
    operator = client_for("operator")
    form = {"name": "Asha Sharma", "birth_year": "1962", "sex": "female"}
    assert operator.post(f"/patients/{patient.pk}/edit/", form).status_code == 302
    operator.post(f"/patients/{patient.pk}/identifiers/", {"system": "DICOM", "value": "77"})
    text = page(client_for("clinicadmin"), f"{report}history/")
    assert user_for("operator").username in text
    for before, after in (("Asha Verma", "Asha Sharma"), ("1961", "1962")):
        assert f"<bdi>{before}</bdi></del> → <ins><bdi>{after}</bdi></ins>" in text
    assert "Number DICOM 77</bdi></strong> added by" in text


def test_what_was_changed_past_the_application_has_nobodys_name(client_for, patient, report):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE patients_patient SET phone = '666'")
    text = page(client_for("clinicadmin"), f"{report}history/")
    assert "somebody outside the application" in text
    assert "666" in text


def test_a_radiologist_sees_own_changes_only(client_for, user_for, patient, report):
    identifier_add(user=user_for("operator"), patient=patient, system="DICOM", value="77")
    assert "You changed nothing here" in page(client_for("radiologist"), f"{report}history/")


def test_clinical_words_are_not_in_the_history(client_for, patient, user_for):
    study = factories.study_make(patient, indication="cough for weeks")
    type(study).objects.update(indication="fever and cough")
    draft = factories.report_make(study, user_for("radiologist"), status="draft", impression="secret words")
    type(draft).objects.update(impression="other words")
    text = page(client_for("clinicadmin"), f"/audit/studies/{study.pk}/history/")
    assert text.count("changed; the text is not shown here") == 2
    for words in ("cough", "words"):
        assert words not in text


def test_reading_a_history_is_recorded(client_for, patient, report):
    page(client_for("clinicadmin"), f"{report}history/")
    event = AuditEvent.objects.get()
    assert (event.verb, event.patient) == ("read_audit", patient)


@pytest.mark.parametrize("path", ["", "print/", "csv/", "history/"])
def test_nothing_is_told_while_the_audit_is_down(client_for, read, report, audit_down, path):
    response = client_for("clinicadmin").get(f"{report}{path}")
    assert response.status_code == 503
    assert b"Meera" not in response.content

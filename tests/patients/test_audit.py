"""The audit records in the same transaction, cannot be rewritten, and stops a read that it cannot record."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, ProgrammingError, connection

from patients.audit import audit_record
from patients.context import RequestContext, set_current_request
from patients.models import AuditEvent, Purpose

REWRITTEN = pytest.mark.parametrize(
    "statement",
    [
        "UPDATE patients_auditevent SET outcome = 'nothing to see'",
        "DELETE FROM patients_auditevent",
        "TRUNCATE patients_auditevent, patients_auditseal",
        "TRUNCATE patients_auditevent CASCADE",
    ],
)


@REWRITTEN
def test_the_site_has_no_right_to_rewrite_the_audit(db, statement):
    with pytest.raises(ProgrammingError, match="permission denied"), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.usefixtures("database_owner")
@REWRITTEN
def test_not_even_the_owner_rewrites_the_audit(user_for, patient, clinic, statement):
    audit_record(user=user_for("operator"), verb="read", target=patient, clinic=clinic, patient=patient)
    connection.check_constraints()  # deferred checks would refuse TRUNCATE before the trigger does
    with pytest.raises(IntegrityError, match="append-only"), connection.cursor() as cursor:
        cursor.execute(statement)


def test_an_event_says_who_in_which_role_did_what_to_whom_from_where(user_for, patient, clinic):
    operator = user_for("operator")
    set_current_request(RequestContext("6f2f1d1e-7c1f-4b0e-9d0a-111111111111", "10.0.0.7"))
    try:
        audit_record(user=operator, verb="read", target=patient, clinic=clinic, patient=patient)
    finally:
        set_current_request(None)
    event = AuditEvent.objects.get()
    assert (event.user, event.role, event.clinic, event.patient) == (operator, "operator", clinic, patient)
    assert (event.verb, event.object_type, event.object_id, event.outcome) == ("read", "patient", str(patient.pk), "ok")
    assert (event.ip_address, event.request_id) == ("10.0.0.7", "6f2f1d1e-7c1f-4b0e-9d0a-111111111111")


def test_a_worker_is_recorded_as_a_worker(patient, clinic):
    audit_record(user=None, verb="predict", target=patient, clinic=clinic, patient=patient)
    assert AuditEvent.objects.get().role == "worker"


@pytest.mark.django_db(transaction=True)
def test_tests_that_commit_can_still_be_cleaned_up(user_for, patient, clinic):
    audit_record(user=user_for("operator"), verb="read", target=patient, clinic=clinic, patient=patient)
    assert AuditEvent.objects.count() == 1


# --- why it was read, and in which log-in


@pytest.mark.parametrize(
    ("role", "purpose"), [("radiologist", Purpose.TREATMENT), ("system", Purpose.SYSTEM)], ids=["clinic", "system"]
)
def test_a_read_is_for_treatment_unless_the_system_is_kept_in_order(user_for, patient, clinic, role, purpose):
    event = audit_record(user=user_for(role), verb="read", target=patient, clinic=clinic, patient=patient)
    assert (event.purpose, event.reason) == (purpose, "")


def test_what_concerns_no_patient_has_no_purpose_of_use(user_for, clinic):
    assert audit_record(user=user_for("clinicadmin"), verb="update", target=clinic, clinic=clinic).purpose == ""


def test_each_log_in_and_token_is_told_apart_and_none_is_kept(client_for, api_for, patient):
    browsers = [client_for("radiologist"), client_for("radiologist")]
    for client in browsers:
        client.get(f"/patients/{patient.pk}/")
        client.get("/films/")
    api_for("radiologist").get(f"/api/v1/patients/{patient.pk}/")
    sessions = list(AuditEvent.objects.filter(verb="read").order_by("id").values_list("session", flat=True))
    assert len(set(sessions)) == 3
    assert all(len(session) == 16 for session in sessions)
    assert not any(client.session.session_key.startswith(session) for client in browsers for session in sessions)

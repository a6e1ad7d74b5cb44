"""The audit records in the same transaction, cannot be rewritten, and stops a read that it cannot record."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection

from patients.audit import audit_record
from patients.context import RequestContext, set_current_request
from patients.models import AuditEvent


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE patients_auditevent SET outcome = 'nothing to see'",
        "DELETE FROM patients_auditevent",
        "TRUNCATE patients_auditevent",
        "TRUNCATE patients_auditevent CASCADE",
    ],
)
def test_the_audit_cannot_be_rewritten(user_for, patient, clinic, statement):
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

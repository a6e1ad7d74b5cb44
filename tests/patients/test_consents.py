"""What a patient agrees to: recorded for good, the latest decision holds, without one the clinic's rule."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.db import DatabaseError, connection, transaction

from patients.consents import consents_read, consents_record, is_permitted
from patients.errors import ApplicationError
from patients.models import AuditEvent, Consent, Patient
from patients.querysets import consent_permits
from tests import factories

PURPOSES = ("care", "ai_assistance", "training")


def permitted(patient) -> set[str]:
    return {purpose for purpose in PURPOSES if is_permitted(patient, purpose)}


def record(user, patient, **said):
    sheet = {"given_on": patient.clinic.today, "given_how": "written", "text_version": "2026-1"}
    decisions = {key: said.pop(key) for key in PURPOSES if key in said}
    return consents_record(user=user, patient=patient, decisions=decisions, **(sheet | said))


def code_of(call) -> str:
    with pytest.raises(ApplicationError) as refusal:
        call()
    return refusal.value.code


# --- what holds


def test_without_a_record_care_and_ai_are_implied_and_training_never_is(patient):
    assert permitted(patient) == {"care", "ai_assistance"}


@pytest.mark.parametrize(
    ("rule", "implied"), [("care_and_ai", {"care", "ai_assistance"}), ("care", {"care"}), ("nothing", set())]
)
def test_the_clinics_rule_says_what_is_implied(patient, rule, implied):
    factories.data_policy_make(patient.clinic, implied_consent=rule)
    assert permitted(patient) == implied


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_decision_stands_above_the_clinics_rule(patient, user_for, purpose):
    factories.data_policy_make(patient.clinic, implied_consent="nothing")
    record(user_for("operator"), patient, **{purpose: "permit"})
    assert permitted(patient) == {purpose}


def test_a_withdrawal_is_a_new_row_and_the_first_one_stays(patient, user_for):
    operator = user_for("operator")
    record(operator, patient, training="permit", given_on=patient.clinic.today - timedelta(days=9))
    record(operator, patient, training="deny", given_how="verbal")
    assert "training" not in permitted(patient)
    standings, decisions = consents_read(user=operator, patient=patient)
    assert [(each.decision, each.withdraws) for each in decisions] == [("deny", True), ("permit", False)]
    assert standings[-1].is_withdrawn
    assert not standings[0].is_withdrawn


def test_a_withdrawal_does_not_fall_back_to_what_is_implied(patient, user_for):
    record(user_for("operator"), patient, ai_assistance="permit")
    record(user_for("operator"), patient, ai_assistance="deny")
    assert permitted(patient) == {"care"}


def test_an_older_sheet_entered_late_does_not_undo_a_later_withdrawal(patient, user_for):
    record(user_for("operator"), patient, training="deny")
    record(user_for("operator"), patient, training="permit", given_on=patient.clinic.today - timedelta(days=30))
    assert "training" not in permitted(patient)


def test_one_patients_decision_is_nobody_elses(patient, clinic, user_for):
    other = factories.patient_make(clinic)
    record(user_for("operator"), patient, training="permit")
    assert list(Patient.objects.filter(consent_permits("training"))) == [patient]
    assert "training" not in permitted(other)


def test_in_an_emergency_only_a_denial_forbids(patient):
    factories.data_policy_make(patient.clinic, implied_consent="nothing")
    not_denied = Patient.objects.filter(consent_permits("care", unless_denied=True))
    assert not_denied.exists()
    factories.consent_make(patient, "care", "deny")
    assert not not_denied.all().exists()


# --- recording


def test_the_audit_says_who_recorded_which_change(patient, user_for):
    record(user_for("operator"), patient, care="permit", training="deny")
    events = AuditEvent.objects.filter(verb="consent", patient=patient).order_by("id")
    assert [event.changes for event in events] == [{"care": ["", "permit"]}, {"training": ["", "deny"]}]
    assert {event.user for event in events} == {user_for("operator")}


@pytest.mark.parametrize("role", ["radiologist", "doctor", "clinicadmin"])
def test_others_than_operators_and_radiographers_record_nothing(patient, user_for, role):
    assert code_of(lambda: record(user_for(role), patient, care="deny")) in ("permission_denied", "not_found")
    assert not Consent.objects.exists()


def test_another_clinics_operator_finds_no_patient(patient, user_for, other_clinic):
    assert code_of(lambda: record(user_for("operator", other_clinic), patient, care="deny")) == "not_found"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({}, "invalid_input"),
        ({"care": "perhaps"}, "invalid_parameter"),
        ({"care": "permit", "given_how": "by phone"}, "invalid_parameter"),
        ({"care": "permit", "text_version": " "}, "invalid_input"),
        ({"care": "permit", "text_version": "x" * 65}, "invalid_text"),
        ({"care": "permit", "given_on": date(2100, 1, 1)}, "invalid_date"),
        ({"care": "permit", "given_on": date(1960, 12, 31)}, "invalid_date"),
    ],
)
def test_a_sheet_that_makes_no_sense_is_refused_whole(patient, user_for, said, code):
    assert code_of(lambda: record(user_for("operator"), patient, **said)) == code
    assert not Consent.objects.exists()


@pytest.mark.usefixtures("database_owner")
@pytest.mark.parametrize(
    "statement", ["UPDATE patients_consent SET decision = 'permit'", "DELETE FROM patients_consent"]
)
def test_not_even_the_owner_changes_or_removes_a_decision(patient, statement):
    factories.consent_make(patient, "training", "deny")
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        connection.cursor().execute(statement)

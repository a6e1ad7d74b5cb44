"""What a patient agrees to: read, asked and recorded. `diagnosis.services.consent` adds what follows for films.

May import: Django, `patients.models`, `.access`, `.audit`, `.querysets`, `.text`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db import transaction

from patients import access
from patients.access import Action
from patients.audit import audit_record
from patients.errors import ApplicationError
from patients.models import Consent, Patient, User
from patients.querysets import consent_permits
from patients.text import required_text

Purpose, Decision, How = Consent.Purpose, Consent.Decision, Consent.How


@dataclass(frozen=True, slots=True)
class Standing:
    """One purpose now: may the data be used for it, and the decision that says so; None where nothing is recorded and
    the clinic's rule decides."""

    purpose: Consent.Purpose
    permitted: bool
    consent: Consent | None

    @property
    def is_withdrawn(self) -> bool:
        """Did the patient agree before, and no longer?"""
        return self.consent is not None and self.consent.withdraws


def permits() -> dict[str, Any]:
    """What holds of each purpose, as columns of a patient: `permits_care`, …"""
    return {f"permits_{purpose.value}": consent_permits(purpose) for purpose in Purpose}


def consents_read(*, user: User, patient: Patient) -> tuple[list[Standing], list[Consent]]:
    """What holds of each purpose, and every decision, the latest first: two queries, one of a patient who was read with
    `permits`."""
    asked = permits()
    if all(hasattr(patient, name) for name in asked):
        permitted = {name: getattr(patient, name) for name in asked}
    else:
        permitted = Patient.objects.visible_to(user).annotate(**asked).values(*asked).get(pk=patient.pk)
    decisions = list(Consent.objects.visible_to(user).filter(patient=patient).select_related("recorded_by"))
    before: dict[str, Consent] = {}
    for decision in reversed(decisions):
        earlier = before.get(decision.purpose)
        decision.withdraws = not decision.permits and earlier is not None and earlier.permits
        before[decision.purpose] = decision
    return [Standing(each, permitted[f"permits_{each.value}"], before.get(each.value)) for each in Purpose], decisions


def is_permitted(patient: Patient, purpose: str) -> bool:
    """May this patient's data be used for the purpose now? As `consent_permits`; whoever asks sees the patient."""
    return Patient.objects.filter(consent_permits(purpose), pk=patient.pk).exists()


@transaction.atomic
def consents_record(
    *, user: User, patient: Patient, decisions: Mapping[str, str], given_on: date, given_how: str, text_version: str
) -> list[Consent]:
    """Keep what the patient decided about one or more purposes (`{purpose: decision}`) on one day, in one way, having
    seen one text. Nothing that was recorded before is changed.

    Raises `not_found`, `permission_denied`, `invalid_parameter`, `invalid_date` (in the future, or before the birth),
    `invalid_text`, `invalid_input` (no decision, no version of the text).
    """
    patient = access.get_visible(
        Patient.objects.select_for_update(of=("self",), no_key=True).select_related("clinic"), user, pk=patient.pk
    )
    access.require_at(user, Action.CONSENT_RECORD, patient.clinic)
    if not decisions:
        raise ApplicationError("invalid_input", fields={"decisions": ["Say at least one decision."]})
    for purpose, decision in decisions.items():
        _one_of(purpose, Purpose.values, "purpose")
        _one_of(decision, Decision.values, "decision")
    _one_of(given_how, How.values, "given_how")
    if not isinstance(given_on, date) or not patient.birth_year <= given_on.year or given_on > patient.clinic.today:
        raise ApplicationError("invalid_date", field="given_on")
    text_version = required_text(text_version, field="text_version", limit=64)
    return [
        _consent_add(user, patient, purpose, decision, given_on, given_how, text_version)
        for purpose, decision in decisions.items()
    ]


def _consent_add(
    user: User, patient: Patient, purpose: str, decision: str, given_on: date, given_how: str, text_version: str
) -> Consent:
    known = Consent.objects.filter(patient=patient, purpose=purpose).first()
    consent = Consent.objects.create(
        patient=patient,
        clinic=patient.clinic,
        purpose=purpose,
        decision=decision,
        given_on=given_on,
        given_how=given_how,
        text_version=text_version,
        recorded_by=user,
    )
    changes = {purpose: [known.decision if known else "", decision]}
    audit_record(user=user, verb="consent", target=consent, clinic=patient.clinic, patient=patient, changes=changes)
    return consent


def _one_of(value: str, allowed: Sequence[str], field: str) -> None:
    if value not in allowed:
        raise ApplicationError("invalid_parameter", field=field, allowed=", ".join(allowed))

"""Service 8: a study under the wrong patient is put under the right one, and one examination that was sent as two
studies becomes one: one person asks, a second one decides.

Only within a clinic, and only while no signed report speaks of the study. Until it is decided nobody signs. The records
of the patients keep that it was asked and how it ended.
May import: `diagnosis.models`, `.merging`, `patients`. Goes to: `reporting`, views.
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import F
from django.utils import timezone

import diagnosis.errors  # noqa: F401  joins the refusals to the table
from diagnosis.models import Report, Study, StudyMove
from diagnosis.querysets import SIGNED
from diagnosis.services.merging import merge, require_mergeable, require_not_merged
from patients import access
from patients.access import Action
from patients.audit import audit_record
from patients.errors import ApplicationError
from patients.models import Patient, User
from patients.text import clean_text

REASON_LIMIT, NUMBER_LIMIT = 160, 64
Outcome = StudyMove.Outcome


@transaction.atomic
def move_ask(*, user: User, study: Study, number: str, reason: str) -> StudyMove:
    """Ask to put a study under the patient of its clinic who has this number (of any kind, whole).

    Raises `not_found`, `permission_denied`, `move_unknown_patient`, `move_same_patient`, `move_reason_missing`,
    `move_report_signed`, `move_asked`, `study_merged`, `invalid_text`.
    """
    access.require_at(user, Action.STUDY_MOVE_REQUEST, study.clinic)
    (study,) = _locked(user, study)
    reason = _reason(reason, "move_reason_missing")
    require_not_merged(study)
    patient = _patient(user, study, clean_text(number, field="number", limit=NUMBER_LIMIT))
    _require_unsigned(study)
    return _ask(user, study, reason, to_patient=patient)


@transaction.atomic
def merge_ask(*, user: User, study: Study, into: object, reason: str) -> StudyMove:
    """Ask to put the films of a study to another study (`into`, its id) of the same patient.

    Raises `not_found`, `permission_denied`, `merge_reason_missing`, `move_asked`, and as `require_mergeable`.
    """
    access.require_at(user, Action.STUDY_MOVE_REQUEST, study.clinic)
    target = access.get_visible(Study.objects.all(), user, pk=into)
    study, target = _locked(user, study, target)
    reason = _reason(reason, "merge_reason_missing")
    require_mergeable(study, target)
    return _ask(user, study, reason, to_patient=study.patient, into=target)


@transaction.atomic
def move_decide(*, user: User, move: StudyMove, outcome: str) -> StudyMove:
    """Move the study, or leave it. Whoever asked may only take it back. A draft has to be opened again by its writer.

    Raises `not_found`, `permission_denied`, `move_same_person`, `move_decided`, `move_report_signed`,
    `invalid_parameter`, and as `require_mergeable` where the films go to another study.
    """
    study, *others = _locked(user, move.study, *([move.into] if move.into else []))
    moves = StudyMove.objects.select_for_update(of=("self",)).select_related("from_patient", "to_patient", "decided_by")
    move = access.get_visible(moves, user, pk=move.pk)
    is_own = move.asked_by_id == user.pk
    access.require_at(user, Action.STUDY_MOVE_REQUEST if is_own else Action.STUDY_MOVE_APPROVE, study.clinic)
    if outcome not in Outcome.values:
        raise ApplicationError("invalid_parameter", field="outcome", allowed=", ".join(Outcome.values))
    if move.decided_by is not None:
        raise ApplicationError("move_decided", who=move.decided_by.display_name)
    if outcome == Outcome.MOVED:
        if is_own:
            raise ApplicationError("move_same_person")
        for into in others:
            merge(study, into)
        if not others:
            _require_unsigned(study)
            study.patient = move.to_patient
            study.save(update_fields=["patient"])
        changed = others or [study]
        Report.objects.filter(study__in=changed).exclude(status__in=SIGNED).update(version=F("version") + 1)
    move.outcome, move.decided_by, move.decided_at = outcome, user, timezone.now()
    move.save()
    _audit(user, move, outcome)
    return move


def require_patient_sure(study: Study) -> None:
    """Raise `move_waits` while it is not decided where these films belong."""
    if StudyMove.objects.filter(study=study, outcome="").exists():
        raise ApplicationError("move_waits")


def _ask(user: User, study: Study, reason: str, *, to_patient: Patient, into: Study | None = None) -> StudyMove:
    waiting = StudyMove.objects.filter(study=study, outcome="").select_related("asked_by").first()
    if waiting:
        raise ApplicationError("move_asked", who=waiting.asked_by.display_name)
    move = StudyMove.objects.create(
        study=study,
        clinic=study.clinic,
        from_patient=study.patient,
        to_patient=to_patient,
        into=into,
        reason=reason,
        asked_by=user,
    )
    _audit(user, move, "ask")
    return move


def _locked(user: User, *studies: Study) -> list[Study]:
    """These studies as they are now, nobody else's until the commit; in one order, so that no two wait in a ring."""
    rows = Study.objects.select_for_update(of=("self",), no_key=True).select_related("clinic", "patient")
    found = {key: access.get_visible(rows, user, pk=key) for key in sorted(study.pk for study in studies)}
    return [found[study.pk] for study in studies]


def _reason(reason: str, missing: str) -> str:
    reason = clean_text(reason, field="reason", limit=REASON_LIMIT)
    if not reason:
        raise ApplicationError(missing)
    return reason


def _patient(user: User, study: Study, number: str) -> Patient:
    found = Patient.objects.visible_to(user).filter(clinic=study.clinic, identifiers__value__iexact=number).distinct()
    patients = list(found[:2])
    if len(patients) != 1:
        raise ApplicationError("move_unknown_patient", number=number or "–")
    if patients[0] == study.patient:
        raise ApplicationError("move_same_patient")
    return patients[0]


def _require_unsigned(study: Study) -> None:
    """Held until the commit, so that nobody signs in between."""
    reports = Report.objects.select_for_update().filter(study=study)
    if any(report.is_signed for report in reports):
        raise ApplicationError("move_report_signed")


def _audit(user: User, move: StudyMove, did: str) -> None:
    """In the record of each patient: `move_ask`, `move_moved`, `move_left`, or `merge_…` where a study became part of
    another."""
    studies = [move.study, move.into] if move.into else [move.study]
    verb = f"{'merge' if move.into else 'move'}_{did}"
    for study in studies:
        for patient in dict.fromkeys((move.from_patient, move.to_patient)):
            audit_record(user=user, verb=verb, target=study, clinic=move.clinic, patient=patient)

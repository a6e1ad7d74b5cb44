"""Writes the record of reads and changes. Fail-closed: if the record cannot be written, the act does not happen.

May import: Django, `patients.models`, `patients.access`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, models
from django.utils import timezone

from patients import access
from patients.context import current_request
from patients.errors import ApplicationError
from patients.models import AuditEvent, Purpose

#: A patient who stays in sight of the same person is recorded once in this time.
REPEATED_WITHIN = timedelta(minutes=5)
REASON_LIMIT = 500

if TYPE_CHECKING:
    from patients.models import Clinic, Patient, User


def audit_record(
    *,
    user: User | None,
    verb: str,
    target: models.Model | None = None,
    clinic: Clinic | None = None,
    patient: Patient | None = None,
    outcome: str = "ok",
    changes: Mapping[str, list[str]] | None = None,
    purpose: str = "",
    reason: str = "",
) -> AuditEvent:
    """Store one event in the caller's transaction. `verb` is `read`, `search`, `create`, `update`, `upload`, `retry`, …

    `user` is None in workers. `changes` maps each changed field to its text before and after. `purpose` and `reason`
    are what the caller says, else what the request said (`context.purpose_state`), else treatment for a clinic's
    people. Where the record cannot be written a person is told `temporarily_unavailable` and a worker meets the
    database's own error; a caller that is about to show data must let either through.
    """
    event = _event(
        role=access.role_at(user, clinic) if user is not None else "worker",
        user=user if user is not None and user.is_authenticated else None,
        clinic_id=clinic.pk if clinic is not None else None,
        verb=verb,
        object_type=str(target._meta.model_name) if target is not None else "",
        object_id=str(target.pk) if target is not None else "",
        patient=patient,
        outcome=outcome,
        changes=dict(changes or {}),
        purpose=purpose,
        reason=reason,
    )
    try:
        event.save(force_insert=True)
    except DatabaseError as error:
        if user is None:
            raise
        raise ApplicationError("temporarily_unavailable") from error
    return event


def audit_list(*, user: User, patients: Iterable[Patient], renewed: bool = False) -> None:
    """Store that these patients stood in a list the user was given: one `list` event each, two queries in all.

    A list that is `renewed` by itself, or with each letter typed, does not repeat who was recorded for this user
    within the last five minutes: one query more. Fails as `audit_record`.
    """
    shown = {patient.pk: patient for patient in patients}
    if renewed:
        recent = AuditEvent.objects.filter(user=user, verb="list", at__gt=timezone.now() - REPEATED_WITHIN)
        for known in recent.filter(patient__in=shown).order_by().values_list("patient", flat=True):
            shown.pop(known, None)
    roles: dict[object, list[str]] = defaultdict(list)
    for clinic_id, role in access.active_memberships(user).order_by("role").values_list("clinic_id", "role"):
        roles[clinic_id].append(role)
    events = [
        _event(
            role="system" if access.is_system_admin(user) else ",".join(roles[patient.clinic_id]),
            user=user,
            clinic_id=patient.clinic_id,
            verb="list",
            object_type="patient",
            object_id=str(patient.pk),
            patient=patient,
        )
        for patient in shown.values()
    ]
    try:
        AuditEvent.objects.bulk_create(events)
    except DatabaseError as error:
        raise ApplicationError("temporarily_unavailable") from error


def _event(*, role: str, patient: Patient | None, purpose: str = "", reason: str = "", **facts: Any) -> AuditEvent:
    """An unsaved event with what the request says about itself."""
    request = current_request()
    if request is not None:
        facts |= {"ip_address": request.ip_address, "request_id": request.request_id, "session": request.session()}
        purpose, reason = purpose or request.purpose, reason or request.reason
    if not purpose and patient is not None:
        purpose = Purpose.SYSTEM if role == "system" else Purpose.TREATMENT
    return AuditEvent(role=role, patient=patient, purpose=purpose, reason=reason[:REASON_LIMIT], **facts)

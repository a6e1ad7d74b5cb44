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
from patients.policy import SYSTEM

#: A patient who stays in sight of the same person is recorded once in this time.
REPEATED_WITHIN = timedelta(minutes=5)
REASON_LIMIT = 500

if TYPE_CHECKING:
    from patients.models import BreakGlass, Clinic, Patient, User


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
    are what the caller says, else what emergency access was taken for, else treatment for a clinic's people. Where the
    record cannot be written a person is told `temporarily_unavailable` and a worker meets the database's own error; a
    caller that is about to show data must let either through.
    """
    role = access.role_at(user, clinic) if user is not None else "worker"
    if user is not None and clinic is not None and not access.reads_by_role(role):
        uses = (use for use in access.rights_of(user).break_glass if use.clinic_id == clinic.pk)
        role, purpose, reason = _emergency(role, next(uses, None), purpose, reason)
    event = _event(
        role=role,
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


def audit_work(*, verb: str, targets: Iterable[tuple[models.Model, Clinic, Patient]], outcome: str = "ok") -> None:
    """Store what a worker did to each of these rows of a clinic and patient: one event each, one query in all."""
    AuditEvent.objects.bulk_create(
        _event(
            role="worker",
            verb=verb,
            object_type=str(target._meta.model_name),
            object_id=str(target.pk),
            clinic_id=clinic.pk,
            patient=patient,
            outcome=outcome,
            changes={},
        )
        for target, clinic, patient in targets
    )


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
    held: dict[object, list[str]] = defaultdict(list)
    for clinic_id, role in sorted((each.clinic_id, each.role) for each in access.rights_of(user).memberships):
        held[clinic_id].append(role)
    system = access.is_system_admin(user)
    roles = {patient.clinic_id: SYSTEM if system else ",".join(held[patient.clinic_id]) for patient in shown.values()}
    uses = {}
    if not all(access.reads_by_role(role) for role in roles.values()):
        uses = {use.clinic_id: use for use in access.rights_of(user).break_glass}
    events = []
    for patient in shown.values():
        role, purpose, reason = _emergency(roles[patient.clinic_id], uses.get(patient.clinic_id))
        events.append(
            _event(
                role=role,
                user=user,
                clinic_id=patient.clinic_id,
                verb="list",
                object_type="patient",
                object_id=str(patient.pk),
                patient=patient,
                purpose=purpose,
                reason=reason,
            )
        )
    try:
        AuditEvent.objects.bulk_create(events)
    except DatabaseError as error:
        raise ApplicationError("temporarily_unavailable") from error


def _emergency(role: str, use: BreakGlass | None, purpose: str = "", reason: str = "") -> tuple[str, str, str]:
    """Role, purpose and reason of what is read by emergency access; as they were without one."""
    if use is None:
        return role, purpose, reason
    return role or "break-glass", purpose or Purpose.EMERGENCY, reason or use.reason


def _event(*, role: str, patient: Patient | None, purpose: str = "", reason: str = "", **facts: Any) -> AuditEvent:
    """An unsaved event with what the request says about itself."""
    request = current_request()
    if request is not None:
        facts |= {"ip_address": request.ip_address, "request_id": request.request_id, "session": request.session()}
    if not purpose and patient is not None:
        purpose = Purpose.SYSTEM if role == "system" else Purpose.TREATMENT
    return AuditEvent(role=role, patient=patient, purpose=purpose, reason=reason[:REASON_LIMIT], **facts)

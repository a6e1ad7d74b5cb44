"""Writes the record of reads and changes. Fail-closed: if the record cannot be written, the act does not happen.

May import: Django, `patients.models`, `patients.access`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models

from patients import access
from patients.context import current_request
from patients.models import AuditEvent

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
) -> AuditEvent:
    """Store one event in the caller's transaction. `verb` is `read`, `create`, `upload`, `retry`, …

    Raises whatever the database raises: a caller that is about to show data must let it through.
    """
    request = current_request()
    signed_in = user if user is not None and user.is_authenticated else None
    return AuditEvent.objects.create(
        user=signed_in,
        role=access.role_at(user, clinic) if user is not None else "worker",
        clinic=clinic,
        verb=verb,
        object_type=target._meta.model_name if target is not None else "",
        object_id=str(target.pk) if target is not None else "",
        patient=patient,
        outcome=outcome,
        ip_address=request.ip_address if request else None,
        request_id=request.request_id if request else "",
    )

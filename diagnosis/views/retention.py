"""The clinic administrator's page of what the clinic keeps, and what may go today. Counts only; nothing goes from here.

May import: Django, `diagnosis.services.retention`, `patients`.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from diagnosis.services.retention import due_read, holds_count
from patients import access
from patients.access import Action
from patients.audit import audit_record
from patients.errors import ApplicationError
from patients.models import Clinic, DataPolicy, Purpose


@require_safe
def retention(request: HttpRequest) -> HttpResponse:
    """Each of the administrator's clinics with its rule and a dry run of it."""
    clinics = Clinic.objects.filter(id__in=access.clinic_ids(request.user, Action.RETENTION_VIEW)).order_by("name")
    if not clinics:
        raise ApplicationError("permission_denied")
    for clinic in clinics:
        audit_record(user=request.user, verb="read_retention", clinic=clinic, purpose=Purpose.OPERATIONS)
    return render(request, "diagnosis/retention.html", {"rows": [_row(clinic) for clinic in clinics]})


def _row(clinic: Clinic) -> dict[str, Any]:
    policy = DataPolicy.objects.filter(clinic=clinic).first() or DataPolicy(clinic=clinic)
    due = due_read(clinic)
    return {
        "clinic": clinic,
        "policy": policy,
        "due": due,
        "kept_back": sorted(due.kept_back.items()),
        "holds": holds_count(clinic),
    }

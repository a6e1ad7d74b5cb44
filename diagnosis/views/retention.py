"""The clinic administrator's page of what the clinic keeps, what may go today, and what should go before its time.

Nothing goes from here. May import: Django, `diagnosis.models`, `.services.retention`, `.services.removal`, `patients`.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from diagnosis.models import StudyRemoval
from diagnosis.services.removal import REASON_LIMIT, removal_ask, removal_withdraw
from diagnosis.services.retention import due_read, holds_count
from patients import access
from patients.access import Action
from patients.audit import audit_record
from patients.errors import ApplicationError
from patients.models import Clinic, DataPolicy, Purpose

#: Requests for removal of one clinic, the latest.
SHOWN = 20


@require_safe
def retention(request: HttpRequest) -> HttpResponse:
    """Each of the administrator's clinics with its rule and a dry run of it."""
    return _page(request)


def _page(request: HttpRequest, status: int = 200) -> HttpResponse:
    clinics = Clinic.objects.filter(id__in=access.clinic_ids(request.user, Action.RETENTION_VIEW)).order_by("name")
    if not clinics:
        raise ApplicationError("permission_denied")
    for clinic in clinics:
        audit_record(user=request.user, verb="read_retention", clinic=clinic, purpose=Purpose.OPERATIONS)
    return render(
        request,
        "diagnosis/retention.html",
        {"rows": [_row(clinic) for clinic in clinics], "reason_limit": REASON_LIMIT},
        status=status,
    )


def _row(clinic: Clinic) -> dict[str, Any]:
    policy = DataPolicy.objects.filter(clinic=clinic).first() or DataPolicy(clinic=clinic)
    due = due_read(clinic)
    return {
        "clinic": clinic,
        "policy": policy,
        "due": due,
        "kept_back": sorted(due.kept_back.items()),
        "holds": holds_count(clinic),
        "removals": StudyRemoval.objects.filter(clinic=clinic).select_related("asked_by").order_by("-asked_at")[:SHOWN],
    }


@require_POST
def removal_request(request: HttpRequest) -> HttpResponse:
    """Ask for the removal of a study's pictures, named by its id."""
    study_id, reason = request.POST.get("study", "").strip(), request.POST.get("reason", "")
    if not access.clinic_ids(request.user, Action.STUDY_DELETE_REQUEST):
        raise ApplicationError("permission_denied")
    try:
        removal_ask(user=request.user, study_id=study_id, reason=reason)
    except ApplicationError as error:
        if error.status not in (400, 404, 409):
            raise
        messages.error(request, "No study of your clinics has this id." if error.status == 404 else error.detail)
        return _page(request, status=400)
    messages.success(request, "It is asked. The system administrator decides.")
    return redirect("retention")


@require_POST
def removal_take_back(request: HttpRequest, removal_id: UUID) -> HttpResponse:
    """The clinic does not want it any more."""
    try:
        removal_withdraw(user=request.user, removal_id=removal_id)
    except ApplicationError as error:
        if error.status != 409:
            raise
        messages.error(request, error.detail)
    else:
        messages.success(request, "It is withdrawn. The pictures stay.")
    return redirect("retention")

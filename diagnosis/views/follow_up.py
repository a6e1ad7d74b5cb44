"""Following up what was reported: critical findings that wait for the clinic, and their acknowledgement.

May import: Django, `diagnosis.alerts`, `.second_look`, `.services.alerts`, `.selectors`, `patients`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from diagnosis import alerts, second_look, selectors
from diagnosis.models import CriticalAlert, Study
from diagnosis.services.alerts import alert_acknowledge
from diagnosis.views.moves import moves_waiting
from patients.audit import audit_list
from patients.errors import ApplicationError
from patients.models import User

AT_MOST = 200
CLOSED_AT_MOST = 30


@require_safe
def follow_up(request: HttpRequest) -> HttpResponse:
    """What waits for acknowledgement, the oldest first; below it what was acknowledged or withdrawn lately."""
    if not alerts.is_concerned(request.user):
        raise ApplicationError("permission_denied")
    waiting = alerts_judge(alerts.alerts_read(request.user).open()[:AT_MOST])
    closed = alerts_judge(alerts.alerts_closed(request.user)[:CLOSED_AT_MOST])
    context = {
        "waiting": waiting,
        "closed": closed,
        "late": sum(alert.is_late for alert in waiting),
        "several_clinics": len({alert.clinic_id for alert in (*waiting, *closed)}) > 1,
        "without_address": sorted({alert.clinic.name for alert in waiting if not alert.clinic.critical_contact}),
    }
    context["second_looks"] = second_look.discordances_waiting(request.user)
    context["moves"] = moves_waiting(request.user)
    shown = {alert.study.patient for alert in (*waiting, *closed)}
    audit_list(user=request.user, patients=shown, renewed=bool(request.htmx))
    return render(request, "diagnosis/_follow_up.html" if request.htmx else "diagnosis/follow_up.html", context)


def alerts_judge(rows: Iterable[CriticalAlert]) -> list[Any]:
    """Give each alert (of `alerts.alerts_read`) what the templates say of it: what became of the mail."""
    judged: list[Any] = list(rows)
    for alert in judged:
        alert.mail_sign, alert.mail_words = alerts.mail_state(alert)
    return judged


def alerts_context(user: User, study: Any) -> dict[str, Any]:
    """The alerts of a study, the latest first, and those that this person can acknowledge."""
    found = alerts_judge(reversed(alerts.alerts_of(user, study)))
    mine = CriticalAlert.objects.to_acknowledge(user).open().filter(study=study).values_list("pk", flat=True)
    to_acknowledge = set(mine) if any(alert.is_open for alert in found) else set()
    return {"alerts": found, "to_acknowledge": [alert for alert in found if alert.pk in to_acknowledge]}


@require_POST
def acknowledge(request: HttpRequest, study_id: UUID) -> HttpResponse:
    """Say once for all alerts that stood in the form (`alerts`) what was done: all of them, or none."""
    study = selectors.study_read(user=request.user, study_id=study_id)
    if not Study.objects.report_visible_to(request.user).filter(pk=study.pk).exists():
        raise ApplicationError("permission_denied")
    told, shown = request.POST.get("action_taken", ""), request.POST.getlist("alerts")
    if not shown or not set(shown) <= {str(alert.pk) for alert in alerts.alerts_of(request.user, study)}:
        raise ApplicationError("not_found")
    try:
        with transaction.atomic():
            for alert_id in shown:
                alert_acknowledge(user=request.user, alert_id=alert_id, action_taken=told)
    except ApplicationError as error:
        if error.status != 409:
            raise
        messages.error(request, error.detail)
    else:
        messages.success(request, "Acknowledged. The radiologist sees what was done.")
    return redirect("report", study.pk)

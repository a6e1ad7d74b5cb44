"""The second look: findings on which a confident model and a signed report disagree, and what a second reader says.

May import: Django, `diagnosis.second_look`, `.services.second_look`, `.forms`, `.reports`, `patients`.
"""

from __future__ import annotations

from functools import cache
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from diagnosis import second_look
from diagnosis.forms import SecondLookFilterForm
from diagnosis.models import Discordance
from diagnosis.selectors import label_title
from diagnosis.services.second_look import NOTE_LIMIT, second_look_record
from patients.audit import audit_list
from patients.errors import ApplicationError

WAITING_AT_MOST, CLOSED_AT_MOST = 50, 50


@require_safe
def second_looks(request: HttpRequest) -> HttpResponse:
    """What waits for a second reader, the oldest first; below it what was looked at, filtered."""
    count = second_look.discordances_waiting(request.user)
    if count is None:
        raise ApplicationError("permission_denied")
    form = SecondLookFilterForm(request.GET)
    filters = form.cleaned_data if form.is_valid() else {}
    waiting = _judged(request, second_look.discordances_read(request.user).filter(looked_at=None)[:WAITING_AT_MOST])
    closed = _judged(request, second_look.discordances_closed(request.user, filters)[:CLOSED_AT_MOST])
    context = {
        "count": count,
        "waiting": waiting,
        "closed": closed,
        "tally": second_look.discordances_tally(request.user),
        "form": form,
        "filtered": any(filters.values()),
        "several_clinics": len({row.clinic_id for row in (*waiting, *closed)}) > 1,
        "outcomes": Discordance.Outcome.choices,
        "model_was": Discordance.ModelWas.choices,
        "note_limit": NOTE_LIMIT,
    }
    audit_list(user=request.user, patients={row.study.patient for row in (*waiting, *closed)})
    return render(request, "diagnosis/second_look.html", context)


def _judged(request: HttpRequest, rows: Any) -> list[Any]:
    """Give each row what the template says of it: the finding's name, whether this person signed the report, and
    whether they may look all the same."""
    judged = list(rows)
    alone = cache(lambda clinic: second_look.reads_alone(request.user, clinic))
    for row in judged:
        row.title = label_title(row.finding.prediction.model_version, row.finding.label)
        row.is_own = row.decision.report.signed_by_id == request.user.pk
        row.may_look = row.looked_at is None and (not row.is_own or alone(row.clinic))
        row.by_its_reader = row.looked_by_id == row.decision.report.signed_by_id
    return judged


@require_POST
def record(request: HttpRequest, discordance_id: UUID) -> HttpResponse:
    """Keep the outcome; whoever says that the report is to be amended goes on to the amendment."""
    told = {name: request.POST.get(name, "") for name in ("outcome", "model_was", "note")}
    try:
        row = second_look_record(user=request.user, discordance_id=discordance_id, **told)
    except ApplicationError as error:
        if error.status not in (400, 409):
            raise
        messages.error(request, error.detail)
        return redirect("second_looks")
    messages.success(request, "The second look is recorded.")
    if row.outcome == Discordance.Outcome.AMEND:
        return redirect(f"{reverse('report', args=[row.study_id])}?amend=1#amend")
    return redirect("second_looks")

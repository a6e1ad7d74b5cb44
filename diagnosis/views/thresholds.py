"""The page on which a clinic chooses thresholds of its own for one model version, and the steps taken there.

Counts and curves of the clinic's signed cases; no patient, study or film. May import: Django, `diagnosis.thresholds`,
`.operating`, `.roc`, `.card`, `.registry`, `.services.thresholds`, `patients`.
"""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from diagnosis import card as cards
from diagnosis.models import ModelVersion, ThresholdChange
from diagnosis.operating import AIMS, ENOUGH, Cases, Point
from diagnosis.roc import roc_draw
from diagnosis.services import thresholds as services
from diagnosis.thresholds import LATEST, State, cases_read, clinic_looked_after, states_read
from patients import access
from patients.access import Action
from patients.errors import CODES, ApplicationError
from patients.models import Clinic
from patients.stepup import require_recent_sign_in

#: Sensitivities in percent that one may ask for.
LEAST_AIM, MOST_AIM = 50, 100


@require_safe
def thresholds(request: HttpRequest, model_id: UUID) -> HttpResponse:
    """Per finding: the ROC on the clinic's signed cases, the threshold that applies, and what another one would do."""
    model = _model(request, model_id)
    return _page(request, model, request.GET.get("clinic"))


@require_POST
def threshold_propose(request: HttpRequest, model_id: UUID) -> HttpResponse:
    """Propose the threshold of the form; it applies once somebody else has approved it."""
    model = _model(request, model_id)
    clinic, _ = clinic_looked_after(user=request.user, clinic_id=request.POST.get("clinic"))
    label = request.POST.get("label", "")
    try:
        services.threshold_propose(
            user=request.user,
            model=model,
            clinic=clinic,
            label=label,
            threshold=_number(request.POST.get("threshold", "")),
            reason=request.POST.get("reason", ""),
        )
    except ApplicationError as error:
        return _refused(request, model, clinic, error)
    messages.success(request, "Proposed. It applies once another radiologist of the clinic has approved it.")
    return _back(model, clinic, label)


@require_POST
def threshold_decide(request: HttpRequest, model_id: UUID) -> HttpResponse:
    """Approve or decline a proposal; approving asks once more who is there."""
    model = _model(request, model_id)
    clinic, _ = clinic_looked_after(user=request.user, clinic_id=request.POST.get("clinic"))
    proposals = ThresholdChange.objects.filter(model_version=model, clinic=clinic)
    proposals = proposals.select_related("model_version", "clinic", "user")
    proposal = access.get_visible(proposals, request.user, pk=request.POST.get("proposal") or None)
    try:
        if request.POST.get("decision") == "approve":
            access.require_at(request.user, Action.THRESHOLD_APPROVE, clinic)
            require_recent_sign_in(request)
            services.threshold_approve(user=request.user, proposal=proposal)
            messages.success(request, "Approved. It applies to the films that are answered from now on.")
        else:
            services.threshold_decline(user=request.user, proposal=proposal)
            messages.success(request, "The proposal is closed; nothing changes.")
    except ApplicationError as error:
        return _refused(request, model, clinic, error)
    return _back(model, clinic, proposal.label)


@require_POST
def threshold_restore(request: HttpRequest, model_id: UUID) -> HttpResponse:
    """Go back to the card's threshold at once."""
    model = _model(request, model_id)
    clinic, _ = clinic_looked_after(user=request.user, clinic_id=request.POST.get("clinic"))
    label = request.POST.get("label", "")
    try:
        services.threshold_restore(
            user=request.user, model=model, clinic=clinic, label=label, reason=request.POST.get("reason", "")
        )
    except ApplicationError as error:
        return _refused(request, model, clinic, error)
    messages.success(request, "The card's threshold applies to the films that are answered from now on.")
    return _back(model, clinic, label)


def _model(request: HttpRequest, model_id: UUID) -> ModelVersion:
    found: ModelVersion = access.get_visible(ModelVersion.objects, request.user, pk=model_id)
    return found


def _back(model: ModelVersion, clinic: Clinic, label: str) -> HttpResponse:
    return redirect(f"{reverse('thresholds', args=[model.pk])}?{urlencode({'clinic': clinic.pk})}#{label}")


def _refused(request: HttpRequest, model: ModelVersion, clinic: Clinic, error: ApplicationError) -> HttpResponse:
    """A refusal on the page itself, with what was chosen and typed."""
    if error.status in (403, 404, 503):
        raise error
    shown = {"title": CODES[error.code].title, "detail": error.detail}
    return _page(request, model, clinic.pk, status=error.status, refusal=shown, reason=request.POST.get("reason", ""))


def _page(
    request: HttpRequest, model: ModelVersion, clinic_id: object, *, status: int = 200, **more: Any
) -> HttpResponse:
    clinic, clinics = clinic_looked_after(user=request.user, clinic_id=clinic_id)
    asked = request.GET if request.method != "POST" else request.POST
    found = cases_read(model=model, clinic=clinic)
    states = states_read(model=model, clinic=clinic)
    measured_on, rows = cards.card_thresholds(model.card, {state.label: state.card for state in states})
    of_card = dict(zip((state.label for state in states), (row.cells[1:] for row in rows), strict=True))
    findings = [
        {"state": state, "card": of_card[state.label], **_figures(state, found.get(state.label, Cases.of([])), asked)}
        for state in states
    ]
    context = {
        "model": model,
        "clinic": clinic,
        "clinics": clinics,
        "findings": findings,
        "measured_on": measured_on,
        "enough": ENOUGH,
        "latest": LATEST,
        "limits": (LEAST_AIM, MOST_AIM),
        "may_approve": access.can_at(request.user, Action.THRESHOLD_APPROVE, clinic),
    }
    return render(request, "diagnosis/thresholds.html", context | more, status=status)


def _figures(state: State, cases: Cases, asked: Any) -> dict[str, Any]:
    """What the page shows of one label: the curve and a row per threshold, or only how many cases there are."""
    if not cases.are_enough:
        return {"cases": cases}
    now, area = cases.at(state.applies), cases.area()
    rows: list[tuple[str, str, Point]] = [("now", "Applies now", now)]
    if state.proposed:
        rows.append(("proposed", "Proposed", cases.at(state.proposed.threshold)))
    aim = _aim(asked) if asked.get("label") == state.label else None
    aims = sorted({*AIMS, aim} if aim else AIMS)
    offers = [(round(each * 100, 1), cases.for_sensitivity(each), each == aim) for each in aims]
    chosen = next((point for _, point, is_chosen in offers if is_chosen), None)
    marks = ([("offered", chosen)] if chosen else []) + [(kind, point) for kind, _, point in rows]
    return {
        "cases": cases,
        "area": area,
        "is_guess": area.low is not None and area.low <= 0.5,
        "rows": rows,
        "offers": offers,
        "chosen": chosen,
        "aim": aim and round(aim * 100, 1),
        "roc": roc_draw(state.title, cases, marks),
    }


def _aim(asked: Any) -> float | None:
    """The sensitivity that is asked for, as a share; None where it is no number within the limits."""
    percent = _number(asked.get("sensitivity", ""))
    return percent / 100 if LEAST_AIM <= percent <= MOST_AIM else None


def _number(text: str) -> float:
    """nan where it is none, or where somebody wrote what only looks like one."""
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return math.nan

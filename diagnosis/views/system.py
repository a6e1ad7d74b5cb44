"""How the system is doing and which model speaks: no patient data, for everybody who is signed in.

May import: Django, `diagnosis.selectors`, `diagnosis.views.common`, `mlcore.interpret` (no keras).
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from diagnosis.card import OF_A_FINDING, card_tables
from diagnosis.models import ModelVersion
from diagnosis.selectors import label_title
from diagnosis.views.common import QUEUES, films_judge
from mlcore.interpret import WORD_RULES
from patients.errors import ApplicationError


@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """Workers, queues, storage and the active model; asks again by itself."""
    template = "diagnosis/_status_body.html" if request.htmx else "diagnosis/status.html"
    context = {"system": films_judge(request.user, []), "queue_titles": QUEUES, "model": _active_model()}
    return render(request, template, context)


@require_safe
def model_detail(request: HttpRequest, model_id: UUID) -> HttpResponse:
    """The card of one model version: what it is for, how well it does, where it is weak."""
    model = ModelVersion.objects.prefetch_related("operating_points").filter(pk=model_id).first()
    if model is None:
        raise ApplicationError("not_found")
    points = [point for point in model.operating_points.all() if point.clinic_id is None]
    context = {
        "model": model,
        "card": model.card,
        "tables": card_tables(model.card),
        "figure_names": list(OF_A_FINDING.values()),
        "points": [(label_title(model, point.label), point) for point in points],
        "words": list(WORD_RULES.items()),
    }
    return render(request, "diagnosis/model_detail.html", context)


@require_safe
def about(request: HttpRequest) -> HttpResponse:
    """What this software is, and what it is not."""
    context: dict[str, Any] = {"words": list(WORD_RULES.items()), "model": _active_model()}
    return render(request, "diagnosis/about.html", context)


def _active_model() -> ModelVersion | None:
    return ModelVersion.objects.filter(status=ModelVersion.Status.ACTIVE).first()

"""The model versions: which there are, and the card of each with its pictures. No patient data.

For everybody who is signed in; versions that never spoke, for system administrators only.
May import: Django, `diagnosis.registry`, `diagnosis.card`, `diagnosis.services.model_files`, `mlcore.interpret`.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from diagnosis import card as cards
from diagnosis.models import ModelVersion
from diagnosis.registry import models_read, trial_progress
from diagnosis.services.model_files import figure_names, figure_read
from mlcore.interpret import WORD_RULES
from patients import access
from patients.access import Action
from patients.errors import ApplicationError

#: A picture is shown by <img> and runs nothing; opened by itself it may load nothing either.
FIGURE_HEADERS = {
    "Cache-Control": "private, max-age=300",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


@require_safe
def model_list(request: HttpRequest) -> HttpResponse:
    """Every version that this person may know of, with state, approval and main figures."""
    models = [(model, cards.card_headline(model.card)) for model in models_read().visible_to(request.user)]
    return render(request, "diagnosis/model_list.html", {"models": models})


@require_safe
def model_detail(request: HttpRequest, model_id: UUID) -> HttpResponse:
    """The card of one model version: what it is for, how well it does, where it is weak, who let it speak."""
    model = access.get_visible(models_read().prefetch_related("operating_points"), request.user, pk=model_id)
    thresholds = {point.label: point.threshold for point in model.operating_points.all() if point.clinic_id is None}
    measured_on, points = cards.card_thresholds(model.card, thresholds)
    context: dict[str, Any] = {
        "model": model,
        "card": model.card,
        "tables": cards.card_tables(model.card),
        "measured_on": measured_on,
        "points": points,
        "point_columns": ["Threshold", "Sensitivity", "Specificity"],
        "subgroups": cards.card_subgroups(model.card),
        "subgroup_columns": ["Films", *cards.SUBGROUPS.values()],
        "calibration": cards.card_calibration(model.card),
        "calibration_columns": ["Films", "Error (ECE) before", "After", "Brier score after"],
        "statement": cards.card_statement(model.card),
        "accuracies": cards.card_accuracies(model.card),
        "accuracy_columns": ["Films", "This model", "Knowing only the data set", "Always “normal”"],
        "robustness": cards.card_robustness(model.card),
        "predictive": cards.card_predictive(model.card),
        "probes": cards.card_probes(model.card),
        "engines": cards.card_engines(model.card),
        "engine_columns": ["May answer", "AUROC lost", "Another word", "Largest difference", "Films", "Measured on"],
        "probe_columns": ["Films", "AUROC"],
        "pictures": cards.card_pictures(figure_names(model)),
        "words": list(WORD_RULES.items()),
        "sets_thresholds": bool(access.clinic_ids(request.user, Action.THRESHOLD_VIEW)),
    }
    if access.is_system_admin(request.user):
        context |= _trial(model)
    return render(request, "diagnosis/model_detail.html", context)


def _trial(model: ModelVersion) -> dict[str, Any]:
    progress = trial_progress(model)
    if not any(progress.values()) and model.status != ModelVersion.Status.SHADOW:
        return {}
    return {"trial": progress}


@require_safe
def model_figure(request: HttpRequest, model_id: UUID, figure: str) -> HttpResponse:
    """One picture of the card."""
    model = access.get_visible(ModelVersion.objects, request.user, pk=model_id)
    content = figure_read(model, figure)
    if content is None:
        raise ApplicationError("not_found")
    response = HttpResponse(content, content_type="image/svg+xml", headers=FIGURE_HEADERS)
    response._csp_exempt = True
    return response

"""The page that sets a version on trial beside the one that speaks. Sums over films; no film, no patient.

For system administrators, who decide on versions: nobody else is shown what a version says on trial, and they only of
many films at once. May import: Django, `diagnosis.comparison`, `.operating`, `.services.models`, `patients.access`.
"""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from diagnosis.comparison import FEWEST, LATEST, versions_compared
from diagnosis.models import ModelVersion
from diagnosis.operating import ENOUGH
from diagnosis.services.models import model_before
from patients import access
from patients.errors import ApplicationError


@require_safe
def compare(request: HttpRequest, model_id: UUID) -> HttpResponse:
    """What this version said on trial against what the active version said of the same films; of the active version
    itself, against the one before it."""
    model: ModelVersion = access.get_visible(ModelVersion.objects, request.user, pk=model_id)
    if not access.is_system_admin(request.user):
        raise ApplicationError("permission_denied")
    other = ModelVersion.objects.filter(task=model.task, status=ModelVersion.Status.ACTIVE).first()
    if other == model:
        other = model_before()
    context = {
        "model": model,
        "other": other,
        "compared": versions_compared(trial=model, active=other) if other else None,
        "latest": LATEST,
        "fewest": FEWEST,
        "enough": ENOUGH,
    }
    return render(request, "diagnosis/compare.html", context)

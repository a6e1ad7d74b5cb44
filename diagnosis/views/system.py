"""How the system is doing and which model speaks: no patient data, for everybody who is signed in.

May import: Django, `diagnosis.models`, `diagnosis.monitoring`, `diagnosis.views.common`, `mlcore.interpret` (no keras).
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from diagnosis import monitoring
from diagnosis.models import ModelVersion
from diagnosis.views.common import QUEUES, system_view
from mlcore.interpret import WORD_RULES


@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """Alerts, workers, queues, storage and the active model; asks again by itself."""
    template = "diagnosis/_status_body.html" if request.htmx else "diagnosis/status.html"
    system = system_view(monitoring.status_read())
    context = {
        "system": system,
        "alerts": monitoring.alerts_read(system),
        "queue_titles": QUEUES,
        "model": _active_model(),
        "one_approves": settings.MODEL_APPROVALS < 2,
    }
    return render(request, template, context)


@require_safe
def about(request: HttpRequest) -> HttpResponse:
    """What this software is, and what it is not."""
    context: dict[str, Any] = {"words": list(WORD_RULES.items()), "model": _active_model()}
    return render(request, "diagnosis/about.html", context)


def _active_model() -> ModelVersion | None:
    return ModelVersion.objects.filter(status=ModelVersion.Status.ACTIVE).first()

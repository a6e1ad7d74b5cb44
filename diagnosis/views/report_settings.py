"""The page where a clinic chooses the language of its reports and writes its own sentences.

May import: Django, `diagnosis.models`, `.phrases`, `.sentences`, `.services.report_settings`, `patients`.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from diagnosis.models import ReportSettings
from diagnosis.phrases import LANGUAGES, NORMAL_TEXT
from diagnosis.sentences import TITLES
from diagnosis.services.report_settings import NORMAL_LIMIT, SENTENCE_LIMIT, report_settings_set
from patients.access import Action
from patients.errors import ApplicationError
from patients.members import clinic_managed


@require_http_methods(["GET", "HEAD", "POST"])
def report_settings(request: HttpRequest, clinic_id: UUID) -> HttpResponse:
    """Language and sentences. `language` in the address shows those of another language before it is chosen."""
    clinic = clinic_managed(user=request.user, clinic_id=clinic_id, action=Action.REPORT_SETTINGS)
    held = ReportSettings.objects.filter(clinic=clinic).first() or ReportSettings(clinic=clinic)
    language = request.POST.get("language") or request.GET.get("language", "")
    language = language if language in LANGUAGES else held.language
    texts = held.texts.get(language, {})
    refusal = None
    if request.method == "POST":
        texts = {label: request.POST[label] for label in (NORMAL_TEXT, *TITLES) if label in request.POST}
        try:
            report_settings_set(user=request.user, clinic=clinic, language=language, texts=texts)
        except ApplicationError as error:
            if error.status in (403, 404, 503):
                raise
            refusal = error
        else:
            messages.success(request, f"{clinic.name} writes its reports like this from now on.")
            return redirect("report_settings", clinic.pk)
    context = {
        "clinic": clinic,
        "held": LANGUAGES[held.language].name,
        "language": language,
        "chosen": LANGUAGES[language].name,
        "languages": [(code, phrases.name) for code, phrases in LANGUAGES.items()],
        "rows": _rows(language, texts),
        "refusal": refusal,
    }
    return render(request, "reading/report_settings.html", context, status=refusal.status if refusal else 200)


def _rows(language: str, texts: dict[str, str]) -> list[dict[str, Any]]:
    """What can be written: the text of a normal report, then a sentence per finding."""
    phrases = LANGUAGES[language]
    usual = {NORMAL_TEXT: phrases.normal} | {label: sentence for label, (_, sentence) in phrases.findings.items()}
    return [
        {
            "label": label,
            "title": TITLES.get(label, "A normal report"),
            "text": texts.get(label, ""),
            "usual": sentence,
            "limit": NORMAL_LIMIT if label == NORMAL_TEXT else SENTENCE_LIMIT,
        }
        for label, sentence in usual.items()
    ]

"""The viewer: its page, and what its script asks before it paints: which films, how to show them, whose they are.

May import: Django, `diagnosis.selectors`, `.triage`, `mlcore.card`, `patients`. The pixels come from `.views.images`,
the script lies in `frontend/`, its bundle in `static/viewer/`.
"""

from __future__ import annotations

from datetime import time
from typing import Any
from uuid import UUID

from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.defaultfilters import date
from django.urls import reverse
from django.views.decorators.http import require_safe

from diagnosis import selectors
from diagnosis.models import Finding, Prediction, Radiograph, Study
from diagnosis.templatetags.pages import percent
from diagnosis.triage import foremost
from mlcore.card import NORMAL
from patients import access
from patients.audit import audit_record
from patients.errors import ApplicationError
from patients.models import User

#: So many earlier films of the patient are offered for comparison, the latest first.
MAX_PRIORS = 12


@require_safe
def study_view(request: HttpRequest, study_id: UUID) -> HttpResponse:
    """The films of one study in the viewer, on a page of their own."""
    study = _study(request.user, study_id)
    patient = study.patient if study.patient_visible else None
    identifiers = list(study.patient.identifiers.all()) if patient else []
    context = {"study": study, "patient": patient, "identifiers": identifiers}
    return render(request, "diagnosis/study_view.html", context)


@require_safe
def viewer_films(request: HttpRequest, study_id: UUID) -> HttpResponse:
    """What `_viewer.html` asks for: the study's films in the order of arrival, and earlier ones of the same patient.

    The study and the patient stand in the answer, and beside every film with the hash of its file: the viewer compares
    them with what it was told to show, and with what each picture says of itself.
    """
    study = _study(request.user, study_id)
    films = list(_films(request.user).filter(study=study).order_by("created_at", "id"))
    names = selectors.film_names(selectors.films_of(request.user, study))
    answer = {
        "study": str(study.pk),
        "patient": str(study.patient_id),
        "films": [_film(film) | {"name": names.get(film.pk, "")} for film in films],
        "priors": [_film(film) for film in _priors(request.user, study)],
    }
    return JsonResponse(answer)


def _study(user: User, study_id: UUID) -> Study:
    """The study, when pixels of it may be seen: out of scope is 404, in scope but forbidden 403. Recorded as a look."""
    study = access.get_visible(Study.objects.select_related("patient", "clinic").with_rights(user), user, pk=study_id)
    if study.merged_into_id:
        raise ApplicationError("study_merged", study=study.merged_into_id)
    if not Radiograph.objects.image_visible_to(user).filter(study=study).exists():
        raise ApplicationError("permission_denied")
    patient = study.patient if study.patient_visible else None
    audit_record(user=user, verb="read", target=study, clinic=study.clinic, patient=patient)
    return study


def _films(user: User) -> QuerySet[Radiograph]:
    films = selectors.radiographs_read(user).exclude(display_key="")
    films = films.filter(state=Radiograph.State.READY, image_visible=True)
    return films.annotate(taken=Coalesce("study__acquired_at", "created_at"))


def _priors(user: User, study: Study) -> list[Radiograph]:
    """Films of the same patient taken before, where this person may see whose they are."""
    if not study.patient_visible:
        return []
    others = _films(user).filter(study__patient=study.patient_id).exclude(study=study)
    return list(others.filter(taken__lt=study.acquired_at or study.created_at).order_by(F("taken").desc())[:MAX_PRIORS])


def _film(film: Radiograph) -> dict[str, Any]:
    address = reverse("reading_copy" if film.reading_key else "radiograph_image", args=[film.pk])
    prediction = foremost(film.shown_predictions)
    return {
        "id": str(film.pk),
        "study": str(film.study_id),
        "patient": str(film.study.patient_id),
        "sha256": film.sha256,
        "view": "" if film.view == Radiograph.View.UNKNOWN else film.view,
        "taken": date(film.taken, "j M Y" if film.taken.time() == time.min else "j M Y, H:i"),
        "picture": address,
        "reading": film.reading if film.reading_key else None,
        "warnings": [warning["message"] for warning in film.warnings],
        "maps": _maps(prediction) if prediction else [],
    }


def _maps(prediction: Prediction) -> list[dict[str, Any]]:
    """The positive findings of which the model says where it looked, the strongest first."""
    if not prediction.map_key:
        return []
    model = prediction.model_version
    positive = [each for each in prediction.findings.all() if each.label != NORMAL and each.word != Finding.Word.ABSENT]
    return [
        {
            "prediction": str(prediction.pk),
            "label": finding.label,
            "title": selectors.label_title(model, finding.label),
            "said": f"{finding.word}, {percent(finding.calibrated)} (threshold {percent(finding.threshold)}), {model}",
            "address": reverse("prediction_map", args=[prediction.pk, finding.label]),
        }
        for finding in positive
    ]

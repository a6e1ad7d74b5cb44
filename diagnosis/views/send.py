"""Sending films: choose a patient, choose files, see each result arrive. Calls intake, renders.

May import: Django, `diagnosis.selectors`, `.services`, `.forms`, `.views.common`, `patients`. Nothing is sent for a
patient whom the user may not see, and the page that names the patient is recorded before it leaves.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from diagnosis import selectors
from diagnosis.forms import FilmForm, PatientSearchForm, SendForm
from diagnosis.models import Study
from diagnosis.services.intake import IntakeResult, radiograph_add, study_create
from diagnosis.views.common import films_context
from patients import access
from patients.access import Action
from patients.audit import audit_list, audit_record
from patients.errors import ApplicationError, error_sentence
from patients.keyset import keyset_page
from patients.models import Patient, User
from patients.selectors import patient_read, patient_search

SEARCH_LIMIT = 12


@require_http_methods(["GET", "HEAD", "POST"])
def home(request: HttpRequest) -> HttpResponse:
    """Choose a patient, send films, watch the result. People who send no films start at the worklist."""
    if not access.clinic_ids(request.user, Action.STUDY_UPLOAD):
        if request.method == "POST":
            raise ApplicationError("permission_denied")
        return redirect("status" if access.is_system_admin(request.user) else "film_list")
    if request.method == "POST":
        return _film_send(request)
    patient, study = _chosen(request.user, request.GET)
    if patient is None:
        return render(request, "diagnosis/choose_patient.html", _patient_choice(request.user))
    return _send_page(request, patient, study, _send_form(patient, study))


@require_POST
def patient_pick(request: HttpRequest) -> HttpResponse:
    """The patients that match what was typed: a fragment for htmx, the whole page without JavaScript."""
    form = PatientSearchForm(request.POST)
    query = form.cleaned_data["query"] if form.is_valid() else ""
    template = "diagnosis/_patient_choices.html" if request.htmx else "diagnosis/choose_patient.html"
    return render(request, template, _patient_choice(request.user, query, form))


def _patient_choice(user: User, query: str = "", form: PatientSearchForm | None = None) -> dict[str, Any]:
    if query.strip():
        sendable = access.clinic_ids(user, Action.STUDY_UPLOAD)
        found = patient_search(user=user, query=query).filter(clinic__in=sendable)
        patients, _ = keyset_page(found, user, size=SEARCH_LIMIT)
    else:
        patients = selectors.patients_recent(user=user)
    audit_list(user=user, patients=patients)
    clinics = {patient.clinic_id for patient in patients}
    return {
        "search": form or PatientSearchForm(),
        "query": query,
        "patients": patients,
        "several_clinics": len(clinics) > 1,
        "may_register": bool(access.clinic_ids(user, Action.PATIENT_CREATE)),
    }


def _chosen(user: User, given: Mapping[str, Any]) -> tuple[Patient | None, Study | None]:
    """The patient to send for, and the study when another view is added to one. Raises `not_found`."""
    if study_id := given.get("study"):
        study = access.get_visible(Study.objects.select_related("patient__clinic"), user, pk=study_id)
        patient = patient_read(user=user, patient_id=study.patient_id)
    elif patient_id := given.get("patient"):
        study, patient = None, patient_read(user=user, patient_id=patient_id)
    else:
        return None, None
    access.require_at(user, Action.STUDY_UPLOAD, patient.clinic)
    return patient, study


def _send_form(patient: Patient, study: Study | None, data: Mapping[str, Any] | None = None) -> FilmForm:
    initial = {"idempotency_key": str(uuid.uuid4())}
    if study is not None:
        return FilmForm(data, initial=initial)
    return SendForm(data, initial=initial, clinic=patient.clinic)


def _film_send(request: HttpRequest) -> HttpResponse:
    """One film in one request: the page without JavaScript, and each file that the script sends."""
    patient, study = _chosen(request.user, request.POST)
    if patient is None:
        raise ApplicationError("not_found")
    form = _send_form(patient, study, request.POST)
    try:
        result = _intake(request, patient, study, form)
    except ApplicationError as error:
        if request.htmx or error.status >= 500:  # the error's own page says when to try again
            raise
        return _send_page(request, patient, study, form, error)
    if request.htmx:
        return _sent_fragment(request, result)
    for note in _notes(result):
        messages.info(request, note)
    return redirect("study_detail", result.radiograph.study_id)


def _intake(request: HttpRequest, patient: Patient, study: Study | None, form: FilmForm) -> IntakeResult:
    if not form.is_valid():
        raise ApplicationError("invalid_input", fields=form.errors)
    key = request.headers.get("Idempotency-Key") or form.cleaned_data["idempotency_key"]
    upload = request.FILES.get("file")
    common = {"user": request.user, "upload": upload, "idempotency_key": key, "source": "web", **form.details()}
    return radiograph_add(study=study, **common) if study else study_create(patient=patient, **common)


def _notes(result: IntakeResult) -> list[str]:
    shown_with_the_film = {warning["code"] for warning in result.radiograph.warnings}
    notes = [each["message"] for each in result.warnings if each["code"] not in shown_with_the_film]
    if result.duplicate:
        sent = result.radiograph.created_at
        notes.insert(0, error_sentence("duplicate_of", date=f"{sent.day} {sent:%B %Y}"))
    return notes


def _sent_fragment(request: HttpRequest, result: IntakeResult) -> HttpResponse:
    study = selectors.study_read(user=request.user, study_id=result.radiograph.study_id)
    film = next(film for film in study.films if film.pk == result.radiograph.pk)
    context = films_context(request.user, study, [film]) | {"notes": _notes(result), "duplicate": result.duplicate}
    return render(request, "diagnosis/_sent.html", context, status=201 if result.created else 200)


def _send_page(
    request: HttpRequest,
    patient: Patient,
    study: Study | None,
    form: FilmForm,
    error: ApplicationError | None = None,
) -> HttpResponse:
    audit_record(user=request.user, verb="read", target=patient, clinic=patient.clinic, patient=patient)
    context = {
        "patient": patient,
        "study": study,
        "form": form,
        "error": error,
        "limit_mb": settings.MAX_UPLOAD_BYTES // 1_000_000,
    }
    return render(request, "diagnosis/send.html", context, status=error.status if error else 200)

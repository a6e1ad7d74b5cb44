"""Following films: the list of a clinic's films, a study with its results, a patient's findings over time, another try.

May import: Django, `diagnosis.monitoring`, `.selectors`, `.services`, `.forms`, `.charts`, `.views.common`,
`.views.follow_up`, `.views.moves`, `.views.report_exports`, `patients`.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from diagnosis import monitoring, selectors
from diagnosis.charts import history_charts
from diagnosis.forms import FilmListForm
from diagnosis.models import Job, Radiograph, Study
from diagnosis.services import queue
from diagnosis.services.reading import RENEW_SECONDS, reading_of
from diagnosis.views.common import FEW_FINDINGS, films_context, films_judge, queue_view, system_view
from diagnosis.views.follow_up import alerts_context
from diagnosis.views.moves import films_elsewhere, move_context
from diagnosis.views.report_exports import sees_exports
from patients import access
from patients.access import Action
from patients.audit import audit_list, audit_record
from patients.consent_forms import ConsentForm
from patients.consents import consents_read, permits
from patients.errors import ApplicationError
from patients.keyset import keyset_page
from patients.models import Patient, User
from patients.selectors import patient_read

PAGE_SIZE = 30
#: Of one patient; more than a life of chest films.
STUDIES_SHOWN = 100


@require_safe
def film_list(request: HttpRequest) -> HttpResponse:
    """Films of the user's clinics, newest first, with what happens to each of them now."""
    form = FilmListForm(request.GET, clinics=access.clinics_known(request.user, Action.STUDY_STATUS))
    filters = form.cleaned_data if form.is_valid() else {}
    films = selectors.film_list(user=request.user, filters=filters).select_related("study__created_by")
    before = request.GET.get("before")
    last = access.get_visible(Radiograph.objects, request.user, pk=before) if before else None
    bare = selectors.films_narrowed(Radiograph.objects.all(), user=request.user, filters=filters)
    page, more = keyset_page(films, request.user, size=PAGE_SIZE, bare=bare, after=last)
    signed = selectors.signatures(request.user, [film.study_id for film in page])
    for film in page:
        film.signature = signed.get(film.study_id)
    system = system_view(monitoring.hands_read(queues=True))
    films_judge(page, queue_view(page, system))
    context = {
        "form": form,
        "filtered": any(filters.values()),
        "films": page,
        "system": system,
        "interval": 3 if any(film.status.is_open for film in page) else 20,
        "newest_query": _query(request, before=""),
        "older_query": _query(request, before=str(page[-1].pk)) if more else "",
        "is_newest": "before" not in request.GET,
        "sees_exports": sees_exports(request.user),
        "several_clinics": len({film.clinic_id for film in page}) > 1,
    }
    shown = {film.study.patient for film in page if film.patient_visible}
    audit_list(user=request.user, patients=shown, renewed=bool(request.htmx))
    return render(request, "diagnosis/_film_rows.html" if request.htmx else "diagnosis/film_list.html", context)


def _query(request: HttpRequest, *, before: str) -> str:
    """The list's address with its filters, from another film on."""
    params = request.GET.copy()
    params.pop("before", None)
    if before:
        params["before"] = before
    return params.urlencode()


@require_safe
def study_detail(request: HttpRequest, study_id: UUID) -> HttpResponse:
    """The films of one study and what the model says about each."""
    study = selectors.study_read(user=request.user, study_id=study_id)
    if elsewhere := films_elsewhere(request, study, "study_detail"):
        return elsewhere
    _study_audit(request.user, study)
    context = films_context(request.user, study, study.films)
    context |= {"reading": reading_of(request.user, study), "renew_seconds": RENEW_SECONDS}
    context |= alerts_context(request.user, study)
    context |= move_context(request.user, study, signed=bool(study.signature))
    return render(request, "diagnosis/study_detail.html", context)


@require_safe
def study_status(request: HttpRequest, study_id: UUID) -> HttpResponse:
    """A fragment: the study's films, or the one named by `film`. It asks again by itself while work is open."""
    study = selectors.study_read(user=request.user, study_id=study_id)
    if study.merged_into_id:
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    wanted = request.GET.get("film")
    films = [film for film in study.films if wanted in (None, str(film.pk))]
    if not films:
        raise ApplicationError("not_found")
    context = films_context(request.user, study, films)
    if any(film.prediction for film in films):
        _study_audit(request.user, study)
    elif study.patient_visible:
        audit_list(user=request.user, patients=[study.patient], renewed=True)
    return render(request, "diagnosis/_films.html", context)


def _study_audit(user: User, study: Study) -> None:
    patient = study.patient if study.patient_visible else None
    audit_record(user=user, verb="read", target=study, clinic=study.clinic, patient=patient)


@require_safe
def patient_detail(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    """Who the patient is, their studies, and each finding over time."""
    return patient_page(request, patient_read(user=request.user, patient_id=patient_id, columns=permits()))


def patient_page(request: HttpRequest, patient: Patient, consent_form: ConsentForm | None = None) -> HttpResponse:
    """The page of a patient who was found; with a form of consent that was refused, if there is one."""
    audit_record(user=request.user, verb="read", target=patient, clinic=patient.clinic, patient=patient)
    if consent_form is None and access.can_at(request.user, Action.CONSENT_RECORD, patient.clinic):
        consent_form = ConsentForm(today=patient.clinic.today)
    standings, decisions = consents_read(user=request.user, patient=patient)
    studies = list(selectors.patient_studies_read(request.user, patient)[: STUDIES_SHOWN + 1])
    more = len(studies) > STUDIES_SHOWN
    studies = studies[:STUDIES_SHOWN]
    films_judge(film for study in studies for film in study.films)
    charts = history_charts(selectors.patient_history(studies))
    quiet = [chart for chart in charts if chart.is_quiet] if len(charts) > FEW_FINDINGS else []
    context: dict[str, Any] = {
        "patient": patient,
        "standings": standings,
        "decisions": decisions,
        "consent_form": consent_form,
        "studies": studies,
        "newest_only": STUDIES_SHOWN if more else None,
        "charts": [chart for chart in charts if chart not in quiet],
        "quiet_charts": quiet,
        "may_send": access.can_at(request.user, Action.STUDY_UPLOAD, patient.clinic),
        "may_edit": access.can_at(request.user, Action.PATIENT_EDIT, patient.clinic),
    }
    status = 400 if consent_form is not None and consent_form.errors else 200
    return render(request, "diagnosis/patient_detail.html", context, status=status)


@require_POST
def job_retry(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Staff ask for another try of a failed job."""
    jobs = Job.objects.select_related("radiograph__study__clinic")
    job = access.get_visible(jobs, request.user, pk=job_id)
    queue.job_retry(user=request.user, job=job)
    messages.success(request, "The film is in the queue again.")
    return redirect("study_detail", job.radiograph.study_id)

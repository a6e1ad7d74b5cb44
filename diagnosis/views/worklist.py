"""The reading room's list: what is unread, in which order and why; who reads what; a person's saved views.

May import: Django, `diagnosis.worklist`, `.services.reading`, `.forms`, `.wording`, `patients`.
"""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from uuid import UUID

from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import trigger_client_event

from diagnosis import worklist
from diagnosis.forms import SavedViewForm, WorklistForm
from diagnosis.models import Reading, SavedView, Study
from diagnosis.services import reading as claims
from diagnosis.views.stepping import list_query
from diagnosis.wording import film_status
from patients import access
from patients.access import Action
from patients.audit import audit_list
from patients.errors import ApplicationError
from patients.models import Clinic, Patient

PAGE_SIZE = 30
POLL_SECONDS = 5


@require_safe
def open_studies(request: HttpRequest) -> HttpResponse:
    """Unread studies of the clinics one reads for. A page that looks again is told 304 while nothing has changed."""
    clinics = _clinics(request)
    etag = _etag(request, clinics)
    if request.htmx and request.headers.get("If-None-Match") == etag:
        return HttpResponseNotModified(headers={"ETag": etag})
    form = WorklistForm(request.GET, clinics=clinics, labels=worklist.labels_to_choose())
    filters = form.cleaned_data if form.is_valid() else {}
    rows, more = worklist.worklist_page(
        user=request.user, clinics=clinics, filters=filters, after=_after(request), size=PAGE_SIZE
    )
    _rows_judge(rows)
    context = {
        "form": form,
        "filtered": any(value not in (None, "") for value in filters.values()),
        "rows": rows,
        "counts": worklist.worklist_counts(user=request.user, clinics=clinics),
        "many": worklist.MANY,
        "several_clinics": len(clinics) > 1,
        "etag": etag,
        "poll_seconds": POLL_SECONDS,
        "view_query": list_query(request.GET),
        "next_query": list_query(request.GET, after=str(worklist.Position.of(rows[-1]))) if more else "",
        "is_first": "after" not in request.GET,
    }
    audit_list(user=request.user, patients={row.study.patient for row in rows}, renewed=bool(request.htmx))
    template = "diagnosis/_worklist_rows.html" if request.htmx else "diagnosis/worklist.html"
    if not request.htmx:
        context["saved_views"] = SavedView.objects.filter(user=request.user)
        context["save_form"] = SavedViewForm(initial={"query": context["view_query"]})
    response = render(request, template, context)
    response["ETag"] = etag
    return response


def _clinics(request: HttpRequest) -> list[Clinic]:
    clinics = worklist.clinics_read_for(request.user)
    if not clinics:
        raise ApplicationError("permission_denied")
    return clinics


def _etag(request: HttpRequest, clinics: list[Clinic]) -> str:
    """What the list shows is who asks, for what, the last change of a row, and waiting times to the minute."""
    now = timezone.now().replace(second=0, microsecond=0)
    changed = [(clinic.pk, clinic.changed_at) for clinic in clinics]
    said = (request.user.pk, request.get_full_path(), changed, now)
    return f'"{hashlib.sha256(repr(said).encode()).hexdigest()[:32]}"'


def _after(request: HttpRequest) -> worklist.Position | None:
    text = request.GET.get("after")
    try:
        return worklist.Position.read(text) if text else None
    except ValueError as error:
        raise ApplicationError("not_found") from error


def _rows_judge(rows: list[Reading]) -> None:
    """Give each row what the template says of it: how late it is, and in words why a film has no answer."""
    now = timezone.now()
    for row in rows:
        late = now - row.received_at - timedelta(minutes=row.clinic.max_wait_minutes)
        row.late_seconds = late.total_seconds() if late > timedelta(0) else None
        row.film_status = film_status(row.film) if row.film is not None else None
        row.age = _age(row.study.patient, row.clinic.today)


def _age(patient: Patient, today: date) -> int:
    """In whole years; from a year of birth alone it may be one too many."""
    born = patient.birth_date
    not_yet = born is not None and (today.month, today.day) < (born.month, born.day)
    return today.year - patient.birth_year - not_yet


# --- claims


@require_safe
def reading_claim_bar(request: HttpRequest, study_id: UUID) -> HttpResponse:
    """A fragment on the pages of a study: who reads it. An open page's look is the sign of life that holds a claim."""
    claims.reading_renew(user=request.user, study_id=study_id)
    return _bar(request, study_id)


@require_POST
def reading_claim(request: HttpRequest, study_id: UUID) -> HttpResponse:
    """Read it oneself; `instead_of` names whom one saw reading it, to take over from them."""
    try:
        claims.reading_claim(user=request.user, study_id=study_id, instead_of=request.POST.get("instead_of", ""))
    except ApplicationError as error:
        if error.code not in ("reading_claimed", "reading_closed") or not request.htmx:
            raise
    return _answer(request, study_id)


@require_POST
def reading_release(request: HttpRequest, study_id: UUID) -> HttpResponse:
    """Let somebody else read it."""
    claims.reading_release(user=request.user, study_id=study_id)
    return _answer(request, study_id)


def _answer(request: HttpRequest, study_id: UUID) -> HttpResponse:
    """The bar for the page of the study; the list is told to look again; without JavaScript, back to the list."""
    if not request.htmx:
        return redirect("worklist")
    if request.htmx.target == "claim":
        return _bar(request, study_id)
    return trigger_client_event(HttpResponse(status=204), "worklist-changed")


def _bar(request: HttpRequest, study_id: UUID) -> HttpResponse:
    study = access.get_visible(Study.objects.select_related("clinic"), request.user, pk=study_id)
    access.require_at(request.user, Action.READING_CLAIM, study.clinic)
    context = {"reading": claims.reading_of(request.user, study), "renew_seconds": claims.RENEW_SECONDS}
    return render(request, "diagnosis/_claim.html", context)


# --- saved views


@require_POST
def saved_view_keep(request: HttpRequest) -> HttpResponse:
    """Keep the filters under a name; the same name again replaces them."""
    clinics = _clinics(request)
    form = SavedViewForm(request.POST)
    if not form.is_valid():
        raise ApplicationError("invalid_input", fields=form.errors)
    name, given = form.cleaned_data["name"].strip(), QueryDict(form.cleaned_data["query"])
    if not WorklistForm(given, clinics=clinics, labels=worklist.labels_to_choose()).is_valid():
        raise ApplicationError("invalid_input")
    own, query = SavedView.objects.filter(user=request.user), list_query(given)
    if own.exclude(name=name).count() >= SavedView.AT_MOST:
        messages.error(request, f"There is room for {SavedView.AT_MOST} views. Remove one first.")
    else:
        try:
            with transaction.atomic():
                own.update_or_create(name=name, defaults={"user": request.user, "query": query})
        except IntegrityError:  # the same name from another window, at the same moment
            own.filter(name=name).update(query=query)
        messages.success(request, f"The view “{name}” is kept.")
    return redirect(f"{reverse('worklist')}?{query}")


@require_POST
def saved_view_remove(request: HttpRequest) -> HttpResponse:
    """Forget one of one's own views; what is not there is forgotten already."""
    _clinics(request)
    SavedView.objects.filter(user=request.user, name=request.POST.get("name", "").replace("\0", "")).delete()
    return redirect("worklist")

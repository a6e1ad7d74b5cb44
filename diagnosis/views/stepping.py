"""From one study of the worklist to the next: which comes, and the way there with the list that one came from.

The list's filters travel in the address of every reading page. A page in a browser with scripts stays the same document
from study to study, so films that were fetched ahead are still in its memory.
May import: Django, `diagnosis.worklist`, `.services.reading`, `.forms`, `patients`.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django_htmx.http import HttpResponseClientRedirect, HttpResponseLocation

from diagnosis import worklist
from diagnosis.forms import WorklistForm
from diagnosis.models import Study
from diagnosis.services.reading import reading_claim
from patients.errors import ApplicationError

#: Somebody else may take the study that comes next at the same moment; so many times the one after it is tried.
TRIES = 5


def list_query(given: QueryDict, *, after: str = "") -> str:
    """The list's address with its filters, from another row on."""
    params = QueryDict(mutable=True)
    for name in WorklistForm.base_fields:
        if value := given.get(name):
            params[name] = value
    if after:
        params["after"] = after
    return params.urlencode()


def address_of(request: HttpRequest, page: str, study: Any) -> str:
    """The address of a reading page of this study, with the list that one came from."""
    query = list_query(request.GET)
    return reverse(page, args=[study]) + (f"?{query}" if query else "")


def go(request: HttpRequest, address: str) -> HttpResponse:
    """On to another reading page: in the same document where the browser has scripts."""
    if request.htmx:
        return HttpResponseLocation(address, target="#main", select="#main", swap="outerHTML")
    return redirect(address)


def study_ahead(request: HttpRequest, study: Study) -> Study | None:
    """The study that comes next as things stand."""
    row = worklist.worklist_beside(user=request.user, study=study, **_list(request))
    return row.study if row is not None else None


def study_step(request: HttpRequest, study: Study, *, back: bool) -> HttpResponse:
    """Claim the study that comes next, or before, and open it; where there is none, say so."""
    for _ in range(TRIES):
        row = worklist.worklist_beside(user=request.user, study=study, back=back, **_list(request))
        if row is None:
            break
        try:
            reading_claim(user=request.user, study_id=row.study_id)
        except ApplicationError as error:
            if error.code not in ("reading_claimed", "reading_closed"):
                raise
            continue
        return go(request, address_of(request, "read", row.study_id))
    if back:
        messages.info(request, "No study stands before this one.")
        return go(request, address_of(request, "read", study.pk))
    messages.info(request, "No other study of this list is free.")
    query = list_query(request.GET)
    away = reverse("worklist") + (f"?{query}" if query else "")
    return HttpResponseClientRedirect(away) if request.htmx else redirect(away)


def _list(request: HttpRequest) -> dict[str, Any]:
    clinics = worklist.clinics_read_for(request.user)
    form = WorklistForm(request.GET, clinics=clinics, labels=worklist.labels_to_choose())
    return {"clinics": clinics, "filters": form.cleaned_data if form.is_valid() else {}}

"""Pages that find, register and correct patients. The page of one patient lies in `diagnosis.views`.

May import: Django, `patients` selectors, services, forms and audit. Each page that shows names records the read first.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from patients import access
from patients.access import Action
from patients.audit import audit_list, audit_record
from patients.errors import ApplicationError
from patients.forms import IdentifierForm, PatientForm, PatientNewForm, SearchForm
from patients.models import Patient
from patients.selectors import patient_duplicates, patient_read, patient_search, patients_page
from patients.services import identifier_add, identifier_remove, patient_register, patient_update

PAGE = 50


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def patient_list(request: HttpRequest) -> HttpResponse:
    """The newest patients, or those looked for. A search is posted: names do not belong in addresses and logs."""
    form = SearchForm(request.POST if request.method == "POST" else {}, user=request.user)
    context: dict[str, Any] = {"form": form, "patients": [], "may_register": _may_register(request)}
    if form.is_valid():
        found = patient_search(user=request.user, **form.cleaned_data)
        rows, more = patients_page(found, request.POST.get("after"), user=request.user, size=PAGE)
        context |= {"patients": rows, "after": rows[-1] if more else None}
        context["searching"] = any(form.cleaned_data.values())
        audit_list(user=request.user, patients=context["patients"], renewed=bool(request.htmx))
    template = "patients/_rows.html" if request.htmx else "patients/patient_list.html"
    return render(request, template, context, status=200 if form.is_valid() else 400)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def patient_new(request: HttpRequest) -> HttpResponse:
    """Register a patient. People who may be the same are shown first; sending the form again with them seen
    registers. `next` names the page to come back to, with the new patient's id added."""
    if not _may_register(request):
        raise ApplicationError("permission_denied")
    onward = _next(request)
    form = PatientNewForm(request.POST or None, user=request.user)
    matches = []
    if request.method == "POST" and form.is_valid():
        try:
            matches = _unseen_matches(request, form)
            if not matches:
                patient = patient_register(user=request.user, **form.registration())
                messages.success(request, "The patient is registered.")
                return redirect(f"{onward}?patient={patient.pk}") if onward else redirect("patient_detail", patient.pk)
        except ApplicationError as error:
            form.refuse(error)
    context = {"form": form, "matches": matches, "next": onward}
    return render(request, "patients/patient_new.html", context, status=400 if form.errors else 200)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def patient_edit(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    """Correct what is known about a patient."""
    patient = _editable(request, patient_id)
    initial = {field: getattr(patient, field) for field in PatientForm.base_fields}
    form = PatientForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            patient_update(user=request.user, patient=patient, **form.cleaned_data)
        except ApplicationError as error:
            form.refuse(error)
        else:
            messages.success(request, "Saved.")
            return redirect("patient_detail", patient.pk)
    return _edit_page(request, patient, form, IdentifierForm())


@never_cache
@require_POST
def patient_identifier_add(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    """Another number for a patient."""
    patient = _editable(request, patient_id)
    form = IdentifierForm(request.POST)
    if form.is_valid():
        try:
            identifier_add(user=request.user, patient=patient, **form.cleaned_data)
        except ApplicationError as error:
            form.add_error("value", error.detail)
        else:
            messages.success(request, "The number is added.")
            return redirect("patient_edit", patient_id=patient.pk)
    initial = {field: getattr(patient, field) for field in PatientForm.base_fields}
    return _edit_page(request, patient, PatientForm(initial=initial), form)


@never_cache
@require_POST
def patient_identifier_remove(request: HttpRequest, patient_id: UUID, identifier_id: int) -> HttpResponse:
    """Take a wrong number off a patient."""
    patient = _editable(request, patient_id)
    identifier_remove(user=request.user, patient=patient, identifier_id=identifier_id)
    messages.success(request, "The number is removed.")
    return redirect("patient_edit", patient_id=patient.pk)


def _may_register(request: HttpRequest) -> bool:
    return bool(access.clinic_ids(request.user, Action.PATIENT_CREATE))


def _editable(request: HttpRequest, patient_id: UUID) -> Patient:
    patient = patient_read(user=request.user, patient_id=patient_id)
    access.require_at(request.user, Action.PATIENT_EDIT, patient.clinic)
    return patient


def _edit_page(
    request: HttpRequest, patient: Patient, form: PatientForm, identifier_form: IdentifierForm
) -> HttpResponse:
    audit_record(user=request.user, verb="read", target=patient, clinic=patient.clinic, patient=patient)
    context = {"form": form, "identifier_form": identifier_form, "patient": patient}
    status = 400 if form.errors or identifier_form.errors else 200
    return render(request, "patients/patient_edit.html", context, status=status)


def _unseen_matches(request: HttpRequest, form: PatientNewForm) -> list[Any]:
    """Likely duplicates that the person has not been shown yet."""
    matches = patient_duplicates(
        user=request.user, **{key: value for key, value in form.registration().items() if key not in ("sex", "phone")}
    )
    seen = set(request.POST.getlist("seen"))
    if all(str(match.patient.pk) in seen for match in matches):
        return []
    audit_list(user=request.user, patients=[match.patient for match in matches])
    return matches


def _next(request: HttpRequest) -> str:
    """A path of this site to come back to, or empty."""
    onward = request.POST.get("next") or request.GET.get("next") or ""
    own = onward.startswith("/") and "?" not in onward and "#" not in onward
    return onward if own and url_has_allowed_host_and_scheme(onward, allowed_hosts=None) else ""

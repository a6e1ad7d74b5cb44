"""Pages of the audit: the clinic's entries, and one patient's access report with its CSV and printable copy.

May import: Django, `patients` selectors and audit. Reading the audit is recorded in the audit.
"""

from __future__ import annotations

import csv
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from patients import access
from patients.access import Action
from patients.audit import audit_record
from patients.audit_forms import AuditForm, NumberForm, PeriodForm
from patients.audit_read import (
    act_of,
    audit_search,
    audited_patient,
    clinics_read_by,
    patients_by_number,
    person_of,
    role_of,
)
from patients.errors import ApplicationError
from patients.models import AuditEvent, Patient, Purpose
from patients.text import harmless_cell

PAGE = 50
#: More lines make no page, sheet or paper that a person reads; a shorter period does.
COPY_AT_MOST = 20_000


@never_cache
@require_safe
def audit_list(request: HttpRequest) -> HttpResponse:
    """The clinic's audit, newest first, without patients' names; one's own entries for a radiologist or doctor."""
    clinics = clinics_read_by(request.user)
    form = AuditForm(request.GET, clinics=clinics)
    filters = form.cleaned_data if form.is_valid() else {}
    zone = ZoneInfo(clinics[0].time_zone)
    events = audit_search(user=request.user, filters=filters, zone=zone)
    context = _page(request, events) | {
        "form": form,
        "filtered": any(filters.values()),
        "zone": zone,
        "number_form": NumberForm() if _administers(request) else None,
        "several_clinics": len(clinics) > 1,
    }
    for clinic in clinics:
        audit_record(user=request.user, verb="read_audit", clinic=clinic, purpose=Purpose.OPERATIONS)
    return render(request, "audit/audit_list.html", context, status=200 if form.is_valid() else 400)


@never_cache
@require_POST
def audit_patient_find(request: HttpRequest) -> HttpResponse:
    """From a patient's number to their access report."""
    if not _administers(request):
        raise ApplicationError("permission_denied")
    form = NumberForm(request.POST)
    found = patients_by_number(user=request.user, number=form.cleaned_data["number"]) if form.is_valid() else []
    if len(found) == 1:
        return redirect("access_report", found[0].pk)
    if form.is_valid() and not found:
        form.add_error("number", "No patient of your clinic has this number. It must be whole, as it is written.")
    for patient in found:
        _record(request, patient, "read_audit")
    context = {"number_form": form, "found": found}
    return render(request, "audit/patient_find.html", context, status=200 if found else 400)


@never_cache
@require_safe
def access_report(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    """Who read, listed, changed or took out this patient's data, when, as what, for which purpose."""
    patient, form, events = _report(request, patient_id)
    context = _page(request, events) | _about(request, patient, form)
    _record(request, patient, "read_audit")
    return render(request, "audit/access_report.html", context, status=200 if form.is_valid() else 400)


@never_cache
@require_safe
def access_report_print(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    """The same on paper, all of the period, to be handed to the patient."""
    patient, form, events = _report(request, patient_id)
    context = {"events": _told(events[:COPY_AT_MOST])} | _about(request, patient, form)
    _record(request, patient, "export")
    return render(request, "audit/access_report_print.html", context)


@never_cache
@require_safe
def access_report_csv(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    """The same as a sheet."""
    patient, _, found = _report(request, patient_id)
    events = list(found[:COPY_AT_MOST])
    _record(request, patient, "export")
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="access-report-{str(patient.pk)[:8]}.csv"'
    sheet = csv.writer(response)
    sheet.writerow(["time (UTC)", "person", "role", "clinic", "what", "outcome", "purpose", "reason", "reference"])
    for event in events:
        told = [person_of(event), role_of(event), event.clinic or "", act_of(event), event.outcome]
        told += [event.get_purpose_display(), event.reason, event.request_id]
        sheet.writerow([event.at.isoformat(timespec="seconds"), *(harmless_cell(str(each)) for each in told)])
    return response


def _administers(request: HttpRequest) -> bool:
    return bool(access.clinic_ids(request.user, Action.AUDIT_VIEW))


def _record(request: HttpRequest, patient: Patient, verb: str) -> None:
    purpose = Purpose.PATIENT_REQUEST
    audit_record(user=request.user, verb=verb, target=patient, clinic=patient.clinic, patient=patient, purpose=purpose)


def _report(request: HttpRequest, patient_id: UUID) -> tuple[Patient, PeriodForm, QuerySet[AuditEvent]]:
    patient = audited_patient(user=request.user, patient_id=patient_id)
    form = PeriodForm(request.GET)
    filters = form.cleaned_data if form.is_valid() else {}
    zone = ZoneInfo(patient.clinic.time_zone)
    return patient, form, audit_search(user=request.user, filters=filters | {"patient": patient.pk}, zone=zone)


def _about(request: HttpRequest, patient: Patient, form: PeriodForm) -> dict[str, Any]:
    period = request.GET.copy()
    period.pop("before", None)
    return {
        "patient": patient,
        "form": form,
        "filtered": form.is_valid() and any(form.cleaned_data.values()),
        "zone": ZoneInfo(patient.clinic.time_zone),
        "period": period.urlencode(),
        "now": timezone.now(),
    }


def _page(request: HttpRequest, events: QuerySet[AuditEvent]) -> dict[str, Any]:
    """One keyset page and the addresses of its neighbours."""
    before = request.GET.get("before", "")
    if before:
        if not before.isdecimal() or len(before) > 18:
            raise ApplicationError("invalid_parameter", field="before", allowed="the number of an entry")
        events = events.filter(pk__lt=int(before))
    page = list(events[: PAGE + 1])
    query = request.GET.copy()
    query.pop("before", None)
    newest = query.urlencode()
    query["before"] = str(page[PAGE - 1].pk) if len(page) > PAGE else ""
    older = query.urlencode() if query["before"] else ""
    return {"events": _told(page[:PAGE]), "older_query": older, "newest_query": newest, "is_newest": not before}


def _told(events: Any) -> list[AuditEvent]:
    """Events with the words of the pages."""
    told = list(events)
    for event in told:
        event.person, event.role_words, event.act = person_of(event), role_of(event), act_of(event)
    return told

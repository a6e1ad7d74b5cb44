"""Who changed a patient's record or a study, from what to what: for the clinic administrator, and for a radiologist or
referring doctor what they changed themselves.

May import: Django, `diagnosis.models`, `diagnosis.selectors`, `patients`. Reading is recorded in the audit.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from diagnosis.models import (
    CriticalAlert,
    Discordance,
    FilmExpiry,
    Radiograph,
    Report,
    ReportedFinding,
    Study,
    StudyMove,
    StudyRemoval,
)
from patients import access
from patients.access import Action
from patients.audit import audit_record
from patients.changes import Change, changes_read
from patients.errors import ApplicationError
from patients.models import Clinic, Consent, LegalHold, Patient, PatientIdentifier, Purpose, User


@require_safe
def patient_history(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    """What was changed in a patient's record, numbers and consent."""
    patient = _found(request.user, Patient, patient_id)
    changes = changes_read(
        Patient.pgh_event_model.objects.filter(pgh_obj=patient),
        PatientIdentifier.pgh_event_model.objects.filter(patient=patient),
        Consent.pgh_event_model.objects.filter(patient=patient),
        LegalHold.pgh_event_model.objects.filter(patient=patient),
    )
    studies = Study.objects.visible_to(request.user).filter(patient=patient)
    return _page(request, patient, patient, changes, {"studies": studies})


@require_safe
def study_history(request: HttpRequest, study_id: UUID) -> HttpResponse:
    """What was changed in a study, its films and reports. That a text changed is told, not what it says."""
    study = _found(request.user, Study, study_id)
    changes = changes_read(
        Study.pgh_event_model.objects.filter(pgh_obj=study),
        Radiograph.pgh_event_model.objects.filter(study=study),
        FilmExpiry.pgh_event_model.objects.filter(radiograph__study=study),
        Report.pgh_event_model.objects.filter(study=study),
        ReportedFinding.pgh_event_model.objects.filter(report__study=study),
        CriticalAlert.pgh_event_model.objects.filter(study=study),
        Discordance.pgh_event_model.objects.filter(study=study),
        StudyMove.pgh_event_model.objects.filter(study=study),
        StudyRemoval.pgh_event_model.objects.filter(study=study),
    )
    return _page(request, study, study.patient, changes, {"study": study})


def _found(user: User, model: Any, pk: UUID) -> Any:
    """The row, for who reads its clinic's audit or has entries in it; who may see the row only is told
    `permission_denied`, and for everybody else it does not exist."""
    rows = model.objects.select_related(*(["clinic", "patient"] if model is Study else ["clinic"]))
    row = rows.filter(clinic__in=access.clinic_ids(user, Action.AUDIT_VIEW), pk=pk).first()
    if row is None:
        row = access.get_visible(rows, user, pk=pk)
        if not _has_entries(user, row.clinic):
            raise ApplicationError("permission_denied")
    return row


def _has_entries(user: User, clinic: Clinic) -> bool:
    return access.can_at(user, Action.AUDIT_VIEW_OWN, clinic)


def _page(
    request: HttpRequest, target: Patient | Study, patient: Patient, changes: list[Change], more: dict[str, Any]
) -> HttpResponse:
    whole = access.can_at(request.user, Action.AUDIT_VIEW, target.clinic)
    context = {
        "patient": patient,
        "changes": changes if whole else [change for change in changes if change.user == request.user.pk],
        "whole": whole,
        "zone": ZoneInfo(target.clinic.time_zone),
    }
    purpose = Purpose.OPERATIONS
    audit_record(
        user=request.user, verb="read_audit", target=target, clinic=target.clinic, patient=patient, purpose=purpose
    )
    return render(request, "audit/history.html", context | more)

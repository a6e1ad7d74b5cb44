"""Reads of the audit: who did what, and what a patient may be told about it. No clinical content.

May import: Django, `patients.models`, `patients.access`, `patients.selectors`. Everything goes through `visible_to`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Q, QuerySet

from patients import access
from patients.access import Action
from patients.errors import ApplicationError
from patients.models import AuditEvent, Clinic, Patient, Role, User
from patients.selectors import patient_read

#: What each verb is called in lists and filters.
VERBS = {
    "read": "Looked at",
    "list": "Shown in a list",
    "create": "Registered",
    "update": "Changed",
    "upload": "Sent a film",
    "consent": "Recorded a consent",
    "export_training": "Took out films to train models",
    "expire": "Removed an expired picture",
    "hold": "Held films back from expiry",
    "release_hold": "Ended a legal hold",
    "retry": "Asked for another try",
    "cancel": "Cancelled",
    "export": "Took out a copy",
    "export_reports": "Took out a table of reports",
    "first_impression": "Saved a first impression",
    "decide": "Decided on a finding",
    "preliminary": "Made a report preliminary",
    "sign": "Signed a report",
    "amend": "Began an amendment",
    "second_look": "Took a second look",
    "removal_ask": "Asked for the removal of pictures",
    "removal_removed": "Had pictures removed",
    "removal_refused": "Refused the removal of pictures",
    "removal_withdrawn": "Withdrew a request for removal",
    "move_ask": "Asked to move a study",
    "move_moved": "Moved a study",
    "move_left": "Left a study where it was",
    "alert": "Raised a critical finding",
    "withdraw": "Withdrew a critical finding",
    "escalate": "Escalated a critical finding",
    "acknowledge": "Acknowledged a critical finding",
    "propose": "Proposed a threshold",
    "approve": "Approved a threshold",
    "decline": "Declined a threshold",
    "restore": "Went back to the card's threshold",
    "discard": "Discarded a draft",
    "read_audit": "Read the audit",
    "read_retention": "Looked at what may expire",
    "prepare": "Prepared the film",
    "infer": "Analysed the film",
}
#: The whole sentence, where verb and object alone would not make one.
_ACTS = {
    ("read", "patient"): "Looked at the record",
    ("read", "study"): "Looked at a study",
    ("read", "radiograph"): "Looked at a film",
    ("read", "prediction"): "Looked at the model's map",
    ("read", "report"): "Read a report",
    ("create", "report"): "Began a report",
    ("update", "report"): "Changed a draft of a report",
    ("decide", "report"): "Decided on a finding in a draft",
    ("preliminary", "report"): "Made a report preliminary",
    ("sign", "report"): "Signed a report",
    ("amend", "report"): "Began to amend a report",
    ("alert", "criticalalert"): "Reported a critical finding to the clinic",
    ("withdraw", "criticalalert"): "Withdrew a critical finding",
    ("escalate", "criticalalert"): "Told more people that a critical finding waits",
    ("acknowledge", "criticalalert"): "Acknowledged a critical finding",
    ("removal_ask", "study"): "Asked for the removal of a study's pictures",
    ("removal_removed", "study"): "Had the pictures of a study removed",
    ("removal_refused", "study"): "Refused to remove the pictures of a study",
    ("removal_withdrawn", "study"): "Withdrew the request to remove a study's pictures",
    ("move_ask", "study"): "Said that a study is of another patient",
    ("move_moved", "study"): "Put a study under another patient",
    ("move_left", "study"): "Decided that a study stays under its patient",
    ("second_look", "discordance"): "Took a second look at a finding",
    ("read", "criticalalert"): "Looked at a critical finding",
    ("discard", "report"): "Discarded a draft of a report",
    ("export", "report"): "Took out a copy of a report",
    ("export_reports", "patient"): "Took out signed reports, with those of other patients, as a table",
    ("export_reports", "reportexport"): "Took out signed reports as a table",
    ("export", ""): "Took out a copy of the clinic's numbers",
    ("first_impression", "study"): "Saved a first impression of a study",
    ("propose", "thresholdchange"): "Proposed a threshold of the model",
    ("approve", "thresholdchange"): "Approved a threshold of the model",
    ("decline", "thresholdchange"): "Declined a threshold of the model",
    ("restore", "thresholdchange"): "Went back to the card's threshold of the model",
    ("list", "patient"): "Saw the patient in a list",
    ("create", "patient"): "Registered the patient",
    ("update", "patient"): "Changed the record",
    ("upload", "radiograph"): "Sent a film",
    ("export_training", "patient"): "Took out films and findings, without identity, to train models",
    ("expire", "radiograph"): "Removed the picture of a film that had expired",
    ("hold", "patient"): "Held the films back from expiry",
    ("release_hold", "patient"): "Let the films expire again",
    ("export_training", "clinic"): "Took out a training set, without identity",
    ("consent", "consent"): "Recorded what the patient agrees to",
    ("retry", "job"): "Asked for another try of the analysis",
    ("cancel", "job"): "Cancelled the analysis",
    ("export", "patient"): "Took out a copy of this report",
    ("read_audit", "patient"): "Read who looked at the record",
    ("read_audit", "study"): "Read who changed the study",
    ("read_audit", ""): "Read the clinic's audit",
    ("prepare", "radiograph"): "Prepared the film",
    ("infer", "radiograph"): "Analysed the film",
}
_ROLES = {**dict(Role.choices), access.SYSTEM: "System administrator", "worker": "The system"}


def act_of(event: AuditEvent) -> str:
    """What was done, as a sentence without its subject."""
    known = _ACTS.get((event.verb, event.object_type))
    return known or f"{VERBS.get(event.verb, event.verb.capitalize())} {event.object_type}".strip()


def role_of(event: AuditEvent) -> str:
    """The roles in which it was done, in words."""
    return ", ".join(_ROLES.get(role, role) for role in event.role.split(",") if role)


def person_of(event: AuditEvent) -> str:
    """Who did it: a colleague's name, or the system."""
    return event.user.display_name if event.user else "The system"


def clinics_read_by(user: User) -> QuerySet[Clinic]:
    """Clinics whose audit the user may read, or of which they may read their own entries. `permission_denied` when
    there is none; a system administrator reads the audit, masked, in the administration."""
    whole = Q(pk__in=access.clinic_ids(user, Action.AUDIT_VIEW))
    clinics = Clinic.objects.filter(whole | Q(pk__in=access.clinic_ids(user, Action.AUDIT_VIEW_OWN)))
    if not clinics.exists():
        raise ApplicationError("permission_denied")
    return clinics


def audit_search(*, user: User, filters: Mapping[str, Any], zone: ZoneInfo) -> QuerySet[AuditEvent]:
    """Events the user may read, newest first. Filters: `person` (a User), `verb`, `patient` (an id), `date_from` and
    `date_to` (days of `zone`, both included)."""
    events = AuditEvent.objects.visible_to(user).select_related("user", "clinic").order_by("-id")
    exact = {"user": filters.get("person"), "verb": filters.get("verb"), "patient": filters.get("patient")}
    events = events.filter(**{name: value for name, value in exact.items() if value})
    if day := filters.get("date_from"):
        events = events.filter(at__gte=_midnight(day, zone))
    if day := filters.get("date_to"):
        events = events.filter(at__lt=_midnight(day + timedelta(days=1), zone))
    return events


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)


def audited_patient(*, user: User, patient_id: UUID) -> Patient:
    """The patient whose audit the user may read as a clinic administrator. Whoever may only see the patient is told
    `permission_denied`; for everybody else there is no such patient."""
    of_clinic = Patient.objects.filter(clinic__in=access.clinic_ids(user, Action.AUDIT_VIEW), pk=patient_id)
    patient = of_clinic.select_related("clinic").prefetch_related("identifiers").first()
    if patient is None:
        patient_read(user=user, patient_id=patient_id)
        raise ApplicationError("permission_denied")
    return patient


def patients_by_number(*, user: User, number: str) -> list[Patient]:
    """Patients of the user's clinics, as their administrator, who are known by exactly this number. An administrator
    is told numbers only, not names."""
    if not number:
        return []
    known = Q(identifiers__value__iexact=number) | Q(abha_number=number)
    found = Patient.objects.filter(known, clinic__in=access.clinic_ids(user, Action.AUDIT_VIEW)).distinct()
    return list(found.select_related("clinic").prefetch_related("identifiers")[:20])

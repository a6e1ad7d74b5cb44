"""Signed reports and what the model had said, taken out as a table by a radiologist who says why.

What is in it is what the person may read on the report pages. Small on purpose, and few a day: it serves the clinic's
own work and is no way to copy the site. May import: Django, `diagnosis.models`, `.reports`, `.export_sheet`,
`patients`. Goes to: the page of exports.
"""

from __future__ import annotations

import hashlib
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Exists, OuterRef, Prefetch, QuerySet
from django.utils import timezone

import diagnosis.errors  # noqa: F401  joins the refusals to the table
from diagnosis.export_sheet import sheet_bytes
from diagnosis.models import Radiograph, Report, ReportedFinding, ReportExport, StudyRemoval
from diagnosis.reports import reports_in_force
from patients import access
from patients.access import Action
from patients.audit import REASON_LIMIT, audit_record
from patients.errors import ApplicationError
from patients.locks import lock_wait
from patients.models import Clinic, Purpose, User
from patients.text import clean_text

#: Letters of a reason that says something.
REASON_LEAST = 10
STUDIES_AT_MOST = 500
#: So many exports one person takes out within `DAY`.
EXPORTS_A_DAY = 3
DAY = timedelta(hours=24)


@transaction.atomic
def report_export(
    *, user: User, clinic: Clinic, first: date, last: date, reason: str, label: str = ""
) -> tuple[ReportExport, bytes]:
    """The table of the reports in force that were signed on these days of the clinic's clock, or of their lines about
    one finding, with the row that remembers it.

    The audit of the clinic and of each patient in it is written first, in this transaction: without it nothing is
    handed out. Raises `permission_denied`, `export_reason_missing`, `invalid_text`, `export_limit`, `export_empty`,
    `export_too_many`.
    """
    access.require_at(user, Action.EXPORT_REASONED, clinic)
    reason = clean_text(reason, field="reason", limit=REASON_LIMIT)
    if len(reason) < REASON_LEAST:
        raise ApplicationError("export_reason_missing", least=REASON_LEAST)
    lock_wait(f"report export {user.pk}")
    _require_left(user, clinic)
    reports = _reports(user, clinic, first, last, label)
    count = reports.count()
    if not count:
        raise ApplicationError("export_empty")
    if count > STUDIES_AT_MOST:
        raise ApplicationError("export_too_many", count=count, limit=STUDIES_AT_MOST)
    rows = list(_whole(user, reports, label))
    content = sheet_bytes(rows, ZoneInfo(clinic.time_zone))
    export = ReportExport.objects.create(
        user=user, clinic=clinic, reason=reason, first=first, last=last, label=label, studies=len(rows)
    )
    _audit(export, rows, content)
    return export, content


def exports_left(user: User) -> int:
    """How many this person may still take out now."""
    return max(0, EXPORTS_A_DAY - _lately(user).count())


def _lately(user: User) -> QuerySet[ReportExport]:
    return ReportExport.objects.filter(user=user, at__gt=timezone.now() - DAY)


def _require_left(user: User, clinic: Clinic) -> None:
    lately = list(_lately(user)[:EXPORTS_A_DAY])
    if len(lately) == EXPORTS_A_DAY:
        again = (lately[-1].at + DAY).astimezone(ZoneInfo(clinic.time_zone))
        raise ApplicationError("export_limit", limit=EXPORTS_A_DAY, again=f"{again:%-d %B, %H:%M}")


def _reports(user: User, clinic: Clinic, first: date, last: date, label: str) -> QuerySet[Report]:
    """Reports in force of these days, the first signed first; without studies whose pictures were removed as not
    belonging here."""
    zone = ZoneInfo(clinic.time_zone)
    begin, end = (datetime.combine(day, time(), zone) for day in (first, last + timedelta(days=1)))
    removed = StudyRemoval.objects.filter(outcome=StudyRemoval.Outcome.REMOVED).order_by().values("study")
    reports = reports_in_force(user).filter(study__clinic=clinic, signed_at__gte=begin, signed_at__lt=end)
    if label:
        reports = reports.filter(Exists(_decisions(user, label).filter(report=OuterRef("pk")).order_by()))
    return reports.exclude(study__in=removed).order_by("signed_at", "id")


def _whole(user: User, reports: QuerySet[Report], label: str) -> QuerySet[Report]:
    """With everything that the table says: five queries."""
    said = ("finding__prediction__model_version", "finding__prediction__radiograph")
    return reports.select_related("study__patient").prefetch_related(
        "study__patient__identifiers",
        Prefetch("study__radiographs", Radiograph.objects.visible_to(user)),
        Prefetch("decisions", _decisions(user, label).select_related(*said)),
    )


def _decisions(user: User, label: str) -> QuerySet[ReportedFinding]:
    decisions = ReportedFinding.objects.visible_to(user)
    return decisions.filter(label=label) if label else decisions


def _audit(export: ReportExport, reports: list[Any], content: bytes) -> None:
    """One event of the clinic with the file's hash, one of each patient for their access report."""
    patients = {report.study.patient: None for report in reports}
    what = {
        "studies": ["", str(export.studies)],
        "patients": ["", str(len(patients))],
        "sha256": ["", hashlib.sha256(content).hexdigest()],
    }
    told: dict[str, Any] = {"user": export.user, "verb": "export_reports", "clinic": export.clinic}
    told |= {"purpose": Purpose.OPERATIONS, "reason": export.reason}
    audit_record(target=export, changes=what, **told)
    for patient in patients:
        audit_record(target=patient, patient=patient, changes={"export": ["", str(export.pk)]}, **told)

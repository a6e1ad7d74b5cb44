"""A clinic's work in figures: films and reports per day, turnaround, what waits, what was rejected, agreement, drift.

Counts and times only, nothing of a patient; grouped in the database, one query each, behind both walls. Days are those
of each clinic's own clock. May import: Django, `diagnosis.models`, `.selectors`, `.agreement`, `patients.access`,
Keras-free modules of `mlcore`. Goes to: views.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import Q, QuerySet

import diagnosis.errors  # noqa: F401  joins the codes of films to the table
from diagnosis.agreement import Agreement, Figure, agreements, decisions_signed
from diagnosis.models import Distribution, ModelVersion, ReportedFinding
from diagnosis.selectors import label_title
from mlcore.contracts import IMAGE_CODES
from mlcore.drift import Shift
from patients import access
from patients.access import Action
from patients.errors import CODES
from patients.models import Clinic, User

#: What intake refuses about a film, as the audit knows it; refusals of the request (a form, a role) are not of films.
REFUSED = (
    *IMAGE_CODES,
    *("file_too_large", "checksum_mismatch", "patient_mismatch", "image_under_other_patient"),
    *("dicom_instance_conflict", "accession_taken"),
)
#: What of the films is watched for a shift.
INPUTS = {
    "view": "Projection",
    "format": "File format",
    "quality": "Judgement of the quality check",
    "age": "Age",
    "score": "Quality score",
}
#: Upper ends of the turnaround's classes, in minutes; the last class has none.
CLASSES = (15, 30, 60, 2 * 60, 4 * 60, 8 * 60, 24 * 60, 48 * 60)


def clinics_counted(user: User) -> list[Clinic]:
    """The clinics whose numbers this person may see: one query."""
    return list(Clinic.objects.filter(id__in=access.clinic_ids(user, Action.NUMBERS_VIEW)).order_by("name"))


def readers_of(clinics: Sequence[Clinic]) -> QuerySet[User]:
    """Whoever reads or ever read for one of the clinics."""
    held = {"memberships__clinic__in": clinics, "memberships__role__in": access.MATRIX[Action.REPORT_SIGN]}
    return User.objects.filter(**held).distinct().order_by("first_name", "last_name", "username")


@dataclass(frozen=True, slots=True)
class Scope:
    """Of what the figures are: clinics that the person may see, from the first to the last day (both included), and of
    reports those that `reader` signed, or everybody's."""

    clinics: Sequence[Clinic]
    first: date
    last: date
    reader: User | None = None

    def bounds(self, clinic: Clinic) -> tuple[datetime, datetime]:
        """The period by the clinic's clock: from a moment until before another."""
        midnight = time(tzinfo=ZoneInfo(clinic.time_zone))
        return datetime.combine(self.first, midnight), datetime.combine(self.last + timedelta(days=1), midnight)

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    def values(self) -> dict[str, Any]:
        """For `_SCOPE`."""
        bounds = [self.bounds(clinic) for clinic in self.clinics]
        return {
            "clinics": [clinic.pk for clinic in self.clinics],
            "begins": [begin for begin, _ in bounds],
            "ends": [end for _, end in bounds],
            "zones": [clinic.time_zone for clinic in self.clinics],
            "limits": [clinic.max_wait_minutes for clinic in self.clinics],
            "reader": self.reader.pk if self.reader else None,
        }


_SCOPE = """
WITH scope AS MATERIALIZED (
    SELECT * FROM unnest(%(clinics)s::uuid[], %(begins)s::timestamptz[], %(ends)s::timestamptz[], %(zones)s::text[],
                         %(limits)s::int[]) AS c (clinic, begins, ends, zone, minutes))
"""
#: First reports of the clinics' studies; an amendment is no second reading.
_REPORTS = """
  FROM scope c JOIN diagnosis_study s ON s.clinic_id = c.clinic JOIN diagnosis_report d ON d.study_id = s.id
 WHERE d.supersedes_id IS NULL
"""
_SIGNED = f"""{_REPORTS} AND d.status = 'final' AND d.signed_at >= c.begins AND d.signed_at < c.ends
   AND (%(reader)s::bigint IS NULL OR d.signed_by_id = %(reader)s)
   AND d.signed_at >= (SELECT min(begins) FROM scope) AND d.signed_at < (SELECT max(ends) FROM scope)
"""  # noqa: S608
_PRELIMINARY = f"""{_REPORTS} AND d.status IN ('preliminary', 'final')
   AND d.preliminary_at >= c.begins AND d.preliminary_at < c.ends
   AND (%(reader)s::bigint IS NULL OR coalesce(d.signed_by_id, d.author_id) = %(reader)s)
   AND d.preliminary_at >= (SELECT min(begins) FROM scope) AND d.preliminary_at < (SELECT max(ends) FROM scope)
"""  # noqa: S608


def _rows(sql: str, scope: Scope, **values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(_SCOPE + sql, scope.values() | values)
        return list(cursor.fetchall())


# --- per day


@dataclass(frozen=True, slots=True)
class Day:
    """Films received at the clinics, and first reports signed (by the reader), on one day."""

    day: date
    films: int
    signed: int


_DAYS = f"""
SELECT day, sum(films)::int, sum(signed)::int FROM (
    SELECT (r.created_at AT TIME ZONE c.zone)::date, count(*), 0
      FROM scope c JOIN diagnosis_radiograph r ON r.clinic_id = c.clinic
     WHERE r.created_at >= c.begins AND r.created_at < c.ends GROUP BY 1
    UNION ALL SELECT (d.signed_at AT TIME ZONE c.zone)::date, 0, count(*) {_SIGNED} GROUP BY 1
) AS parts (day, films, signed) GROUP BY day
"""  # noqa: S608


def days_read(scope: Scope) -> list[Day]:
    """Every day of the period, those without anything as well."""
    found = {day: Day(day, films, signed) for day, films, signed in _rows(_DAYS, scope)}
    days = (scope.first + timedelta(days=number) for number in range(scope.days))
    return [found.get(day) or Day(day, 0, 0) for day in days]


# --- turnaround


@dataclass(frozen=True, slots=True)
class Turnaround:
    """From the arrival of the study's first film to its preliminary or final report, of what was reported in the
    period: seconds; `late` took longer than the clinic's maximum wait; `classes` counts by `CLASSES`."""

    n: int = 0
    median: float | None = None
    p90: float | None = None
    late: int = 0
    classes: tuple[int, ...] = (0,) * (len(CLASSES) + 1)

    @property
    def late_share(self) -> Figure:
        return Figure.share(self.late, self.n)


_CLASSED = ", ".join(f"count(*) FILTER (WHERE class = {number})" for number in range(len(CLASSES) + 1))
_TURNAROUND = f"""
SELECT kind, count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds),
       percentile_cont(0.9) WITHIN GROUP (ORDER BY seconds), count(*) FILTER (WHERE seconds > minutes * 60), {_CLASSED}
  FROM (SELECT kind, minutes, seconds, width_bucket(seconds, %(edges)s::float[]) AS class FROM (
        SELECT 'final', c.minutes, extract(epoch FROM d.signed_at - s.created_at)::float {_SIGNED}
        UNION ALL
        SELECT 'preliminary', c.minutes, extract(epoch FROM d.preliminary_at - s.created_at)::float {_PRELIMINARY}
       ) AS taken (kind, minutes, seconds)) AS classed
 GROUP BY kind
"""  # noqa: S608


def turnaround_read(scope: Scope) -> dict[str, Turnaround]:
    """Of `preliminary` and `final` reports."""
    edges = [60.0 * minutes for minutes in CLASSES]
    found = {
        kind: Turnaround(n, median, p90, late, tuple(classes))
        for kind, n, median, p90, late, *classes in _rows(_TURNAROUND, scope, edges=edges)
    }
    return {kind: found.get(kind, Turnaround()) for kind in ("preliminary", "final")}


@dataclass(frozen=True, slots=True)
class Waiting:
    """Unread studies now, whatever the period: how many, since when the oldest, and how many beyond the maximum."""

    unread: int
    oldest: datetime | None
    late: int

    @property
    def late_share(self) -> Figure:
        return Figure.share(self.late, self.unread)


_WAITING = """
SELECT count(*), min(r.received_at), count(*) FILTER (WHERE r.received_at < now() - c.minutes * interval '1 minute')
  FROM scope c JOIN diagnosis_reading r ON r.clinic_id = c.clinic AND r.closed_at IS NULL
"""


def waiting_read(scope: Scope) -> Waiting:
    return Waiting(*_rows(_WAITING, scope)[0])


# --- rejected


@dataclass(frozen=True, slots=True)
class Rejected:
    """Films that could not be used, of one reason: refused as they were `sent`, or found `unusable` when looked at."""

    code: str
    sent: int
    unusable: int

    @property
    def title(self) -> str:
        return CODES[self.code].title if self.code in CODES else self.code

    @property
    def n(self) -> int:
        return self.sent + self.unusable


_REJECTED = """
SELECT code, sum(sent)::int, sum(unusable)::int FROM (
    SELECT r.code, 0, count(*) FROM scope c JOIN diagnosis_radiograph r ON r.clinic_id = c.clinic
     WHERE r.state = 'rejected' AND r.created_at >= c.begins AND r.created_at < c.ends GROUP BY 1
    UNION ALL
    SELECT a.outcome, count(*), 0 FROM scope c JOIN patients_auditevent a ON a.clinic_id = c.clinic
     WHERE a.verb = 'upload' AND a.outcome = ANY (%(codes)s) AND a.at >= c.begins AND a.at < c.ends GROUP BY 1
) AS parts (code, sent, unusable) GROUP BY code ORDER BY sum(sent) + sum(unusable) DESC, code
"""


def rejected_read(scope: Scope) -> list[Rejected]:
    """The most frequent reason first."""
    return [Rejected(*row) for row in _rows(_REJECTED, scope, codes=list(REFUSED))]


# --- agreement


def agreement_read(scope: Scope) -> list[tuple[ModelVersion, list[Agreement]]]:
    """By model version that was shown, the newest first, then by label and way of reading: two queries."""
    found = agreements(_decisions(scope))
    versions = ModelVersion.objects.in_bulk({each.model_version for each in found})
    newest_first = sorted(versions.values(), key=lambda version: version.created_at, reverse=True)
    return [(version, [each for each in found if each.model_version == version.pk]) for version in newest_first]


def _decisions(scope: Scope) -> QuerySet[ReportedFinding, dict[str, Any]]:
    period = Q(pk__in=[])
    for begin, end in {scope.bounds(clinic) for clinic in scope.clinics}:
        held = [clinic for clinic in scope.clinics if scope.bounds(clinic) == (begin, end)]
        period |= Q(report__study__clinic__in=held, report__signed_at__gte=begin, report__signed_at__lt=end)
    decisions = decisions_signed(scope.clinics).filter(period)
    return decisions.filter(report__signed_by=scope.reader) if scope.reader else decisions


# --- drift


@dataclass(frozen=True, slots=True)
class Drift:
    """One quantity of one clinic's films or answers under the active model: how it shifted, and what it looked like."""

    clinic: Clinic
    version: ModelVersion
    title: str
    is_output: bool
    shifts: dict[int, Shift]
    bins: Sequence[tuple[str, float, float]]  # words, share of the reference, share of the last thirty days
    since: datetime | None
    gathered: int | None  # films of a reference that still grows

    @property
    def changed(self) -> list[tuple[str, float, float]]:
        """Up to three bins that changed most, where the shift is beyond chance."""
        if not any(shift.band in ("some", "much") for shift in self.shifts.values()):
            return []
        return sorted(self.bins, key=lambda each: -abs(each[2] - each[1]))[:3]


def drift_read(user: User, scope: Scope) -> list[Drift]:
    """Of the active version, alarms first: two queries. It looks at the last days, whatever the period."""
    rows = (
        Distribution.objects.visible_to(user)
        .filter(clinic__in=scope.clinics, model_version__status=ModelVersion.Status.ACTIVE)
        .select_related("clinic")
        .prefetch_related("model_version")
    )
    found = [_drift(row) for row in rows]
    return sorted(found, key=lambda each: (each.since is None, each.clinic.name, each.is_output, each.title))


def _drift(row: Distribution) -> Drift:
    label = row.quantity.removeprefix("finding:")
    title = label_title(row.model_version, label) if row.is_output else INPUTS.get(row.quantity, row.quantity)
    first, late = sum(row.reference), sum(row.last_30)
    return Drift(
        clinic=row.clinic,
        version=row.model_version,
        title=title,
        is_output=row.is_output,
        shifts=row.shifts,
        bins=[
            (words, before / first if first else 0.0, after / late if late else 0.0)
            for words, before, after in zip(_bin_words(row), row.reference, row.last_30, strict=True)
        ],
        since=row.alarm_since,
        gathered=None if row.reference_until else first,
    )


def _bin_words(row: Distribution) -> list[str]:
    if not row.edges:
        return row.bins
    ends = [f"{edge:.2f}" for edge in row.edges]
    return [f"below {ends[0]}", *(f"{low} to {high}" for low, high in pairwise(ends)), f"{ends[-1]} and more"]

"""How long films are kept: which may go by the clinic's rule, and their removal.

What goes is the picture: original, copies, model inputs and maps. Rows, results, reports and the audit stay, and
`FilmExpiry` says when and by which rule. First the row, then the files: a removal that was cut off is finished by the
next one. May import: Django, `diagnosis.models`, `.storage`, `patients`. `manage.py retention` and a page ask here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from diagnosis import storage
from diagnosis.models import FilmExpiry, Job, Radiograph, Report
from diagnosis.querysets import SIGNED
from patients import access
from patients.access import Action
from patients.audit import audit_record
from patients.errors import ApplicationError
from patients.locks import lock_wait
from patients.models import Clinic, DataPolicy, LegalHold, Patient, User
from patients.text import required_text

#: Before this age a patient is a child, whose films are kept until the clinic's years after it.
OF_AGE = 18
KEPT_FOR_EVER = "kept for ever"
#: What keeps a film back whose time is over.
UNSIGNED, WRITTEN = "no signed report", "a report is being written"


@dataclass(slots=True)
class Due:
    """What may go at one clinic, and how many films would but are kept back, by reason."""

    clinic: Clinic
    rule: str
    films: list[Radiograph] = field(default_factory=list)
    kept_back: Counter[str] = field(default_factory=Counter)
    size: int = 0

    @property
    def oldest(self) -> date | None:
        """The day on which the oldest of them was taken."""
        return min((film.taken.date() for film in self.films), default=None)  # type: ignore[attr-defined]


def rule_of(clinic: Clinic) -> str:
    """The clinic's rule in words."""
    years = _keep_years(clinic)
    if years is None:
        return KEPT_FOR_EVER
    return f"kept {years} year{'s' * (years != 1)}, of children {years} after the age of {OF_AGE}"


def due_read(clinic: Clinic, *, today: date | None = None) -> Due:
    """The films of the clinic whose time is over today, oldest first. Kept back are films of patients under legal hold,
    films with work open on them, and films of studies without a signed report or with a draft."""
    due = Due(clinic, rule_of(clinic))
    years = _keep_years(clinic)
    if years is None:
        return due
    today = today or clinic.today
    for film in _films_older(clinic, years, today):
        if _keep_until(film, years) > today:
            continue
        if reason := _kept_back(film):
            due.kept_back[reason] += 1
        else:
            due.films.append(film)
            due.size += storage.film_size(film.sha256)
    return due


def films_expire(due: Due) -> int:
    """Take away the pictures of these films, each in a transaction of its own after everything was asked once more; how
    many went. Also finishes what an earlier removal had begun."""
    gone = sum(_film_expire(film.pk, due) for film in due.films)
    for film in Radiograph.objects.filter(clinic=due.clinic, expiry__isnull=False).iterator():
        if storage.film_size(film.sha256):
            files_remove(film.sha256)
    return gone


@transaction.atomic
def legal_hold_record(*, user: User, patient: Patient, holds: bool, reason: str) -> LegalHold:
    """Hold all films of a patient back from expiry, or let them expire again. Nothing earlier is changed.

    Raises `permission_denied`, `invalid_input` (no reason), `invalid_text`.
    """
    access.require_at(user, Action.LEGAL_HOLD, patient.clinic)
    reason = required_text(reason, field="reason", limit=500)
    Patient.objects.select_for_update(no_key=True).filter(pk=patient.pk).first()
    hold = LegalHold.objects.create(
        patient=patient, clinic=patient.clinic, holds=holds, reason=reason, recorded_by=user
    )
    verb = "hold" if holds else "release_hold"
    audit_record(user=user, verb=verb, target=patient, clinic=patient.clinic, patient=patient, reason=reason)
    return hold


def holds_count(clinic: Clinic) -> int:
    """How many patients of the clinic are under legal hold."""
    newest = LegalHold.objects.filter(clinic=clinic).order_by("patient_id", "-recorded_at").distinct("patient_id")
    return sum(hold.holds for hold in newest)


def expired_refuse(film: Radiograph) -> None:
    """Raises `film_expired` where the film's picture is no longer kept."""
    expiry = FilmExpiry.objects.filter(radiograph=film.pk).first()
    if expiry is not None:
        raise ApplicationError("film_expired", date=f"{expiry.expired_at:%d %B %Y}", rule=expiry.rule)


# --- which


def _keep_years(clinic: Clinic) -> int | None:
    return DataPolicy.objects.filter(clinic=clinic).values_list("keep_years", flat=True).first()


def _films_older(clinic: Clinic, years: int, today: date, **only: Any) -> Iterator[Any]:
    """Films of the clinic taken at least so many years ago, as `films_judged`."""
    zone = ZoneInfo(clinic.time_zone)
    midnight = datetime.combine(_years_after(today, -years), datetime.max.time(), tzinfo=zone)
    return films_judged(clinic, **only).filter(taken__lte=midnight).iterator()


def films_judged(clinic: Clinic, **only: Any) -> QuerySet[Any]:
    """Films of the clinic whose picture is there, oldest first, each with `taken` and what may keep it back."""
    signed = Report.objects.filter(study=OuterRef("study"), status__in=SIGNED)
    drafts = Report.objects.filter(study=OuterRef("study")).exclude(status__in=SIGNED)
    work = Job.objects.filter(radiograph=OuterRef("pk"), state__in=[Job.State.QUEUED, Job.State.RUNNING])
    hold = LegalHold.objects.filter(patient=OuterRef("study__patient")).order_by("-recorded_at").values("holds")[:1]
    films = Radiograph.objects.filter(clinic=clinic, expiry__isnull=True, **only).select_related("study__patient")
    return films.annotate(
        taken=Coalesce("study__acquired_at", "created_at"),
        is_signed=Exists(signed),
        is_drafted=Exists(drafts),
        is_open=Exists(work),
        is_held=Coalesce(Subquery(hold), False),
    ).order_by("taken", "id")


def kept_before_its_time(film: Any, clinic: Clinic) -> str:
    """Why a film (of `films_judged`) may not go though its clinic wants it to; empty where it may. What a signed report
    was read from is kept for as long as the clinic's rule says."""
    reason = _kept_back(film)
    if reason == UNSIGNED:
        return WRITTEN if film.is_drafted else ""
    years = _keep_years(clinic)
    is_due = years is not None and _keep_until(film, years) <= clinic.today
    return reason or ("" if is_due else f"its report is signed, and films are {rule_of(clinic)}")


def _keep_until(film: Any, years: int) -> date:
    """The first day on which the picture may go. Of a patient known by the year of birth the last of December is meant:
    nothing goes too early."""
    patient = film.study.patient
    born = patient.birth_date or date(patient.birth_year, 12, 31)
    of_age = _years_after(born, OF_AGE)
    return _years_after(max(film.taken.date(), of_age), years)


def _years_after(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:  # the 29th of February
        return day.replace(year=day.year + years, day=28)


def _kept_back(film: Any) -> str:
    if film.is_held:
        return "legal hold"
    if film.is_open:
        return "work is open"
    if not film.is_signed:
        return UNSIGNED
    return WRITTEN if film.is_drafted else ""


# --- removal


def _film_expire(film_id: Any, due: Due) -> bool:
    """False where something keeps the film back by now."""
    years = _keep_years(due.clinic)
    with transaction.atomic():
        found = Radiograph.objects.select_for_update(of=("self",)).filter(pk=film_id, expiry__isnull=True).first()
        if found is None or years is None:
            return False
        patient = Patient.objects.select_for_update(no_key=True).get(pk=found.study.patient_id)
        current = next(_films_older(due.clinic, years, due.clinic.today, pk=film_id), None)
        if current is None or _keep_until(current, years) > due.clinic.today or _kept_back(current):
            return False
        film_close(found, rule=rule_of(due.clinic), clinic=due.clinic, patient=patient)
    files_remove(found.sha256)
    return True


def film_close(film: Radiograph, *, rule: str, clinic: Clinic, patient: Patient, user: User | None = None) -> None:
    """Write down, in the caller's transaction, that the picture goes; `files_remove` follows the commit."""
    FilmExpiry.objects.create(radiograph=film, rule=rule, size=storage.film_size(film.sha256))
    Radiograph.objects.filter(pk=film.pk).update(display_key="", reading_key="")
    changes = {"picture": [film.sha256, ""], "rule": ["", rule]}
    audit_record(user=user, verb="expire", target=film, clinic=clinic, patient=patient, changes=changes)


@transaction.atomic
def files_remove(sha256: str) -> None:
    """Unless a film of another study or clinic has the same bytes. The intake of such a film waits meanwhile."""
    lock_wait(f"bytes {sha256}")
    if not Radiograph.objects.filter(sha256=sha256, expiry__isnull=True).exists():
        storage.film_remove(sha256)

"""The worklist's rows: opened by the intake, placed by the infer stage, claimed and released by who reads.

Each is written in the transaction of what caused it; the signature closes the row by a trigger in the database. May
import: Django, `diagnosis.models`, `diagnosis.triage`, `patients`. Goes to: `intake`, `infer`, views and API.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from datetime import timedelta
from functools import lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Avg, Exists, F, OuterRef
from django.db.models.functions import Now
from django.utils import timezone

import diagnosis.errors  # noqa: F401  joins the refusals to the table
from diagnosis import triage
from diagnosis.models import ModelVersion, Prediction, Radiograph, Reading, Study
from diagnosis.querysets import with_version
from patients import access
from patients.access import Action
from patients.audit import audit_record
from patients.errors import ApplicationError
from patients.models import Clinic, User

#: A claim without a sign of life ends after this; an open page renews it every `RENEW_SECONDS`.
CLAIM_LASTS = timedelta(minutes=10)
RENEW_SECONDS = 120

#: What `_place` decides; the claim is not its to change.
_PLACE = [
    "received_at",
    "closed_at",
    "stands_at",
    "emergency",
    "urgency",
    "critical",
    "answered",
    "finding",
    "labels",
    "placed_by",
]
_NO_CLAIM = {"claimed_by": None, "claimed_at": None, "claimed_until": None}


# --- place


def reading_open(film: Radiograph, *, first: bool) -> None:
    """A film arrived, in the caller's transaction: its study is unread, and stands where one without an answer stands.
    `first` says that the study came with it, and so has no other.

    A study that was read already is open again, from now on: a film that nobody has read came to it.
    """
    study = film.study
    if first:
        reading = Reading(study=study, clinic=study.clinic, received_at=film.created_at)
        _stand(reading, study, [], answered=False)
        reading.save(force_insert=True)
        return
    fresh = {"clinic": study.clinic, "received_at": film.created_at, "stands_at": film.created_at, "urgency": 0.0}
    reading, created = Reading.objects.select_for_update().get_or_create(study=study, defaults=fresh)
    if not created and reading.closed_at is not None:
        reading.closed_at, reading.received_at = None, film.created_at
    _place([reading])


def readings_place(films: Collection[UUID]) -> None:
    """Films have an answer, in the caller's transaction: their studies move to the place they now deserve.

    By the films, for since the work on them began they may have been put to other studies. Several rows are always
    locked in the same order.
    """
    studies = Radiograph.objects.filter(pk__in=films).order_by().values("study")
    rows = Reading.objects.select_for_update(of=("self",)).filter(study__in=studies, closed_at__isnull=True)
    _place(list(rows.order_by("pk")))


def reading_close(study: Study) -> None:
    """Nobody has to read the study any more, though no report of it was signed."""
    Reading.objects.filter(study=study, closed_at=None).update(closed_at=timezone.now(), **_NO_CLAIM)


def readings_silence(*, at_most: int = 100) -> None:
    """Where a clinic began to have its films read first, open studies that stood by the model's answer lose place and
    reason. Called by the sweeper; one query that finds nothing."""
    telling = Reading.objects.select_for_update(skip_locked=True, of=("self",)).open()
    _place(list(telling.filter(clinic__read_first=True, finding__isnull=False)[:at_most]))


def readings_replace(*, at_most: int = 100) -> None:
    """After another version began to speak, or was gone back to: open studies that it has answered before take the
    place that its answers give them, as the pages show them. Called by the sweeper; two queries that find nothing."""
    active = ModelVersion.objects.filter(status=ModelVersion.Status.ACTIVE).first()
    if active is None:
        return
    answers = Prediction.objects.filter(radiograph__study=OuterRef("study"), model_version=active, shadow=False)
    behind = Reading.objects.select_for_update(skip_locked=True, of=("self",)).open()
    _place(list(behind.exclude(placed_by=active).filter(Exists(answers))[:at_most]))


def _place(readings: Sequence[Reading]) -> None:
    """Of locked rows. Two films answered at once come here one after the other, and the second sees both answers."""
    if not readings:
        return
    # Looked up now: what is joined to a row that waited for its lock is as it was before.
    studies = Study.objects.select_related("clinic").in_bulk([reading.study_id for reading in readings])
    by_film: dict[UUID, dict[UUID, list[Prediction]]] = {study_id: {} for study_id in studies}
    study_of = dict(Radiograph.objects.filter(study__in=studies).values_list("pk", "study"))
    for film, study_id in study_of.items():
        by_film[study_id][film] = []
    predictions = with_version(Prediction.objects.filter(radiograph__in=study_of, shadow=False))
    for prediction in predictions.prefetch_related("findings").order_by("-created_at", "-id"):
        by_film[study_of[prediction.radiograph_id]][prediction.radiograph_id].append(prediction)
    for reading in readings:
        shown = [triage.foremost(found) for found in by_film[reading.study_id].values()]
        answers = [prediction for prediction in shown if prediction is not None]
        answered = len(answers) == len(shown)
        _stand(reading, studies[reading.study_id], answers, answered=answered)
    # All are there already: this is the one statement by which Django changes many rows, each in its own way.
    Reading.objects.bulk_create(readings, update_conflicts=True, unique_fields=["id"], update_fields=_PLACE)


def _stand(reading: Reading, study: Study, answers: list[Prediction], *, answered: bool) -> None:
    speaking = (each.model_version for each in answers if each.model_version.status == ModelVersion.Status.ACTIVE)
    reading.placed_by = next(speaking, None)
    # Where films are read first, neither the place nor its reason may give the model's answer away.
    heard = [] if study.clinic.read_first else answers
    urgency = triage.urgency_of(study.urgency, heard, answered=answered)
    reading.urgency, reading.emergency, reading.critical = urgency.value, urgency.emergency, urgency.critical
    reading.finding, reading.labels, reading.answered = urgency.finding, list(urgency.labels), urgency.answered
    most = _head_start(study.clinic) if urgency.value else timedelta(0)
    reading.stands_at = triage.stands_at(reading.received_at, urgency.value, most)


def _head_start(clinic: Clinic) -> timedelta:
    return triage.head_start_at_most(_waits(clinic.pk, _minute()), timedelta(minutes=clinic.max_wait_minutes))


@lru_cache(maxsize=1024)
def _waits(clinic_id: UUID, minute: int) -> timedelta | None:
    """What the latest studies that were read waited on average: it changes slowly, and a process asks once a minute."""
    read = Reading.objects.filter(clinic=clinic_id, closed_at__isnull=False, study__merged_into=None)
    closed = read.order_by("-closed_at")[: triage.LATELY]
    waits: timedelta | None = closed.annotate(wait=F("closed_at") - F("received_at")).aggregate(mean=Avg("wait"))[
        "mean"
    ]
    return waits


def _minute() -> int:
    return int(time.monotonic() // 60)


# --- claims: by the database's clock, one after the other on the row


@transaction.atomic
def reading_claim(*, user: User, study_id: UUID, instead_of: str = "") -> Reading:
    """The study is the user's to read for `CLAIM_LASTS`; claimed again, for that long from now.

    Raises `not_found`, `reading_closed` where it has been read, and `reading_claimed` where somebody else reads it,
    unless `instead_of` is that person's username: taking over is knowing from whom.
    """
    reading = _locked(user, study_id)
    if reading.closed_at is not None:
        raise ApplicationError("reading_closed")
    holder = reading.claimed_by if reading.is_claimed else None
    if holder is not None and holder != user and holder.get_username() != instead_of:
        zone = ZoneInfo(Clinic.objects.get(pk=reading.clinic_id).time_zone)
        since = f"{reading.claimed_at.astimezone(zone):%H:%M}" if reading.claimed_at else ""
        raise ApplicationError("reading_claimed", who=name_of(holder), since=since)
    if holder == user:
        Reading.objects.filter(pk=reading.pk).update(claimed_until=Now() + CLAIM_LASTS)
    else:
        claim = {"claimed_by": user, "claimed_at": Now(), "claimed_until": Now() + CLAIM_LASTS}
        Reading.objects.filter(pk=reading.pk).update(**claim)
        _record(user, reading, "take_over" if holder else "claim", holder, user)
    reading.refresh_from_db()
    return reading


def reading_of(user: User, study: Study) -> Reading | None:
    """The study's row of the worklist, for who reads the clinic's films; None for everybody else."""
    return Reading.objects.visible_to(user).filter(study=study.pk).select_related("clinic", "claimed_by").first()


def reading_renew(*, user: User, study_id: UUID) -> bool:
    """A sign of life: the user's claim holds on. False where it is not theirs any more."""
    held = Reading.objects.visible_to(user).filter(study=study_id, claimed_by=user, claimed_until__gt=Now())
    return held.update(claimed_until=Now() + CLAIM_LASTS) == 1


@transaction.atomic
def reading_release(*, user: User, study_id: UUID) -> Reading:
    """The user reads it no longer. Raises `not_found`; what is not the user's stays as it is."""
    reading = _locked(user, study_id)
    if reading.claimed_by == user:
        Reading.objects.filter(pk=reading.pk).update(**_NO_CLAIM)
        _record(user, reading, "release", user, None)
        reading.refresh_from_db()
    return reading


def _locked(user: User, study_id: UUID) -> Reading:
    """The row, nobody else's until the transaction ends. Who may see the study only is told so."""
    study = access.get_visible(Study.objects.select_related("clinic"), user, pk=study_id)
    access.require_at(user, Action.READING_CLAIM, study.clinic)
    # Nothing joined: whoever waited for the lock gets this row as it is now, and what is joined as it was before.
    return access.get_visible(Reading.objects.select_for_update(), user, study=study.pk)


def _record(user: User, reading: Reading, verb: str, before: User | None, after: User | None) -> None:
    study = reading.study
    audit_record(
        user=user,
        verb=verb,
        target=study,
        clinic=study.patient.clinic,
        patient=study.patient,
        changes={"read by": [name_of(before), name_of(after)]},
    )


def name_of(user: User | None) -> str:
    """As colleagues know the person."""
    return (user.display_name) if user is not None else ""

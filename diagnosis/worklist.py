"""What the worklist shows: open readings in their order, page by page, how many there are, and what changed when.

Costs a fixed number of queries, each served by an index of `Reading`, however many studies are open. May import:
Django, `diagnosis.models`, `diagnosis.selectors`, `mlcore.card`, `patients.access`, `.keyset`. Goes to: views, API.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.functions import Now
from django.utils import timezone

from diagnosis import selectors
from diagnosis.models import Job, ModelVersion, Radiograph, Reading, Report, Study
from mlcore.card import NORMAL
from patients import access
from patients.access import Action
from patients.keyset import among_first
from patients.models import Clinic, PatientIdentifier, User

_ORDER = ("-emergency", "stands_at", "id")
#: Counts stop here: whoever has a thousand studies waiting needs no exact figure, and the page stays fast.
MANY = 1000

#: The states by which the list can be narrowed, as pages and the API name them.
STATES = {
    "free": "Nobody reads it",
    "claimed": "Being read",
    "mine": "Claimed by me",
    "draft": "Report begun",
    "critical": "Critical",
    "over": "Over the maximum wait",
    "unanswered": "Without the model's answer",
}


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page of the list ends."""

    emergency: bool
    stands_at: datetime
    id: UUID

    @classmethod
    def of(cls, reading: Reading) -> Position:
        return cls(reading.emergency, reading.stands_at, reading.pk)

    @classmethod
    def read(cls, text: str) -> Position:
        """From `str()` of one. Raises ValueError."""
        emergency, moment, row = base64.urlsafe_b64decode(text.encode("ascii")).decode("ascii").split("|")
        when = datetime.fromisoformat(moment)
        if emergency not in ("0", "1") or when.tzinfo is None:
            raise ValueError("no position")
        try:
            return cls(emergency == "1", when.astimezone(UTC), UUID(row))
        except OverflowError as error:
            raise ValueError("no moment") from error

    def __str__(self) -> str:
        text = f"{self.emergency:d}|{self.stands_at.isoformat()}|{self.id}"
        return base64.urlsafe_b64encode(text.encode("ascii")).decode("ascii")

    @property
    def later(self) -> Q:
        """What follows. The first condition alone lets the index on the order do the work."""
        after = Q(stands_at__gt=self.stands_at) | Q(stands_at=self.stands_at, id__gt=self.id)
        here = Q(emergency=self.emergency, stands_at__gte=self.stands_at) & after
        return here | Q(emergency=False) if self.emergency else here

    @property
    def earlier(self) -> Q:
        """What stands before."""
        before = Q(stands_at__lt=self.stands_at) | Q(stands_at=self.stands_at, id__lt=self.id)
        here = Q(emergency=self.emergency, stands_at__lte=self.stands_at) & before
        return here if self.emergency else here | Q(emergency=True)


def clinics_read_for(user: User) -> list[Clinic]:
    """The clinics whose films this person reads, each with `changed_at`: when its part of the list last changed,
    claims and closed studies included. One query."""
    latest = Reading.objects.filter(clinic=OuterRef("pk")).order_by("-changed_at").values("changed_at")[:1]
    clinics = Clinic.objects.filter(id__in=access.clinic_ids(user, Action.READING_CLAIM))
    return list(clinics.annotate(changed_at=Subquery(latest)).order_by("name"))


def worklist_page(
    *, user: User, clinics: Sequence[Clinic], filters: Mapping[str, Any], after: Position | None = None, size: int
) -> tuple[list[Reading], bool]:
    """`size` open readings after a position, first what stands first, and whether more follow: one query, two more
    where films have no answer yet.

    Each clinic's part is read in the order of its index, then they are merged. Filters (empty ones do not filter):
    `clinic` (id), `label` (a finding at or above its threshold), `state` (of `STATES`), `age_from` and `age_to`
    (years), `date_from` and `date_to` (of arrival, both included). Each row has its study with patient and clinic, its
    finding with the model, who claimed it, `draft` (status of a report begun, or None), the patient's `mrn` (or None)
    and, without an answer, `film`.
    """
    wanted = [clinic for clinic in clinics if filters.get("clinic") in (None, clinic.pk)]
    parts = [_part(user, clinic, filters, after) for clinic in wanted]
    if not parts:
        return [], False
    drafts = Report.objects.filter(study=OuterRef("study"), status__in=["draft", "preliminary"])
    numbers = PatientIdentifier.objects.filter(patient=OuterRef("study__patient"), system="MRN").order_by("value")
    rows = (
        Reading.objects.visible_to(user)
        .filter(among_first(Reading, parts, _ORDER, size + 1))
        .select_related("study__patient__clinic", "clinic", "claimed_by", "finding__prediction")
        .prefetch_related("finding__prediction__model_version")
        .annotate(draft=Subquery(drafts.values("status")[:1]), mrn=Subquery(numbers.values("value")[:1]))
        .order_by(*_ORDER)
    )
    found = list(rows)
    return _with_films(user, found[:size]), len(found) > size


def worklist_beside(
    *, user: User, clinics: Sequence[Clinic], filters: Mapping[str, Any], study: Study, back: bool = False
) -> Reading | None:
    """The open reading that the user could read after this study, in the list with these filters (as `worklist_page`):
    the next that nobody else reads, at the end of the list the first; of a study that is read, the first. With `back`
    the one before, at the beginning none. At most two queries per clinic."""
    here = Reading.objects.visible_to(user).open().filter(study=study).first()
    place = Position.of(here) if here is not None else None
    wanted = [clinic for clinic in clinics if filters.get("clinic") in (None, clinic.pk)]
    for start in [place] if back else dict.fromkeys([place, None]):
        found = [_one_beside(user, clinic, filters, study, start, back) for clinic in wanted]
        order = sorted((row for row in found if row), key=lambda row: (not row.emergency, row.stands_at, row.pk))
        if order:
            return order[-1 if back else 0]
    return None


def _one_beside(
    user: User, clinic: Clinic, filters: Mapping[str, Any], study: Study, start: Position | None, back: bool
) -> Reading | None:
    rows = _part(user, clinic, filters, None if back else start).exclude(study=study)
    rows = rows.filter(_state("free", user, clinic) | Q(claimed_by=user)).select_related("study")
    if back:
        return rows.filter(start.earlier).reverse().first() if start else None
    return rows.first()


def _part(user: User, clinic: Clinic, filters: Mapping[str, Any], after: Position | None) -> QuerySet[Reading]:
    rows = Reading.objects.visible_to(user).open().filter(clinic=clinic).order_by(*_ORDER)
    if after is not None:
        rows = rows.filter(after.later)
    if label := filters.get("label"):
        rows = rows.filter(labels__contains=[label])
    if state := filters.get("state"):
        rows = rows.filter(_state(state, user, clinic))
    if day := filters.get("date_from"):
        rows = rows.filter(received_at__date__gte=day)
    if day := filters.get("date_to"):
        rows = rows.filter(received_at__date__lte=day)
    return _of_age(rows, filters.get("age_from"), filters.get("age_to"), clinic.today)


def _state(state: str, user: User, clinic: Clinic) -> Q:
    claimed = Q(claimed_until__gt=Now())
    return {
        "free": ~claimed | Q(claimed_until__isnull=True),
        "claimed": claimed,
        "mine": claimed & Q(claimed_by=user),
        "draft": Q(study__in=Report.objects.filter(status__in=["draft", "preliminary"]).order_by().values("study")),
        "critical": Q(critical=True),
        "over": Q(received_at__lt=timezone.now() - timedelta(minutes=clinic.max_wait_minutes)),
        "unanswered": Q(answered=False),
    }[state]


def _of_age(rows: QuerySet[Reading], youngest: int | None, oldest: int | None, today: date) -> QuerySet[Reading]:
    """By the year of birth, which is always known: whole years, as somebody counts who knows no birthday."""
    if youngest is not None:
        rows = rows.filter(study__patient__birth_year__lte=today.year - youngest)
    if oldest is not None:
        rows = rows.filter(study__patient__birth_year__gte=today.year - oldest)
    return rows


def _with_films(user: User, rows: list[Reading]) -> list[Reading]:
    """Rows without an answer get the film that has none (`film`), to say why."""
    waiting = [row for row in rows if not row.answered]
    by_study: dict[UUID, Radiograph] = {}
    if waiting:
        jobs = Prefetch("jobs", Job.objects.visible_to(user).order_by("created_at", "id"))
        films = Radiograph.objects.visible_to(user).with_consent().filter(study__in=[row.study_id for row in waiting])
        for film in films.order_by("created_at", "id").prefetch_related(jobs):
            known = by_study.get(film.study_id)
            if known is None or selectors.film_progress(known) == "done":
                by_study[film.study_id] = film
    for row in rows:
        row.film = by_study.get(row.study_id)
    return rows


@dataclass(frozen=True, slots=True)
class Counts:
    """Open studies, critical ones, those over their clinic's maximum wait, and those that the person reads; each at
    most `MANY`."""

    unread: int
    critical: int
    over: int
    mine: int


_OPEN = "SELECT FROM diagnosis_reading r WHERE r.clinic_id = ANY (%(clinics)s) AND r.closed_at IS NULL"
_LATE = """
SELECT FROM unnest(%(clinics)s, %(limits)s) AS c (id, minutes) CROSS JOIN LATERAL (
    SELECT FROM diagnosis_reading r WHERE r.clinic_id = c.id AND r.closed_at IS NULL
       AND r.received_at < now() - c.minutes * interval '1 minute' LIMIT %(many)s) late
"""
_MINE = f"{_OPEN} AND r.claimed_by_id = %(user)s AND r.claimed_until > now()"


def worklist_counts(*, user: User, clinics: Iterable[Clinic]) -> Counts:
    """Of these clinics, which are the user's (`clinics_read_for`): one query, which counts no further than `MANY`."""
    parts = (_OPEN, f"{_OPEN} AND r.critical", _LATE, _MINE)
    columns = ", ".join(f"(SELECT count(*) FROM ({part} LIMIT %(many)s) AS part)" for part in parts)  # noqa: S608
    limits = {clinic.pk: clinic.max_wait_minutes for clinic in clinics}
    values = {"clinics": list(limits), "limits": list(limits.values()), "user": user.pk, "many": MANY}
    with connection.cursor() as cursor:
        cursor.execute(_typed(f"SELECT {columns}"), values)
        return Counts(*cursor.fetchone())


def _typed(sql: str) -> str:
    """An empty list has no type of its own."""
    return sql.replace("%(clinics)s", "%(clinics)s::uuid[]").replace("%(limits)s", "%(limits)s::int[]")


def labels_to_choose() -> list[tuple[str, str]]:
    """(label, title) of what the active model finds: one query."""
    active = ModelVersion.objects.filter(status=ModelVersion.Status.ACTIVE).first()
    specs = active.card.get("labels", ()) if active else ()
    return [(spec["key"], spec["title"]) for spec in specs if spec["key"] != NORMAL and spec.get("trained", True)]

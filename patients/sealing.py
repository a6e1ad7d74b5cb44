"""The hash chain over the audit: each seal covers the seal before it and one event, so that no change stays unseen.

Events are sealed shortly after their commit, not inside it: writers never wait for one another.
May import: Django, `patients.models`, `patients.locks`. Called by the sweeper and by `manage.py verify_audit`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet, TextField
from django.db.models.functions import Cast, Now

from patients.locks import lock_try
from patients.models import AuditEvent, AuditSeal

log = logging.getLogger("patients.sealing")

#: The seal before the first one.
GENESIS = "0" * 64
BATCH = 1000
BATCHES_AT_ONCE = 20
#: A transaction may commit its event after events with higher ids: so far back each round looks for such latecomers;
#: what is older still is found once an hour.
LOOK_BACK = 20_000
HEAD_EVERY_SECONDS = 3600
#: Events older than this without a seal mean that nobody seals.
SEALED_WITHIN = timedelta(minutes=1)

_FIELDS = tuple(field.attname for field in AuditEvent._meta.concrete_fields if field.name != "changes")
_EMPTY = (None, "", "{}")


# --- sealing


def audit_seal(*, everything: bool = False) -> int:
    """Seal committed events that have no seal yet, oldest first, and tell how many were sealed.

    A bounded number of short transactions, unless `everything` is asked for. Whoever finds another one sealing leaves
    it the work. Doing it twice changes nothing.
    """
    sealed, rounds = 0, 0
    while everything or rounds < BATCHES_AT_ONCE:
        count = _batch_seal(LOOK_BACK if not everything else None)
        sealed, rounds = sealed + count, rounds + 1
        if count < BATCH:
            break
    return sealed


@transaction.atomic
def _batch_seal(look_back: int | None) -> int:
    if not lock_try("sealing"):
        return 0
    last = audit_head()
    position, sha256 = (last.position, last.sha256) if last else (0, GENESIS)
    seals = []
    for row in _rows(_unsealed(look_back))[:BATCH]:
        position, sha256 = position + 1, link(sha256, row)
        seals.append(AuditSeal(position=position, event_id=row["id"], sha256=sha256))
    AuditSeal.objects.bulk_create(seals)
    return len(seals)


def _unsealed(look_back: int | None) -> QuerySet[AuditEvent]:
    events, seals = AuditEvent.objects.order_by("pk"), AuditSeal.objects.filter(event=OuterRef("pk"))
    newest = AuditSeal.objects.order_by("-event").values_list("event", flat=True).first()
    if look_back is not None and newest is not None:
        events, seals = events.filter(pk__gt=newest - look_back), seals.filter(event__gt=newest - look_back)
    return events.filter(~Exists(seals))


def audit_head() -> AuditSeal | None:
    """The newest seal: with its hash kept elsewhere, nothing before it can be changed unseen."""
    return AuditSeal.objects.order_by("-position").first()


_head_noted_at = float("-inf")


def audit_keep_sealed() -> None:
    """One round of the sweeper. Once an hour everything is looked through and the head goes into the log, which
    another host should collect."""
    global _head_noted_at
    due = time.monotonic() - _head_noted_at >= HEAD_EVERY_SECONDS
    audit_seal(everything=due)
    if due and (head := audit_head()) is not None:
        log.info("audit head %s", head)
        _head_noted_at = time.monotonic()


# --- what is hashed


def _rows(events: QuerySet[AuditEvent]) -> QuerySet[AuditEvent, dict[str, Any]]:
    """Events as they lie in the database; JSON as PostgreSQL writes it, so that no digit gets lost."""
    return events.annotate(changes_text=Cast("changes", TextField())).values(*_FIELDS, "changes_text")


def link(before: str, row: Mapping[str, Any]) -> str:
    """sha256 over the seal before and the event in canonical JSON.

    Empty fields are left out: a column that is added later, empty for old events, breaks no old seal.
    """
    told = {name: _plain(value) for name, value in row.items() if value not in _EMPTY}
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(before.encode() + text.encode()).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return value if isinstance(value, int) else str(value)


# --- verifying


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as it was sealed."""

    position: int
    sentence: str


@dataclass(frozen=True, slots=True)
class _Suspect:
    """A seal that does not fit its event. Whether the one or the other was changed is told by the next seal."""

    seal: AuditSeal
    computed: str

    def fault(self, what: str) -> Fault:
        return Fault(self.seal.position, what.format(event=self.seal.event_id, position=self.seal.position))


class Walk:
    """Goes once through the chain from its beginning: `faults()`, then `position` and `sha256` of its end.

    `noted` are heads seen earlier, position → hash. Memory does not grow with the chain.
    """

    def __init__(self, noted: Mapping[int, str] | None = None) -> None:
        self.position, self.sha256 = 0, GENESIS
        self._noted = dict(noted or {})
        self._suspect: _Suspect | None = None

    def faults(self, progress: Callable[[int], object] = lambda count: None) -> Iterator[Fault]:
        """What is wrong, as it is found; `progress` is told how many seals were looked at."""
        if AuditSeal.objects.filter(position__lt=1).exists():
            yield Fault(0, "There are seals before the first one.")
        while seals := list(AuditSeal.objects.filter(position__gt=self.position).order_by("position")[:BATCH]):
            events = AuditEvent.objects.order_by().filter(pk__in=[seal.event_id for seal in seals])
            rows = {row["id"]: row for row in _rows(events)}
            for seal in seals:
                yield from self._place_check(seal)
                yield from self._event_check(seal, rows.get(seal.event_id))
                self.position, self.sha256 = seal.position, seal.sha256
            progress(len(seals))
        yield from self._suspect_name("Event {event}, or its seal {position}, was changed.")
        for position in sorted(self._noted):
            yield Fault(position, f"The chain ends before position {position}, which was noted: its end was cut off.")

    def _place_check(self, seal: AuditSeal) -> Iterator[Fault]:
        if seal.position != self.position + 1:
            yield from self._suspect_name("Event {event}, or its seal {position}, was changed.")
            yield Fault(self.position + 1, f"Seals {self.position + 1} to {seal.position - 1} are missing.")
            self.sha256 = ""
        if self._noted.pop(seal.position, seal.sha256) != seal.sha256:
            yield Fault(seal.position, f"The seal at {seal.position} is not the one noted: the chain was written anew.")

    def _event_check(self, seal: AuditSeal, row: Mapping[str, Any] | None) -> Iterator[Fault]:
        if row is None:
            yield from self._suspect_name("Event {event}, or its seal {position}, was changed.")
            yield Fault(seal.position, f"Event {seal.event_id} is missing.")
            return
        computed = link(self.sha256, row) if self.sha256 else seal.sha256
        fits = computed == seal.sha256
        if self._suspect and link(self._suspect.computed, row) == seal.sha256:
            yield from self._suspect_name("Seal {position} was changed.")
            fits = True
        yield from self._suspect_name("Event {event} was changed.")
        if not fits:
            self._suspect = _Suspect(seal, computed)

    def _suspect_name(self, what: str) -> Iterator[Fault]:
        if self._suspect:
            yield self._suspect.fault(what)
            self._suspect = None


def audit_unsealed() -> int:
    """Events that wait for their seal longer than they should: nobody seals, or a seal was taken away."""
    seals = AuditSeal.objects.filter(event=OuterRef("pk"))
    return AuditEvent.objects.filter(~Exists(seals), at__lt=Now() - SEALED_WITHIN).count()


def audit_behind_since() -> datetime | None:
    """When the newest event was written that should be sealed by now and is not; None while sealing keeps up. One
    look-up, however long the audit is: who wants to know of every event asks `audit_unsealed`."""
    due = AuditEvent.objects.filter(at__lt=Now() - SEALED_WITHIN).order_by("-at", "-pk").first()
    if due is None or AuditSeal.objects.filter(event=due).exists():
        return None
    return due.at

"""Who works: each worker's own row, written by its heartbeat with the database's clock; and what workers count.

May import: Django, `diagnosis.models`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import F
from django.db.models.functions import Now

from diagnosis.models import Tally, Worker

#: Rows of workers that left no word are kept this long, so that a person sees what is missing.
KEPT = timedelta(days=1)


@dataclass
class Presence:
    """What a process says of itself. `note` is why it cannot work, empty when it can."""

    engine: str = ""
    model_sha256: str = ""
    note: str = ""


def worker_seen(*, name: str, kind: str, presence: Presence | None = None, started: bool = False) -> None:
    """This worker is alive now."""
    said = presence or Presence()
    values = {
        "kind": kind,
        "engine": said.engine[:64],
        "model_sha256": said.model_sha256,
        "note": said.note[:200],
        "seen_at": Now(),
    }
    if started:
        values["started_at"] = Now()
    Worker.objects.update_or_create(name=name[:128], defaults=values, create_defaults={**values, "started_at": Now()})


def worker_gone(*, name: str) -> None:
    """This worker has ended as it was asked to."""
    Worker.objects.filter(name=name[:128]).delete()


def workers_forget() -> None:
    """Drop the rows of workers that have been silent for a day."""
    Worker.objects.filter(seen_at__lt=Now() - KEPT).delete()


def tally_add(name: str) -> None:
    """Count one more, in the caller's transaction if there is one."""
    Tally.objects.get_or_create(name=name)
    Tally.objects.filter(name=name).update(count=F("count") + 1)

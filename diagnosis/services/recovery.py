"""The sweeper: takes back what dead workers held, repeats lost hints, queues what is missing, tidies up.

May import: Django, knox, `diagnosis.models`, `.storage`, `.services`. Any number of sweepers may run
(`manage.py sweeper`, two by default); a lock in the database lets one work at a time, and doing it twice changes
nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.db.models import Count, Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils.module_loading import import_string
from knox.models import AuthToken

from diagnosis import storage
from diagnosis.models import Job, ModelVersion, Radiograph, UploadKey, Worker
from diagnosis.services.alerts import alert_mails_send, alerts_escalate
from diagnosis.services.drift import drift_keep_measured
from diagnosis.services.presence import worker_seen, workers_forget
from diagnosis.services.queue import DATABASE_AWAY, PRIORITY, hint_publish, running_return
from diagnosis.services.reading import readings_replace, readings_silence
from patients.emergency import break_glass_mails_send
from patients.locks import lock_try
from patients.models import Consent
from patients.querysets import consent_permits
from patients.sealing import audit_keep_sealed

log = logging.getLogger("diagnosis.recovery")

#: More hints than this in one sweep wake nobody sooner: each prepare hint is one film, and sweeps come often.
HINTS_AT_MOST = 64
MISSING_AT_MOST = 500
UPLOAD_KEYS_KEPT = timedelta(days=7)
LEFTOVERS_SECONDS = 24 * 60 * 60
#: The one row that says when the last sweep was, whichever sweeper made it.
SWEEPER = "sweeper"
#: How often a sweeper looks whether a sweep is due.
LOOK_SECONDS = 2
#: A sweeper that stops in the middle, paused or cut off, loses its session and with it the lock.
SESSION_LIMITS = "SET idle_in_transaction_session_timeout = '3s'; SET statement_timeout = '30s'"


@dataclass(frozen=True)
class Swept:
    """What one sweep did."""

    taken_back: int = 0
    added: int = 0
    hinted: int = 0


def sweep_until(stop: threading.Event) -> None:
    """Sweep whenever it is due, until `stop` is set. What keeps it from sweeping is said
    in the log once, until it sweeps again."""
    away = False
    while not stop.is_set():
        try:
            with connection.cursor() as cursor:
                cursor.execute(SESSION_LIMITS)
            sweep(every=settings.SWEEP_SECONDS)
            away = False
        except Exception as error:  # a sweeper that tries again is worth more than one that ends
            if not away:
                log.warning("no sweep: %s", type(error).__name__, exc_info=not isinstance(error, DATABASE_AWAY))
            away = True
            connection.close()
        stop.wait(LOOK_SECONDS)


def sweep(*, every: float = 0) -> Swept | None:
    """One round; None when another sweeper is at it, or was within the last `every` seconds."""
    with transaction.atomic():
        if not lock_try("sweeper") or _swept_within(every):
            return None
        taken_back = _expired_return()
        added = _missing_queue()
        readings_silence()
        alerts_escalate()
        readings_replace()
        waiting = _waiting()
        UploadKey.objects.filter(created_at__lt=Now() - UPLOAD_KEYS_KEPT).delete()
        Session.objects.filter(expire_date__lt=Now()).delete()
        AuthToken.objects.filter(expiry__lt=Now()).delete()
        workers_forget()
        worker_seen(name=SWEEPER, kind=Worker.Kind.SWEEPER)
    _leftovers_remove()
    for tidy_up in settings.SWEPT_AS_WELL:
        import_string(tidy_up)()
    for kind, count in waiting.items():
        hint_publish(kind, count, enough=count)
    audit_keep_sealed()
    break_glass_mails_send()
    alert_mails_send()
    drift_keep_measured()
    return Swept(taken_back, added, sum(waiting.values()))


def _swept_within(seconds: float) -> bool:
    """By the database's clock, whoever swept."""
    return Worker.objects.filter(name=SWEEPER, seen_at__gt=Now() - timedelta(seconds=seconds)).exists()


def _expired_return() -> int:
    """Jobs whose worker let the lease run out: back in the queue, or failed at the last attempt."""
    expired = Job.objects.select_for_update(skip_locked=True).filter(state="running", lease_until__lt=Now())
    found = list(expired.values_list("pk", flat=True))
    if found:
        log.warning("%s jobs were left by their worker", len(found))
        running_return(Job.objects.filter(pk__in=found, state=Job.State.RUNNING), code="worker_lost")
    return len(found)


def _missing_queue() -> int:
    """Ready films that no model was asked about, because none was active or the patient did not agree to it then:
    prepared for the active one now."""
    model = ModelVersion.objects.filter(status=ModelVersion.Status.ACTIVE).first()
    if model is None:
        return 0
    asked = Job.objects.filter(radiograph=OuterRef("pk"), shadow=False)
    films = Radiograph.objects.filter(
        ~Exists(asked.filter(Q(kind=Job.Kind.INFER) | Q(model_version=model))),
        Q(consent_permits(Consent.Purpose.AI_ASSISTANCE, "study__patient")),
        state=Radiograph.State.READY,
        expiry__isnull=True,
    ).order_by("created_at")
    jobs = Job.objects.bulk_create(
        Job(radiograph=film, kind=Job.Kind.PREPARE, model_version=model, priority=PRIORITY[film.study.urgency])
        for film in films.select_related("study")[:MISSING_AT_MOST]
    )
    return len(jobs)


def _waiting() -> dict[str, int]:
    """How many hints each kind needs. A task takes all there is to do; films are prepared by several at once."""
    grace = timedelta(seconds=settings.SWEEP_SECONDS)
    old = Job.objects.filter(state=Job.State.QUEUED, queued_at__lt=Now() - grace)
    counts = dict(old.order_by().values_list("kind").annotate(Count("pk")))
    most = {Job.Kind.PREPARE: HINTS_AT_MOST, Job.Kind.INFER: 1}
    return {kind: min(count, most[Job.Kind(kind)]) for kind, count in counts.items()}


def _leftovers_remove() -> None:
    """Temporary files of uploads and drafts that a killed process left a day ago."""
    before = time.time() - LEFTOVERS_SECONDS
    for path in _leftovers():
        try:
            if path.stat().st_mtime < before:
                path.unlink()
        except OSError as error:
            log.warning("a leftover could not be removed: %s", type(error).__name__)


def _leftovers() -> Iterator[Path]:
    yield from Path(settings.FILE_UPLOAD_TEMP_DIR).glob("*.upload*")
    yield from storage.path_of(storage.DRAFTS).glob("*")

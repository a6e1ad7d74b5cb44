"""Is the system working? Workers, queues, sweeper, storage in counts, and the alerts that a person should act on.

The one source of `/status/`, the API's status and the metrics; no patient data. May import: Django, redis,
`diagnosis.models`, `diagnosis.alerts`, `diagnosis.wording`, `patients`. Goes to: views, api, metrics.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import redis
from django.conf import settings
from django.db.models import BooleanField, Count, DurationField, ExpressionWrapper, F, Max, Min, Q, Value
from django.db.models.functions import Now

from diagnosis import scanner
from diagnosis.alerts import mails_waiting
from diagnosis.models import CriticalAlert, Distribution, Job, ModelVersion, Radiograph, Worker
from diagnosis.wording import STAGES
from patients.actor import SYSTEM, acting_as
from patients.models import AuditEvent
from patients.sealing import audit_behind_since

#: A worker that has not written its row, and a sweeper that has not swept, for this long is taken for dead.
SILENT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Alert:
    """What keeps films waiting, and what a person should do. `code` is a key of `SENTENCES`; `since` is when it began,
    None where nobody knows."""

    code: str
    sentence: str
    since: datetime | None = None


#: Every alert there is: code → sentence. The code is the name of the metric.
SENTENCES: dict[str, str] = {
    "storage_full": "The film storage is full or cannot be reached. Nothing can be sent until there is room.",
    "broker_away": "The message broker does not answer. Films are safe; the analysis may be late.",
    "scanner_away": "The virus scanner does not answer. Films are safe and wait until it does: start it.",
    "malware_found": "Files refused by the virus scanner within a week: {count}. Find out where they came from.",
    "sweeper_silent": "Nothing looks after lost work. Films of a worker that dies wait until a sweeper runs again: "
    "start it.",
    "prepare_missing": f"No worker is running for {STAGES['prepare']}. Films are safe and wait: start the prepare "
    "worker.",
    "infer_missing": f"No worker is running for {STAGES['infer']}. Films are safe and wait: start the infer worker.",
    "model_missing": "No model is active. Films are checked and kept; the system administrator has to activate one.",
    "queue_slow": "Films that wait longer than their clinic allows: {count}. Add workers, or find what holds them up.",
    "films_damaged": "Stored films found damaged within a day: {count}. Restore them from the backup; "
    "manage.py verify_store names them.",
    "audit_unsealed": "New entries of the audit are not sealed: a change to them would not be found. See that a "
    "sweeper runs.",
    "critical_late": "Critical findings that no clinic has acknowledged in time: {count}. Call the clinic; its page "
    "Follow-up lists them.",
    "critical_unmailed": "Mails about critical findings that could not be sent: {count}. Find out what keeps the mail "
    "server from taking them; they are tried again.",
    "drift": "Clinics whose films or answers are unlike those that the model began with: {count}. Their page of "
    "numbers says what changed; find out why before you rely on the model there.",
    "jobs_failed": "Failed jobs that wait for a person: {count}. Try them again, or cancel them.",
}


@acting_as(SYSTEM)
def status_read() -> dict[str, Any]:
    """Who works, what waits and for how long, which model speaks. Counts only, no patient data.

    Ages come from the database clock. `redis`, `storage` and the virus `scanner` (None: there is none) are tried, not
    remembered.
    """
    model = ModelVersion.objects.filter(status=ModelVersion.Status.ACTIVE).values("name", "version", "sha256").first()
    workers = _workers_read()
    sweeper = next((worker for worker in workers if worker["kind"] == Worker.Kind.SWEEPER), None)
    return {
        "workers": [worker for worker in workers if worker is not sweeper],
        "queues": _queues_read(),
        "sweeper": {"last_seen_at": sweeper and sweeper["seen_at"], "alive": bool(sweeper and sweeper["alive"])},
        "model": model,
        "redis": _redis_answers(),
        "scanner": scanner.scanner_answers(),
        "storage": _storage_read(),
    }


@acting_as(SYSTEM)
def hands_read(*, queues: bool = False) -> dict[str, Any]:
    """Of the same only what moves a film: the `workers` and the virus `scanner`, and the `queues` if asked for. One
    query, or two."""
    hands = {"workers": _workers_read(), "scanner": scanner.scanner_answers()}
    return hands | {"queues": _queues_read()} if queues else hands


@acting_as(SYSTEM)
def alerts_read(status: Mapping[str, Any] | None = None) -> list[Alert]:
    """What a person should act on now, first things first: eight queries beside those of `status`, which is read here
    unless the caller has it."""
    return list(_alerts(status_read() if status is None else status))


def _alerts(status: Mapping[str, Any]) -> Iterator[Alert]:
    tried = {
        "storage_full": status["storage"]["available"],
        "broker_away": status["redis"],
        "scanner_away": status["scanner"] is not False,
    }
    yield from (_alert(code) for code, works in tried.items() if not works)
    if not status["sweeper"]["alive"]:
        yield _alert("sweeper_silent", status["sweeper"]["last_seen_at"])
    for kind in Job.Kind.values:
        mine = [worker for worker in status["workers"] if worker["kind"] == kind]
        if not any(worker["alive"] and not worker["note"] for worker in mine):
            yield _alert(f"{kind}_missing", max((worker["seen_at"] for worker in mine), default=None))
    if status["model"] is None:
        yield _alert("model_missing")
    if (since := audit_behind_since()) is not None:
        yield _alert("audit_unsealed", since)
    counts = {"queue_slow": _jobs_late(), "films_damaged": _films_damaged(), "jobs_failed": _jobs_failed()}
    counts |= {"critical_late": _critical_late(), "critical_unmailed": _critical_unmailed()}
    counts["drift"] = _drifted()
    if status["scanner"] is not None:
        counts["malware_found"] = _malware_found()
    for code, found in counts.items():
        if found["count"]:
            yield _alert(code, found["since"], count=found["count"])


def _alert(code: str, since: datetime | None = None, **values: object) -> Alert:
    return Alert(code, SENTENCES[code].format(**values), since)


def _jobs_late() -> dict[str, Any]:
    """Waiting longer than the clinic's own limit; since when the first of them is late."""
    limit = ExpressionWrapper(
        F("radiograph__clinic__max_wait_minutes") * Value(timedelta(minutes=1)), output_field=DurationField()
    )
    due = ExpressionWrapper(F("queued_at") + limit, output_field=Job._meta.get_field("queued_at"))
    waiting = Job.objects.filter(state=Job.State.QUEUED, shadow=False).annotate(due=due)
    return waiting.filter(due__lt=Now()).aggregate(count=Count("pk"), since=Min("due"))


def _films_damaged() -> dict[str, Any]:
    """Met by a worker or by whoever looked at the film; each has left its entry in the audit."""
    recent = AuditEvent.objects.filter(outcome="image_integrity", at__gt=Now() - timedelta(days=1))
    return recent.aggregate(count=Count("object_id", distinct=True), since=Min("at"))


def _jobs_failed() -> dict[str, Any]:
    """Failed, and neither tried again nor cancelled by a person; what a patient did not agree to waits for nobody."""
    failed = Job.objects.filter(state=Job.State.FAILED, shadow=False).exclude(error_code="ai_not_agreed")
    return failed.aggregate(count=Count("pk"), since=Min("finished_at"))


def _critical_late() -> dict[str, Any]:
    return CriticalAlert.objects.late().order_by().aggregate(count=Count("pk"), since=Min("due"))


def _critical_unmailed() -> dict[str, Any]:
    failed = mails_waiting().exclude(mail_problem="")
    return failed.order_by().aggregate(count=Count("pk"), since=Min("created_at"))


def _drifted() -> dict[str, Any]:
    """Clinics at which a quantity of the active model's films or answers shifted, largely and beyond chance."""
    alarms = Distribution.objects.filter(alarm_since__isnull=False, model_version__status=ModelVersion.Status.ACTIVE)
    return alarms.aggregate(count=Count("clinic", distinct=True), since=Min("alarm_since"))


def _malware_found() -> dict[str, Any]:
    """Films that the virus scanner refused within a week: long enough for a person to see it, then it is history."""
    recent = Radiograph.objects.filter(code="malware_detected", created_at__gt=Now() - timedelta(days=7))
    return recent.aggregate(count=Count("pk"), since=Min("created_at"))


def _workers_read() -> list[dict[str, Any]]:
    recent = Q(seen_at__gt=Now() - timedelta(seconds=SILENT_SECONDS))
    workers = Worker.objects.annotate(alive=ExpressionWrapper(recent, BooleanField())).order_by("kind", "name")
    return list(workers.values("name", "kind", "alive", "seen_at", "engine", "note"))


def _queues_read() -> dict[str, dict[str, int | None]]:
    """Of both kinds of jobs, versions on trial left out: how many there are in each state that is not over."""

    def count(state: str) -> Count:
        return Count("pk", filter=Q(state=state))

    open_jobs = Job.objects.filter(shadow=False, state__in=["queued", "running", "failed"]).order_by()
    rows = open_jobs.values("kind").annotate(
        queued=count("queued"),
        running=count("running"),
        failed=count("failed"),
        oldest=Min("queued_at", filter=Q(state="queued")),
        now=Max(Now()),
    )
    none: dict[str, int | None] = {"oldest_wait_seconds": None, "queued": 0, "running": 0, "failed": 0}
    queues = {kind: none for kind in Job.Kind.values}
    for row in rows:
        kind, now, oldest = row.pop("kind"), row.pop("now"), row.pop("oldest")
        queues[kind] = {"oldest_wait_seconds": oldest and max(0, int((now - oldest).total_seconds())), **row}
    return queues


def _redis_answers() -> bool:
    address = settings.CELERY_BROKER_URL.replace("redis+socket://", "unix://")
    try:
        with redis.Redis.from_url(address, socket_timeout=1, socket_connect_timeout=1) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _storage_read() -> dict[str, Any]:
    try:
        free = shutil.disk_usage(settings.MEDIA_ROOT).free
    except OSError:
        return {"available": False, "free_bytes": 0}
    return {"available": free > settings.MAX_UPLOAD_BYTES, "free_bytes": free}

"""The job queue: claims, leases, fences, outcomes, and hints. PostgreSQL owns every job; a hint may be lost or doubled.

May import: Django, Celery's publisher, `diagnosis.models`, `patients.access`, `patients.audit`. Only the database's
clock decides. Used by `prepare`, `infer` and `recovery`, and by staff through pages, API and admin.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import sys
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from celery import current_app
from django.conf import settings
from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from kombu.pools import producers
from structlog.contextvars import bound_contextvars

from diagnosis.models import FilmExpiry, Job, Study, Tally
from diagnosis.models.job import MAX_ATTEMPTS, states_before
from diagnosis.querysets import with_version
from diagnosis.services.consent import NOT_AGREED, ai_permitted
from diagnosis.services.presence import tally_add
from patients import access
from patients.access import Action
from patients.audit import audit_record, audit_work
from patients.errors import ApplicationError
from patients.models import User

log = logging.getLogger("diagnosis.queue")

DATABASE_AWAY = (OperationalError, InterfaceError)
#: Which film is prepared first; the lowest number.
PRIORITY: dict[str, int] = {Study.Urgency.EMERGENCY: 0, Study.Urgency.URGENT: 1, Study.Urgency.ROUTINE: 2}
#: A publisher waits no longer than this for Redis.
HINT_SECONDS = 2
RELEASE_TRIES = 10


class StaleFenceError(Exception):
    """The job is no longer ours: its lease ran out and somebody else may hold it. Nothing was written."""


# --- claim

_JOBS = Job._meta.db_table

# One statement: the most urgent job, and what may share its batch, at most the share of one of `takers` in what waits.
# An emergency is prepared alone. Who looks at the same time takes others.
_CLAIM = f"""
WITH first AS MATERIALIZED (
  SELECT id, model_version_id, shadow, solo, priority FROM {_JOBS}
  WHERE kind = %(kind)s AND state = 'queued' AND NOT coalesce(model_version_id = ANY(%(skipped)s::uuid[]), false)
  ORDER BY priority, queued_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
), others AS MATERIALIZED (
  SELECT job.id FROM {_JOBS} job, first
  WHERE job.kind = %(kind)s AND job.state = 'queued' AND job.id <> first.id AND NOT job.solo AND NOT first.solo
    AND job.model_version_id IS NOT DISTINCT FROM first.model_version_id AND job.shadow = first.shadow
    AND (job.kind = 'infer' OR first.priority > %(emergency)s)
  ORDER BY job.priority, job.queued_at, job.id
  LIMIT least(%(others)s, (greatest((SELECT count(*) FROM (
    SELECT FROM {_JOBS} WHERE kind = %(kind)s AND state = 'queued' LIMIT %(others)s * %(takers)s + 1
  ) waiting), 1) - 1) / %(takers)s)
  FOR UPDATE OF job SKIP LOCKED
), batch AS (SELECT id FROM first UNION ALL SELECT id FROM others)
UPDATE {_JOBS} SET
  state = 'running', attempt = attempt + 1, solo = solo OR (SELECT count(*) FROM batch) = 1,
  fence = nextval('diagnosis_job_fence'), lease_until = statement_timestamp() + %(lease)s, worker = %(worker)s,
  started_at = statement_timestamp(), finished_at = NULL
WHERE id IN (SELECT id FROM batch)
RETURNING id
"""  # noqa: S608  the table's own name


@transaction.atomic
def jobs_claim(*, kind: str, limit: int, worker: str, takers: int = 1, skip_models: Collection[UUID] = ()) -> list[Job]:
    """Take up to `limit` waiting jobs, most urgent first, all for one model version and all on trial or none: running,
    one attempt counted, each with a lease and a fence of its own. Where `takers` processes share the work, no more than
    its share of what waits. A job that must run alone comes alone; so does one that happens to, and an emergency that
    is to be prepared."""
    asked: dict[str, Any] = {"kind": kind, "others": limit - 1, "takers": takers, "skipped": [*skip_models]}
    asked |= {"worker": worker[:128], "lease": _lease(), "emergency": PRIORITY[Study.Urgency.EMERGENCY]}
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, asked)
        claimed = [job_id for (job_id,) in cursor.fetchall()]
    if not claimed:
        return []
    jobs = Job.objects.filter(pk__in=claimed).select_related("radiograph__study__patient", "radiograph__clinic")
    return sorted(with_version(jobs).order_by(), key=lambda job: job.fence or 0)


# More films are on their way, there is room for them, and nothing that waits already is an emergency.
_GROWS = f"""
SELECT EXISTS (SELECT FROM {_JOBS} WHERE NOT shadow AND state IN ('queued', 'running') AND kind = 'prepare')
  AND (SELECT count(*) FILTER (WHERE priority > %(emergency)s) = count(*) AND count(*) < %(limit)s FROM (
       SELECT priority FROM {_JOBS} WHERE NOT shadow AND state = 'queued' AND kind = 'infer' LIMIT %(limit)s) waiting)
"""  # noqa: S608  the table's own name


def batch_grows(limit: int) -> bool:
    """Would a batch of up to `limit` films be larger if it were claimed a moment later?"""
    with connection.cursor() as cursor:
        cursor.execute(_GROWS, {"limit": limit, "emergency": PRIORITY[Study.Urgency.EMERGENCY]})
        return bool(cursor.fetchone()[0])


def _lease() -> timedelta:
    return timedelta(seconds=settings.JOB_LEASE_SECONDS)


@contextmanager
def leases_held(jobs: Sequence[Job]) -> Iterator[None]:
    """Renew the leases from a thread of its own until the block ends. Past the deadline the process ends instead:
    whatever hangs, hangs no longer, and the sweeper takes the jobs back. A timer outside Python ends it, after writing
    where each thread stood, so it does not matter what hangs: not even code that never lets go of the interpreter."""
    faulthandler.dump_traceback_later(settings.JOB_DEADLINE_SECONDS, exit=True, file=sys.__stderr__ or sys.stderr)
    done = threading.Event()
    fences = [job.fence for job in jobs]
    thread = threading.Thread(target=_renew, args=(fences, done), name="leases", daemon=True)
    thread.start()
    try:
        with bound_contextvars(job_id=_names(jobs)):
            yield
    finally:
        done.set()
        faulthandler.cancel_dump_traceback_later()
        thread.join(timeout=5)


def _renew(fences: Sequence[int | None], done: threading.Event) -> None:
    while not done.wait(settings.JOB_LEASE_SECONDS / 3):
        try:
            leases_renew(fences)
        except DatabaseError:
            log.warning("a lease could not be renewed")
            connection.close()
    connection.close()


def leases_renew(fences: Collection[int | None]) -> None:
    """The jobs that are still held under these fences are held for another lease."""
    Job.objects.filter(fence__in=fences, state=Job.State.RUNNING).update(lease_until=Now() + _lease())


# --- outcomes, each guarded by the fence


# Found by key; of fences there is no index.
_FINISH = f"""
UPDATE {_JOBS} job SET
  state = 'succeeded', timings_ms = done.timings_ms, error_code = '', lease_until = NULL,
  finished_at = statement_timestamp()
FROM jsonb_to_recordset(%s) AS done(id uuid, fence bigint, timings_ms jsonb)
WHERE job.id = done.id AND job.fence = done.fence AND job.state = 'running'
"""  # noqa: S608  the table's own name


def jobs_finish(*jobs: Job) -> None:
    """running → succeeded, all of them or none, with their `timings_ms`, in the caller's transaction. Raises
    StaleFenceError, and the caller's rows go with it."""
    done = [
        {"id": str(job.pk), "fence": job.fence, "timings_ms": {k: round(v, 1) for k, v in job.timings_ms.items()}}
        for job in jobs
    ]
    with connection.cursor() as cursor:
        cursor.execute(_FINISH, [json.dumps(done)])
        if cursor.rowcount != len(jobs):
            raise StaleFenceError(_names(jobs))


def job_fail(job: Job, code: str) -> None:
    """running → failed for good; only staff can ask again. Raises StaleFenceError."""
    with transaction.atomic():
        failed = _held([job]).filter(pk=job.pk)
        if failed.update(state=Job.State.FAILED, error_code=code, lease_until=None, finished_at=Now()) != 1:
            raise StaleFenceError(_names([job]))
        jobs_record(job, outcome=code)
    log.error("%s job %s failed: %s", job.kind, job.pk, code)


def jobs_record(*jobs: Job, outcome: str = "ok") -> None:
    """A worker's entry for each job in the audit of the film's patient."""
    films = [(job.radiograph, job.radiograph.clinic, job.radiograph.study.patient) for job in jobs]
    audit_work(verb=jobs[0].kind, targets=films, outcome=outcome)


def _names(jobs: Sequence[Job]) -> str:
    return " ".join(str(job.pk) for job in jobs)


def stale_write_refused(job: Job) -> None:
    """A worker that was thought lost came back too late with this job. Said and counted, after the rollback."""
    log.warning("%s job %s was taken over; its late result is dropped", job.kind, job.pk)
    try:
        tally_add(Tally.STALE_WRITE)
    except DATABASE_AWAY:
        log.warning("a refused write was not counted")


def jobs_release(jobs: Sequence[Job]) -> None:
    """running → queued without costing an attempt: the machine was at fault, not the film.

    While the database is away it waits for it; when that lasts, the leases run out and the sweeper decides.
    """
    held = _held(jobs)
    for _ in range(RELEASE_TRIES):
        try:
            held.update(attempt=F("attempt") - 1, **_QUEUED_AGAIN)
            return
        except DATABASE_AWAY:
            connection.close()
            time.sleep(1)


def jobs_return(jobs: Sequence[Job], *, code: str) -> None:
    """After a fault that may be the film's: queued again, or failed with `code` at the last attempt."""
    with transaction.atomic():
        again = running_return(_held(jobs), code=code)
    if again:
        hint_publish(jobs[0].kind, count=again)


def running_return(running: QuerySet[Job], *, code: str) -> int:
    """Take running jobs back, in the caller's transaction; how many are queued again.

    Films of a shared batch do not pay for their neighbour: they come back to run alone, the attempt not
    counted. A job that ran alone fails with `code` once its attempts are used up.
    """
    shared = running.filter(solo=False)
    again = shared.update(attempt=F("attempt") - 1, **(_QUEUED_AGAIN | {"solo": True}))
    for job in running.filter(attempt__gte=MAX_ATTEMPTS).select_related("radiograph__study", "radiograph__clinic"):
        job_fail(job, code)
    return again + running.update(**_QUEUED_AGAIN)


_QUEUED_AGAIN: dict[str, Any] = {"state": Job.State.QUEUED, "lease_until": None, "started_at": None, "worker": ""}


def _held(jobs: Sequence[Job]) -> QuerySet[Job]:
    return Job.objects.filter(fence__in=[job.fence for job in jobs], state=Job.State.RUNNING)


# --- staff


def job_retry(*, user: User, job: Job) -> Job:
    """failed or cancelled → queued with fresh attempts. Raises `permission_denied`, `job_not_retriable`, and
    `ai_not_agreed` where the patient does not agree that a model reads the film.

    Where the model's input is what was damaged, the film is prepared again from its original instead: the failed job
    is cancelled, and prepare queues a new one. Gives the job that waits now.
    """
    fresh: dict[str, Any] = {"attempt": 0, "retries": F("retries") + 1, "error_code": "", "queued_at": Now()}
    fresh |= {"state": Job.State.QUEUED, "started_at": None, "finished_at": None}
    begin_again = _prepare_of(job) if job.kind == Job.Kind.INFER and job.error_code == "image_integrity" else None
    changes = {"state": Job.State.CANCELLED} if begin_again else fresh
    try:
        with transaction.atomic():
            _staff_move(user, job, changes, verb="retry", refusal="job_not_retriable")
            if FilmExpiry.objects.filter(radiograph=job.radiograph_id).exists():
                raise ApplicationError("job_not_retriable")
            if job.kind == Job.Kind.INFER and not ai_permitted(job.radiograph.study.patient):
                raise ApplicationError(NOT_AGREED)
            if begin_again:
                Job.objects.filter(pk=begin_again.pk).update(**fresh)
    except IntegrityError as error:  # another job does the same work already
        raise ApplicationError("job_not_retriable") from error
    waiting = begin_again or job
    waiting.refresh_from_db()
    hint_publish(waiting.kind)
    return waiting


def _prepare_of(job: Job) -> Job | None:
    """The job that made the input of an infer job."""
    made = Job.objects.filter(radiograph=job.radiograph_id, kind=Job.Kind.PREPARE, model_version=job.model_version_id)
    return made.filter(state=Job.State.SUCCEEDED).first()


def job_cancel(*, user: User, job: Job) -> Job:
    """queued → cancelled, or failed → cancelled: a person has seen it and nothing more is to be done. Raises
    `permission_denied` and `job_not_cancellable`."""
    changes = {"state": Job.State.CANCELLED, "finished_at": Now()}
    _staff_move(user, job, changes, verb="cancel", refusal="job_not_cancellable")
    return job


@transaction.atomic
def _staff_move(user: User, job: Job, changes: dict[str, Any], *, verb: str, refusal: str) -> None:
    """`verb` is a move of the table."""
    clinic = job.radiograph.clinic
    access.require_at(user, Action.JOB_RETRY, clinic)
    if Job.objects.filter(pk=job.pk, state__in=states_before(verb)).update(**changes) != 1:
        raise ApplicationError(refusal)
    patient = job.radiograph.study.patient
    audit_record(user=user, verb=verb, target=job, clinic=clinic, patient=patient)
    job.refresh_from_db()


# --- hints


def hint_publish(kind: str, count: int = 1, *, enough: int | None = None) -> bool:
    """Wake workers of this kind, best effort and after the commit. False when Redis could not be told in time.

    Where `enough` hints lie in Redis no further one is added: whoever takes one looks for all that waits, so they need
    not pile up. They do not expire, for that would go by the clock of the computer that reads them.
    """
    options = {
        **current_app.conf.broker_transport_options,
        "socket_timeout": HINT_SECONDS,
        "socket_connect_timeout": HINT_SECONDS,
        "max_retries": 0,
    }
    try:
        # Connections are kept, each for one publisher at a time: opening one costs more than the hint.
        with producers[current_app.connection(transport_options=options)].acquire(block=True) as producer:
            room = count if enough is None else enough - _hints_lying(producer.channel, kind)
            for _ in range(min(count, room)):
                # How long a task may take is the worker's to say: Celery would send the limits that this process knows.
                current_app.send_task(
                    f"diagnosis.{kind}", producer=producer, retry=False, time_limit=None, soft_time_limit=None
                )
    except Exception as error:  # kombu and redis-py raise many kinds; the sweeper finds the job anyway
        log.warning("no hint for %s: %s", kind, type(error).__name__)
        return False
    return True


def _hints_lying(channel: Any, kind: str) -> int:
    # Not `passive`: that asks Redis whether the queue exists, and kombu forgets the prefix of the keys when it does.
    return int(channel.queue_declare(queue=kind).message_count)

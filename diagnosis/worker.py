"""What a Celery worker process does besides its tasks: heartbeat, memory limit, model loaded before the first film.

May import: Celery, Django, `diagnosis.services`. `diagnosis.tasks` imports it, which connects the signals; in a web
process none of them is ever sent.
"""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import threading
import time
from datetime import timedelta
from typing import Any

from celery import signals
from django.db import DatabaseError, close_old_connections, connection

from diagnosis.models import Worker
from diagnosis.services import infer
from diagnosis.services.presence import Presence, worker_gone, worker_seen
from diagnosis.throughput import kinds_stuck

log = logging.getLogger("diagnosis.worker")

HEARTBEAT_SECONDS = 5
#: Work of a worker's kind that has waited so long, while nothing of that kind moved, was not heard of.
DEAF_AFTER = timedelta(seconds=45)
EXIT_DEAF = 72
#: Address space of a child that parses untrusted bytes.
CHILD_MEMORY_BYTES = 1536 * 1024 * 1024
#: What a child keeps between films, and the largest buffer of which that holds: those of a film of 8 megapixels.
CHILD_KEEPS_BYTES, _KEPT_BUFFER_BYTES = 128 * 1024 * 1024, 32 * 1024 * 1024
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h


def process_name(task: Any) -> str:
    """The worker and the process that holds a job: `prepare@host 4711`."""
    return f"{getattr(task.request, 'hostname', None) or 'worker'} {os.getpid()}"


class Heartbeat:
    """Writes the worker's row every few seconds from a thread with its own connection, also while a task runs."""

    def __init__(self, name: str, kind: str, presence: Presence) -> None:
        self._name, self._kind, self._presence = name, kind, presence
        self._listens_since: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def listens(self) -> None:
        """The model is loaded and the worker takes tasks from now on. On an old machine loading takes minutes."""
        self._listens_since = time.monotonic()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=2)

    def _run(self) -> None:
        started = False
        while not self._stop.is_set():
            try:
                worker_seen(name=self._name, kind=self._kind, presence=self._presence, started=not started)
                started = True
                self._end_if_deaf()
            except DatabaseError as error:
                log.warning("no heartbeat: %s", type(error).__name__)
                connection.close()
            self._stop.wait(HEARTBEAT_SECONDS)
        try:
            worker_gone(name=self._name)
        except DatabaseError:
            log.warning("the worker's row stays behind")
        connection.close()

    def _end_if_deaf(self) -> None:
        """A connection to Redis can die without a word, and the worker then hears of nothing. The jobs in PostgreSQL
        show it; whoever supervises starts the process anew."""
        if self._listens_since is None or self._presence.note:
            return
        if time.monotonic() - self._listens_since < DEAF_AFTER.total_seconds():
            return
        if self._kind in kinds_stuck(DEAF_AFTER):
            log.critical("work waits and this worker hears of none; it ends to be started anew")
            _exit(EXIT_DEAF)


_exit = os._exit
_FIRST_PROCESS = os.getpid()
_heartbeats: list[Heartbeat] = []


def _kind(sender: Any) -> Worker.Kind:
    return Worker.Kind.INFER if "infer" in sender.app.amqp.queues.consume_from else Worker.Kind.PREPARE


@signals.worker_init.connect
def load_for_children(sender: Any, **kwargs: Any) -> None:
    """What decodes films is loaded once, before the children that decode are forked, and never by an infer worker."""
    if _kind(sender) == Worker.Kind.PREPARE:
        import diagnosis.services.prepare  # noqa: F401


@signals.worker_ready.connect
def on_ready(sender: Any, **kwargs: Any) -> None:
    """The worker takes tasks from now on. An infer worker first loads the active model."""
    kind = _kind(sender)
    heartbeat = Heartbeat(sender.hostname, kind, infer.PRESENCE)
    heartbeat.start()
    _heartbeats.append(heartbeat)
    if kind == Worker.Kind.INFER:
        try:
            infer.warm_up()
        except DatabaseError as error:
            log.warning("the model is loaded later: %s", type(error).__name__)
    heartbeat.listens()
    log.info("%s is ready%s", sender.hostname, f": {infer.PRESENCE.engine}" if infer.PRESENCE.engine else "")


@signals.task_prerun.connect
def on_task(**kwargs: Any) -> None:
    """As before a request: the connection of earlier tasks serves again unless it is broken or old. A new one costs
    PostgreSQL as much as all statements of a film. A task that is called inside a transaction keeps that."""
    if not connection.in_atomic_block:
        close_old_connections()


@signals.worker_shutting_down.connect
def on_stop(**kwargs: Any) -> None:
    """Asked to end: no further batch is begun, and the worker signs off. Sent inside the signal handler."""
    infer.STOPPING.set()
    while _heartbeats:
        _heartbeats.pop().stop()


@signals.worker_process_init.connect
def on_child(**kwargs: Any) -> None:
    """A prefork child: the only process that parses untrusted bytes, so its memory has an end. The solo worker sends
    this signal too, from the process itself."""
    if os.getpid() == _FIRST_PROCESS:
        return
    resource.setrlimit(resource.RLIMIT_AS, (CHILD_MEMORY_BYTES, CHILD_MEMORY_BYTES))
    _keep_memory()


def _keep_memory() -> None:
    """A film's buffers stay in the child for the next film. glibc gives them back to the kernel after each, and to
    fetch them again, page by page, was a quarter of what a film costs here. Other C libraries have no such knob."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, CHILD_KEEPS_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BUFFER_BYTES)

"""Hints as Celery delivers them: each task wakes a service and says nothing else. No argument, no result, no retry.

May import: Celery, `diagnosis.services`, `diagnosis.worker`. Bare `shared_task` is banned: use `task`.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable

import pghistory
from celery import current_task, shared_task

from diagnosis import worker  # connects the worker's signals
from diagnosis.services.infer import infer_waiting
from diagnosis.services.queue import DATABASE_AWAY

log = logging.getLogger("diagnosis.tasks")


def task(name: str) -> Callable[[Callable[[], object]], Callable[[], object]]:
    """The house decorator. A hint may be lost, so an absent database is a line in the log and not a fault. Rows
    that the task changes say so in their history."""

    def decorate(function: Callable[[], object]) -> Callable[[], object]:
        @shared_task(name=name, ignore_result=True, acks_late=False, max_retries=0)
        @functools.wraps(function)
        def run() -> None:
            try:
                with pghistory.context(worker=worker.process_name(current_task)):
                    function()
            except DATABASE_AWAY as error:
                log.warning("%s: the database is away (%s)", name, type(error).__name__)
            except Exception:  # Celery would log the exception's words, which may hold a patient's data
                log.exception("%s failed", name)

        return run

    return decorate


@task("diagnosis.prepare")
def prepare() -> None:
    from diagnosis.services.prepare import prepare_waiting  # see `worker.load_for_children`

    prepare_waiting(worker=worker.process_name(current_task))


@task("diagnosis.infer")
def infer() -> None:
    infer_waiting(worker=worker.process_name(current_task))

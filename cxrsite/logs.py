"""How every process of the site writes its log: a line or a JSON object per event, with the request's and job's ids.

Everything logs through the standard library; structlog adds the ids that are bound to the current context and writes
the event. An exception is written as its kind and its places, never its words: they may hold a patient's data.
May import: the standard library and structlog; no Django, so that gunicorn's master process can use it.
"""

from __future__ import annotations

import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog
from structlog.stdlib import ExtraAdder, ProcessorFormatter

Event = MutableMapping[str, Any]

#: What `extra={…}` may add to an event. Django's own extras (the request itself) are left out.
EXTRAS = ("method", "path", "status", "milliseconds", "code", "radiograph", "stage", "attempt", "fault", "where")
PLACES_SHOWN = 12


def fault_facts(error: BaseException) -> dict[str, Any]:
    """`fault`, the kind of an exception, and `where`, the places it passed, the innermost last; never its words."""
    frames = traceback.extract_tb(error.__traceback__)[-PLACES_SHOWN:]
    places = [f"{_module(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]
    return {"fault": type(error).__qualname__, "where": places}


def fault_without_words(logger: Any, name: str, event: Event) -> Event:
    """Replaces an exception that came with an event by its facts."""
    event.pop("stack_info", None)
    found = event.pop("exc_info", None)
    error = found[1] if isinstance(found, tuple) else found
    return {**event, **fault_facts(error)} if isinstance(error, BaseException) else event


def _module(path: str) -> str:
    """The last two parts of a file's path: enough to find it, and nothing of the machine."""
    return "/".join(path.split("/")[-2:])


def line(logger: Any, name: str, event: Event) -> str:
    """`INFO diagnosis.prepare film is ready request_id=… job_id=…`, for people who watch a terminal."""
    event.pop("timestamp", None)
    start = f"{event.pop('level').upper()} {event.pop('logger')} {event.pop('event')}"
    where = event.pop("where", ())
    words = [start, *(f"{key}={value}" for key, value in event.items())]
    return "\n    ".join([" ".join(words), *where])


RENDERERS = {"line": line, "json": structlog.processors.JSONRenderer()}


def logging_config(*, level: str, form: str) -> dict[str, Any]:
    """The argument of `logging.config.dictConfig`. `form` is `line` or `json`."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "event": {
                "()": ProcessorFormatter,
                "foreign_pre_chain": [
                    structlog.contextvars.merge_contextvars,
                    structlog.stdlib.add_log_level,
                    structlog.stdlib.add_logger_name,
                    ExtraAdder(allow=EXTRAS),
                    structlog.processors.TimeStamper(fmt="iso", utc=True),
                    fault_without_words,
                ],
                "processors": [ProcessorFormatter.remove_processors_meta, RENDERERS[form]],
            },
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "event"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            # Two lines per message, and a message says little: the jobs' own lines tell what was done.
            **{name: {"level": "WARNING"} for name in ("celery.app.trace", "celery.worker.strategy")},
            # It would list the letters of every paper, a patient's name among them.
            "fontTools": {"level": "WARNING"},
            # `cxrsite.requests` writes each request once, `cxrsite.problems` where a fault was.
            "django.request": {"level": "CRITICAL"},
        },
    }

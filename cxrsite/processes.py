"""The processes that make up the running site: one table for `manage.py up` and for docker-compose.yml.

May import: the standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Process:
    """One long-running program. `command` is relative to the virtual environment's `bin`. `manage.py up` starts it
    `after` so many seconds."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    after: float = 0.0


#: One thread of arithmetic per process, except for the network itself, which takes what the machine has.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
#: A stop asks the prefork worker to finish its tasks within the soft shutdown time of the settings, then to leave. The
#: solo worker finishes its batch on a plain SIGTERM; a soft shutdown would sleep inside its task and then break it.
_SOFT_STOP = {"REMAP_SIGTERM": "SIGQUIT"}
#: Which device answers is said by the worker; the log level hides the search for a GPU where there is none.
_TENSORFLOW = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_FORCE_GPU_ALLOW_GROWTH": "true", "KERAS_BACKEND": "tensorflow"}
_WORKER = ("celery", "-q", "-A", "cxrsite", "worker", "-l", "INFO", "--without-gossip", "--without-mingle")

PROCESSES = (
    Process("web", ("gunicorn", "-c", "python:cxrsite.gunicorn", "cxrsite.wsgi"), _ONE_THREAD),
    Process(
        "prepare-worker",
        (*_WORKER, "-Q", "prepare", "-P", "prefork", "-n", "prepare@%h"),
        {**_SOFT_STOP, **_ONE_THREAD},
    ),
    Process(
        "infer-worker",
        (*_WORKER, "-Q", "infer", "-P", "solo", "-n", "infer@%h"),
        _TENSORFLOW,
    ),
    # Two, so that one that dies or hangs is not missed: a lock in the database lets one sweep at a time. When the site
    # starts, what an earlier run left can wait a little longer than those who wait for web and workers.
    *(Process(name, ("python", "manage.py", "sweeper"), _ONE_THREAD, after=5) for name in ("sweeper", "sweeper-2")),
)

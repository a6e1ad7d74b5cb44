"""Starts, kills and awaits real workers and sweepers, by the command lines of the running site, on the test's database.

May import: the standard library, redis, Celery, Django's settings, `cxrsite.processes`,
`diagnosis.models`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import redis
from celery import current_app
from django.conf import settings

from cxrsite.processes import PROCESSES
from diagnosis.models import Job

PASSED_ON = (
    "DATABASES",
    "MEDIA_ROOT",
    "MODEL_ROOT",
    "FILE_UPLOAD_TEMP_DIR",
    "JOB_LEASE_SECONDS",
    "JOB_DEADLINE_SECONDS",
    "SWEEP_SECONDS",
    "CELERY_BROKER_URL",
    "CELERY_BROKER_TRANSPORT_OPTIONS",
    "CELERY_TASK_TIME_LIMIT",
    "CELERY_TASK_SOFT_TIME_LIMIT",
    "CELERY_WORKER_MAX_TASKS_PER_CHILD",
    "INFER_BATCH",
    "PREDICTOR_LOADER",
    "ALLOW_FAKE_RESULTS",
)


class Workers:
    """Processes of the site by name, each in a process group of its own: `prepare`, `infer`, `sweeper`,
    `sweeper-2`, `web`. `infer.b` is a second infer worker. `programs` puts a Python module in the place of one."""

    def __init__(self, log_folder: Path, programs: Mapping[str, str] | None = None) -> None:
        self._logs = log_folder
        self._programs = dict(programs or {})
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.deaths: Counter[str] = Counter()
        self.environment: dict[str, str] = {}

    def start(self, *names: str) -> None:
        for name in names:
            self._start(name)

    def _start(self, name: str) -> None:
        kind = name.partition(".")[0]
        process = next(each for each in PROCESSES if each.name in (kind, f"{kind}-worker"))
        given = {name: getattr(settings, name) for name in PASSED_ON if hasattr(settings, name)}
        given["DATABASES"] = {"default": {**settings.DATABASES["default"], "TEST": {}}}
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "tests.diagnosis.worker_settings",
            "CXR_TEST_WORKER": json.dumps(given, default=str),
            "PGAPPNAME": name,
            **process.environment,
            **self.environment,
        }
        with (self._logs / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                self._command(name, process.command),
                env=environment,
                cwd=settings.BASE_DIR,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _command(self, name: str, command: Sequence[str]) -> list[str]:
        if name in self._programs:
            return [sys.executable, "-m", self._programs[name]]
        if command[0] == "python":
            return [sys.executable, *command[1:]]
        if command[0] == "gunicorn":
            return [sys.executable, "-m", *command]
        more = ["-n", f"{name}@test", "--concurrency", "2", "--include", "tests.diagnosis.worker_faults"]
        return [sys.executable, "-m", *command, *more]

    def pid(self, name: str) -> int:
        return self._running[name].pid

    def is_dead(self, name: str) -> bool:
        return self._running[name].poll() is not None

    def status(self, name: str) -> str:
        """As psutil names it: running, sleeping, stopped …"""
        return psutil.Process(self._running[name].pid).status()

    def signal(self, name: str, sent: signal.Signals) -> None:
        self._running[name].send_signal(sent)

    def kill(self, kind: str) -> None:
        """kill -9 of the main process alone, as the kernel would when memory runs out."""
        process = self._running[kind]
        process.kill()
        process.wait()

    def reload_web(self) -> None:
        """SIGHUP: gunicorn starts new web workers and lets the old ones finish what they serve."""
        self.signal("web", signal.SIGHUP)

    def stop(self, kind: str) -> int:
        """SIGTERM, as the supervisor stops a worker; its exit status."""
        process = self._running.pop(kind)
        process.terminate()
        return process.wait(timeout=30)

    def restart_the_dead(self) -> None:
        """What the supervisor does."""
        for kind, process in self._running.items():
            if process.poll() is not None:
                self.deaths[kind] += 1
                self._start(kind)

    def end(self) -> None:
        """Kill what runs, and print what everything said, which pytest shows when the test failed."""
        for process in self._running.values():
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            process.wait()
        for log in sorted(self._logs.glob("*.log")):
            print(f"--- {log.name}\n{log.read_text(errors='replace')[-20_000:]}")

    def log(self, kind: str) -> str:
        return (self._logs / f"{kind}.log").read_text()


def hints_forget() -> None:
    """Redis loses everything that the tests put there."""
    address = settings.CELERY_BROKER_URL.replace("redis+socket://", "unix://")
    prefix = current_app.conf.broker_transport_options["global_keyprefix"]
    with redis.Redis.from_url(address) as client:
        for key in client.scan_iter(f"{prefix}*"):
            client.delete(key)


def jobs_open(*kinds: str) -> int:
    """How many jobs, of all kinds or of these, still wait or run."""
    return Job.objects.filter(state__in=["queued", "running"], kind__in=kinds or Job.Kind.values).count()


def wait_for(condition: Callable[[], Any], *, seconds: float = 60, meanwhile: Callable[[], Any] = lambda: None) -> Any:
    """Poll until `condition` holds; its value. Fails the test when it never does."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen within {seconds} s")
        meanwhile()
        time.sleep(0.2)
    return value

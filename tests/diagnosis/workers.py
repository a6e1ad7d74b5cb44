"""Starts, kills and awaits real Celery workers, by the command lines of the running site, on the test's database.

May import: the standard library, redis, Celery, Django's settings, `cxrsite.processes`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
from celery import current_app
from django.conf import settings

from cxrsite.processes import PROCESSES

PASSED_ON = (
    "DATABASES",
    "MEDIA_ROOT",
    "MODEL_ROOT",
    "FILE_UPLOAD_TEMP_DIR",
    "JOB_LEASE_SECONDS",
    "INFER_BATCH",
    "PREDICTOR_LOADER",
    "ALLOW_FAKE_RESULTS",
)


class Workers:
    """One worker process per kind, each in a process group of its own."""

    def __init__(self, log_folder: Path) -> None:
        self._logs = log_folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *kinds: str) -> None:
        for kind in kinds:
            self._start(kind)

    def _start(self, kind: str) -> None:
        process = next(each for each in PROCESSES if each.name == f"{kind}-worker")
        given = {name: getattr(settings, name) for name in PASSED_ON if hasattr(settings, name)}
        given["DATABASES"] = {"default": {**settings.DATABASES["default"], "TEST": {}}}
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "tests.diagnosis.worker_settings",
            "CXR_TEST_WORKER": json.dumps(given, default=str),
            **process.environment,
        }
        command = [sys.executable, "-m", *process.command, "-n", f"{kind}@test"]
        command += ["--concurrency", "2", "--include", "tests.diagnosis.worker_faults"]
        with (self._logs / f"{kind}.log").open("ab") as log:
            self._running[kind] = subprocess.Popen(
                command, env=environment, cwd=settings.BASE_DIR, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self, kind: str) -> None:
        """kill -9 of the main process alone, as the kernel would when memory runs out."""
        process = self._running[kind]
        process.kill()
        process.wait()

    def stop(self, kind: str) -> int:
        """SIGTERM, as the supervisor stops a worker; its exit status."""
        process = self._running.pop(kind)
        process.terminate()
        return process.wait(timeout=30)

    def restart_the_dead(self) -> None:
        """What the supervisor does."""
        for kind, process in self._running.items():
            if process.poll() is not None:
                self._start(kind)

    def end(self) -> None:
        for process in self._running.values():
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            process.wait()

    def log(self, kind: str) -> str:
        return (self._logs / f"{kind}.log").read_text()


def hints_forget() -> None:
    """Redis loses everything that the tests put there."""
    address = settings.CELERY_BROKER_URL.replace("redis+socket://", "unix://")
    prefix = current_app.conf.broker_transport_options["global_keyprefix"]
    with redis.Redis.from_url(address) as client:
        for key in client.scan_iter(f"{prefix}*"):
            client.delete(key)


def wait_for(condition: Callable[[], Any], *, seconds: float = 60, meanwhile: Callable[[], Any] = lambda: None) -> Any:
    """Poll until `condition` holds; its value. Fails the test when it never does."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen within {seconds} s")
        meanwhile()
        time.sleep(0.2)
    return value

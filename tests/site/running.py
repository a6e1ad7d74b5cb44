"""Helpers for tests that start the site as a person would, in a folder of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]


def wait_until(condition: Callable[[], object], seconds: float = 40, what: str = "") -> None:
    """Return as soon as the condition holds; fail with `what` when it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or condition}"
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(var_dir: Path, **more: str) -> dict[str, str]:
    """This process's environment with its own data folder and embedded servers."""
    return {
        **os.environ,
        "VAR_DIR": str(var_dir),
        "DATABASE_URL": "",
        "DATABASE_OWNER_URL": "",
        "REDIS_URL": "",
        "DJANGO_SETTINGS_MODULE": "cxrsite.settings.local",
        **more,
    }


class Site:
    """`manage.py up` in its own data folder."""

    def __init__(self, var_dir: Path, port: int, **more: str) -> None:
        """`more` are further variables of the environment."""
        self.var_dir, self.port, self.more = var_dir, port, more
        self.log = var_dir.parent / f"up-{time.monotonic_ns()}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def environment(self) -> dict[str, str]:
        small = {"WEB_WORKERS": "1", "PREPARE_CONCURRENCY": "1"}
        return environment(self.var_dir, **small | self.more, PORT=str(self.port))

    def wait_until_ready(self, seconds: float = 90) -> None:
        wait_until(
            lambda: "The site answers" in self.output or self.process.poll() is not None, seconds, f"ready: {self.log}"
        )
        assert self.process.poll() is None, self.output

    @property
    def output(self) -> str:
        return self.log.read_text()

    def tree(self) -> list[psutil.Process]:
        """Every process that `up` started, at any depth, and `up` itself."""
        try:
            up = psutil.Process(self.process.pid)
            return [up, *up.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def find(self, *words: str) -> list[psutil.Process]:
        """Processes of the tree whose command line has every one of these words in it."""
        found = []
        for process in self.tree():
            with suppress(psutil.Error):
                if all(word in " ".join(process.cmdline()) for word in words):
                    found.append(process)
        return found

    def manage(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *args],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def kill_all(self) -> None:
        """For the end of a test that went wrong."""
        for process in self.tree():
            with suppress(psutil.Error):
                process.kill()
        self.process.wait(20)


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [each for each in processes if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]

"""The real site in a folder of its own, started as a person starts it, and seen from outside: processes, SQL, log.

May import: psutil, psycopg2, `cxrsite.keeper`, `tests.site.running`; no Django, so that the judge owes nothing to the
code it judges.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from cxrsite.keeper import die_with_parent
from tests.faults.designs import Design
from tests.site import running
from tests.site.running import ROOT, free_port, wait_until

LEASE_SECONDS = 3
START_SECONDS = 240
STOP_SECONDS = 60
AWAY = (psycopg2.OperationalError, psycopg2.InterfaceError)


class Site:
    """`folder` is its VAR_DIR, set up by `tests.faults.world`."""

    def __init__(self, folder: Path, design: Design) -> None:
        self.folder, self.design = folder, design
        self.disk = folder / "disk"
        self.log = folder / "site.log"
        self.world: dict[str, Any] = json.loads((folder / "world.json").read_text())
        self.port = free_port()
        self._up: subprocess.Popen[bytes] | None = None

    def environment(self) -> dict[str, str]:
        return environment(self.folder, self.design.settings) | {"PORT": str(self.port)}

    # --- its life

    def start(self) -> None:
        """Returns when web and every worker work."""
        with self.log.open("ab") as log:
            self._up = subprocess.Popen(
                [sys.executable, *self.design.command],
                cwd=ROOT,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )
        workers = sum("worker" in process.name for process in self.design.processes)
        ready = f"every worker is ready: {self.log}"
        wait_until(lambda: self.logged(r"@\S+ is ready") >= workers and self.answers(), START_SECONDS, ready)

    def stop(self) -> None:
        if self._up is None:
            return
        self._up.terminate()
        try:
            self._up.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            for process in [*psutil.Process(self._up.pid).children(recursive=True), psutil.Process(self._up.pid)]:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            self._up.wait()

    def answers(self) -> bool:
        """Can it take in films?"""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=3) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    # --- what can be hit

    def mains(self, part: str) -> list[psutil.Process]:
        """The main processes that play a part now."""
        assert self._up is not None
        wanted = [process.command[1:] for process in self.design.named(part)]
        return [each for each in _children(self._up.pid) if any(_ends_with(each, tail) for tail in wanted)]

    def children(self, part: str) -> list[psutil.Process]:
        return [child for main in self.mains(part) for child in _children(main.pid)]

    def server(self, name: str) -> list[psutil.Process]:
        """The process of `postgres` or `redis`."""
        with suppress(OSError, LookupError, ValueError, psutil.NoSuchProcess):
            found = psutil.Process(int((self.folder / "servers" / f"{name}.pid").read_text().split()[0]))
            return [found] if found.status() != psutil.STATUS_ZOMBIE else []
        return []

    # --- what can be seen

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Asked as the database's owner, who sees every row. Raises one of `AWAY`."""
        with self._connection() as connection, connection.cursor() as cursor:
            cursor.execute(query, values)
            return list(cursor.fetchall())

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        connection = psycopg2.connect(
            host=str(self.sockets), user="postgres", dbname="cxrsite", connect_timeout=3, options="-c jit=off"
        )
        try:
            yield connection
        finally:
            connection.close()

    @cached_property
    def sockets(self) -> Path:
        """Where PostgreSQL and Redis listen."""
        command = [sys.executable, "-c", "from cxrsite.embedded import socket_folder; print(socket_folder())"]
        said = subprocess.run(command, cwd=ROOT, env=self.environment(), check=True, capture_output=True, text=True)
        return Path(said.stdout.strip())

    def logged(self, pattern: str) -> int:
        """How many lines of the site's log match."""
        if not self.log.exists():
            return 0
        with self.log.open(errors="replace") as lines:
            return sum(bool(re.search(pattern, line)) for line in lines)

    def manage(self, *arguments: str) -> tuple[int, str]:
        """Exit status of a management command, and what it prints."""
        said = subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=self.environment(), capture_output=True, text=True
        )
        return said.returncode, said.stdout + said.stderr


@contextmanager
def own_folder(*, keep: bool = False) -> Iterator[Path]:
    """A folder for sites, under `var/`: its parents let PostgreSQL's account pass. Gone afterwards."""
    (ROOT / "var").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="faults-", dir=ROOT / "var"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def environment(folder: Path, settings: str) -> dict[str, str]:
    """The environment of a site in `folder`: small lease, frequent sweeps, nothing of the caller's own site."""
    return running.environment(
        folder,
        DJANGO_SETTINGS_MODULE=settings,
        MEDIA_DIR=str(folder / "disk" / "media"),
        MODEL_DIR=str(folder / "models"),
        HOST="127.0.0.1",
        JOB_LEASE_SECONDS=str(LEASE_SECONDS),
        SWEEP_SECONDS="1",
        PREPARE_CONCURRENCY="2",
        WEB_WORKERS="2",
        LOG_LEVEL="INFO",
    )


def _children(pid: int) -> list[psutil.Process]:
    try:
        return sorted(psutil.Process(pid).children(), key=lambda process: process.pid)
    except psutil.NoSuchProcess:
        return []


def _ends_with(process: psutil.Process, tail: tuple[str, ...]) -> bool:
    try:
        return tuple(process.cmdline()[-len(tail) :]) == tail
    except psutil.Error:
        return False

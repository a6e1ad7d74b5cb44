"""The real site in a folder of its own, at the size `make run` gives it, and gone afterwards.

May import: psutil, psycopg2, `tests.site`; no Django, so that what is measured is seen from outside.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.found import CannotRun
from tests.site.prepared import cluster_copy
from tests.site.running import ROOT, Site, free_port

START_SECONDS, STOP_SECONDS = 240, 60
#: The sizes of `.env.example`, which tests make smaller; and no limit on requests, for a program sends them.
AS_MADE = {"WEB_WORKERS": "2", "PREPARE_CONCURRENCY": "2", "LOG_LEVEL": "INFO"}
UNLIMITED = "visitor=1000000;person=1000000;token=1000000;upload=1000000;search=1000000"


@contextmanager
def own_folder() -> Iterator[Path]:
    """A folder under `var/`, whose parents let PostgreSQL's account pass. Gone afterwards."""
    (ROOT / "var").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=ROOT / "var"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def started(folder: Path, **more: str) -> Iterator[Site]:
    """`manage.py up` with its database in `folder`, migrated; `Site.process` may still be starting."""
    cluster_copy(folder / "var")
    site = Site(folder / "var", free_port(), **AS_MADE, RATE_LIMITS=UNLIMITED, **more)
    try:
        yield site
    finally:
        site.process.send_signal(signal.SIGINT)
        try:
            site.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            site.kill_all()


def alive(site: Site) -> None:
    """Raises CannotRun with the last lines of its log when the site has ended."""
    if site.process.poll() is not None:
        raise CannotRun(f"the site ended: {' / '.join(site.output.splitlines()[-4:])}")


def sockets(site: Site) -> str:
    """The folder in which the site's PostgreSQL listens."""
    command = [sys.executable, "-c", "from cxrsite.embedded import socket_folder; print(socket_folder())"]
    said = subprocess.run(command, cwd=ROOT, env=site.environment, check=True, capture_output=True, text=True)
    return said.stdout.strip()


@contextmanager
def database(site: Site) -> Iterator[Any]:
    """A cursor of the owner's, who sees every row; each statement sees what is committed."""
    import psycopg2

    connection = psycopg2.connect(host=sockets(site), user="postgres", dbname="cxrsite", options="-c jit=off")
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def token(site: Site, username: str = "operator") -> str:
    """What a program signs in with."""
    said = site.manage("issue_token", username)
    if said.returncode:
        raise CannotRun(f"no token: {said.stderr.strip()}")
    return said.stdout.split()[-1]


def inside(folder: Path, **more: str) -> dict[str, str]:
    """The environment of a process that has a migrated database of its own in `folder` and runs Django itself."""
    cluster_copy(folder / "var")
    return {
        "VAR_DIR": str(folder / "var"), "DATABASE_URL": "", "DATABASE_OWNER_URL": "", "REDIS_URL": "",
        "DJANGO_SETTINGS_MODULE": "bench.settings", "RATE_LIMITS": UNLIMITED, "LOG_LEVEL": "WARNING", **more,
    }  # fmt: skip


def as_json(text: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(text))
    except ValueError:
        return {}

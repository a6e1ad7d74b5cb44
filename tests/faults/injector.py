"""Does the damage: each fault of the plan at its time, and its healing where it has one.

May import: psutil, redis, `tests.faults`. What it flips or fills it puts right again, except the byte of a film.
"""

from __future__ import annotations

import heapq
import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil
import redis

from mlcore.card import WEIGHTS_FILE
from tests.faults.plan import Fault
from tests.faults.site import AWAY, LEASE_SECONDS, Site

PAUSED_SECONDS = LEASE_SECONDS + 4
FROZEN_SECONDS = 3
AWAY_SECONDS = 8
FULL_SECONDS = 3
CHANGED_SECONDS = 4
#: A fault that finds nothing to hit (a process is just being restarted, no worker holds a job) waits so long for it.
WAIT_SECONDS = 6

Item = TypeVar("Item")
Heal = tuple[float, Callable[[], None]]


class NothingToHitError(Exception):
    """Nothing of that kind runs, or waits, at this moment."""


@dataclass
class Injected:
    """What became of a planned fault; `target` is empty when it never found one, or was left out."""

    fault: Fault
    at: float = 0.0
    target: str = ""


@dataclass
class Injector:
    """`left_out` names kinds that cannot be done here, with the reason."""

    site: Site
    faults: Sequence[Fault]
    left_out: dict[str, str]
    injected: list[Injected] = field(default_factory=list)
    damaged: set[str] = field(default_factory=set)
    _start: float = 0.0
    _over: bool = False
    _last_try: bool = False
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _agenda: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)

    def begin(self) -> None:
        """Time runs from now."""
        self._start = time.monotonic()
        for fault in self.faults:
            self._at(fault.at, lambda fault=fault: self._inject(fault))

    def work(self) -> None:
        """Do what is due."""
        while self._agenda and self._agenda[0][0] <= time.monotonic() - self._start:
            heapq.heappop(self._agenda)[2]()

    def heal(self) -> None:
        """Whatever is still broken is put right now; faults that found no target in time are given up."""
        self._over = True
        while self._agenda:
            heapq.heappop(self._agenda)[2]()

    def _at(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (seconds, next(self._numbers), action))

    def _inject(self, fault: Fault) -> None:
        now = time.monotonic() - self._start
        if fault.kind in self.left_out:
            return
        self._last_try = self._over or now >= fault.at + WAIT_SECONDS
        try:
            target, heal = _INJECT[fault.kind](self, fault.pick)
        except (NothingToHitError, psutil.Error, redis.RedisError, OSError, *AWAY):
            if not self._last_try:
                self._at(now + 0.1, lambda: self._inject(fault))
            else:
                self.injected.append(Injected(fault, now))
            return
        self.injected.append(Injected(fault, now, target))
        if heal is not None:
            self._at(now + heal[0], heal[1])

    # --- processes

    def kill(self, found: list[psutil.Process], pick: float) -> tuple[str, None]:
        process = _choose(found, pick)
        name = _name(process)
        process.kill()
        return name, None

    def pause(self, found: list[psutil.Process], pick: float, seconds: float) -> tuple[str, Heal]:
        process = _choose([each for each in found if each.status() != psutil.STATUS_STOPPED], pick)
        process.suspend()

        def go_on() -> None:
            with suppress(psutil.NoSuchProcess):
                process.resume()

        return _name(process), (seconds, go_on)

    def worker_pause(self, pick: float) -> tuple[str, Heal]:
        """A process that holds a job, until its lease is long over: a prepare child, or the infer worker itself."""
        workers = [*(self.site.children("infer") or self.site.mains("infer")), *self.site.children("prepare")]
        process = _choose(self._at_work(workers), pick)
        target, heal = self.pause([process], pick, PAUSED_SECONDS)
        if not self._at_work([process]):  # it had just finished
            heal[1]()
            raise NothingToHitError
        return target, heal

    def _at_work(self, found: list[psutil.Process]) -> list[psutil.Process]:
        """Those that hold a job, as they said when they claimed it; all, where the design does not know, or where
        nobody got a job in all the time there was."""
        if self._last_try or not self.site.design.leases:
            return found
        running = self.site.rows("SELECT worker FROM diagnosis_job WHERE state = 'running'")
        holders = {int(worker.split()[-1]) for (worker,) in running}
        return [each for each in found if each.pid in holders]

    def redis_empty(self, pick: float) -> tuple[str, None]:
        with redis.Redis(unix_socket_path=str(self.site.sockets / "redis.sock"), socket_timeout=2) as client:
            lost = client.dbsize()
            client.flushall()
        return f"{self.kill(self.site.server('redis'), pick)[0]}, {lost} keys", None

    def redis_away(self, pick: float) -> tuple[str, Heal]:
        """It dies, and what would restart it is held up."""
        server = _choose(self.site.server("redis"), pick)
        keeper = server.parent()
        if keeper is None or "cxrsite.keeper" not in keeper.cmdline():
            raise NothingToHitError
        target, heal = self.pause([keeper], pick, AWAY_SECONDS)
        server.kill()
        return target, heal

    # --- the disk

    def disk_fill(self, pick: float) -> tuple[str, Heal]:
        ballast = self.site.disk / "ballast"
        if ballast.exists():
            raise NothingToHitError
        with ballast.open("wb") as file, suppress(OSError):
            room = os.statvfs(self.site.disk)
            os.posix_fallocate(file.fileno(), 0, max(room.f_bavail * room.f_frsize, 1))
            while True:
                os.write(file.fileno(), b"\0" * 4096)
        return f"{ballast.stat().st_size >> 20} MiB", (FULL_SECONDS, lambda: ballast.unlink(missing_ok=True))

    def film_damage(self, pick: float) -> tuple[str, None]:
        """A byte of a stored original that nobody has read yet; never the same film twice."""
        waiting = self.site.rows(
            "SELECT r.sha256 FROM diagnosis_radiograph r JOIN diagnosis_job j ON j.radiograph_id = r.id"
            " WHERE j.state = 'queued' AND j.kind = 'prepare' ORDER BY j.queued_at DESC"
        )
        originals = {sha256: self.site.disk / "media" / "originals" / sha256[:2] / sha256 for (sha256,) in waiting}
        sha256 = _choose([each for each in originals if each not in self.damaged], pick)
        _flip(originals[sha256], pick)
        self.damaged.add(sha256)
        return f"film {sha256[:8]}", None

    def model_damage(self, pick: float) -> tuple[str, Heal]:
        """A byte of the weights, and the worker that had loaded them starts anew."""
        weights = self.site.folder / "models" / self.site.world["model"]["folder"] / WEIGHTS_FILE
        found = self.site.mains("infer")
        if (weights.parent / "changed").exists() or not found:
            raise NothingToHitError
        (weights.parent / "changed").touch()
        _flip(weights, pick)

        def restore() -> None:
            _flip(weights, pick)
            (weights.parent / "changed").unlink()

        self.kill(found, pick)
        return f"byte of {WEIGHTS_FILE}", (CHANGED_SECONDS, restore)


_INJECT: dict[str, Callable[[Injector, float], tuple[str, Any]]] = {
    "web killed": lambda self, pick: self.kill(self.site.mains("web"), pick),
    "web child killed": lambda self, pick: self.kill(self.site.children("web"), pick),
    "prepare worker killed": lambda self, pick: self.kill(self.site.mains("prepare"), pick),
    "prepare child killed": lambda self, pick: self.kill(self._at_work(self.site.children("prepare")), pick),
    "infer worker killed": lambda self, pick: self.kill(self._at_work(self.site.mains("infer")), pick),
    "sweeper killed": lambda self, pick: self.kill(self.site.mains("sweeper"), pick),
    "worker paused": Injector.worker_pause,
    "redis killed": lambda self, pick: self.kill(self.site.server("redis"), pick),
    "redis emptied": Injector.redis_empty,
    "redis frozen": lambda self, pick: self.pause(self.site.server("redis"), pick, FROZEN_SECONDS),
    "redis away": Injector.redis_away,
    "postgres killed": lambda self, pick: self.kill(self.site.server("postgres"), pick),
    "disk full": Injector.disk_fill,
    "film damaged": Injector.film_damage,
    "model damaged": Injector.model_damage,
}


def _choose(found: Sequence[Item], pick: float) -> Item:
    if not found:
        raise NothingToHitError
    return found[int(pick * len(found))]


def _name(process: psutil.Process) -> str:
    return f"process {process.pid}"


def _flip(path: Path, pick: float) -> None:
    """One bit of one byte is turned over; doing it again puts it right."""
    mode = path.stat().st_mode
    path.chmod(mode | 0o200)
    with path.open("r+b") as file:
        place = int(pick * path.stat().st_size)
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1]))
    path.chmod(mode)

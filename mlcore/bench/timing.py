"""Timing of work that a device does behind the caller's back.

May import: NumPy. Every engine measures through here, so that a number means the same in all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_WARM_UP = 3
_BLOCKS = 5


@dataclass(frozen=True, slots=True)
class Effort:
    """How long a case is measured: until `seconds` have passed and `least` calls were made, at most `most`."""

    seconds: float = 1.2
    least: int = 20
    most: int = 200

    @classmethod
    def quick(cls) -> Effort:
        return cls(0.2, 3, 10)


def first_call(call: Callable[[], Any]) -> float:
    """Seconds of the first call, which compiles and chooses kernels."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def latency(call: Callable[[], Any], effort: Effort) -> list[float]:
    """Seconds of each call; `call` returns only when its result is there. A few calls before are not counted."""
    for _ in range(min(_WARM_UP, effort.least)):
        call()
    seconds: list[float] = []
    ends = time.perf_counter() + effort.seconds
    while len(seconds) < effort.least or (time.perf_counter() < ends and len(seconds) < effort.most):
        seconds.append(first_call(call))
    return seconds


def steady(start: Callable[[], Any], wait: Callable[[Any], None], seconds: float, block: float) -> float:
    """Seconds per call when calls are queued one behind the other and only the last is waited for: the median of
    several blocks of about `block` seconds. `seconds` is what one call takes alone."""
    calls = int(np.clip(block / max(seconds, 1e-6), 2, 500))

    def run() -> None:
        result = None
        for _ in range(calls):
            result = start()
        wait(result)

    return float(np.median([first_call(run) for _ in range(_BLOCKS)])) / calls


def summary(seconds: Sequence[float]) -> dict[str, float | int]:
    """Median and 95th percentile in milliseconds, and how many calls they are of."""
    median, slow = np.percentile(seconds, [50, 95]) * 1000
    return {"p50_ms": round(float(median), 3), "p95_ms": round(float(slow), 3), "calls": len(seconds)}

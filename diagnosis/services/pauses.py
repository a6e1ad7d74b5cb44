"""Models that met trouble of the machine are left alone for a while, longer each time: no queue is spun for nothing.

May import: the standard library only. Used by `infer`, in the memory of one worker process.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import UUID

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 60.0


class Pauses:
    """Who is paused, until when, and how long the last pause was."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[UUID, tuple[float, float]] = {}

    def begin(self, model: UUID) -> float:
        """Trouble again: twice as long as the last time. The seconds."""
        _, last = self._until.get(model, (0.0, FIRST_SECONDS / 2))
        seconds = min(last * 2, LONGEST_SECONDS)
        self._until[model] = (self._clock() + seconds, seconds)
        return seconds

    def end(self, model: UUID) -> None:
        """It works."""
        self._until.pop(model, None)

    def paused(self) -> set[UUID]:
        now = self._clock()
        return {model for model, (until, _) in self._until.items() if until > now}

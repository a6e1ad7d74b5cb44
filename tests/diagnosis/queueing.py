"""Days of a reading room, played through: films arrive at random, one reader takes whatever stands first.

Uses the real order of `diagnosis.triage`, moment for moment as `diagnosis.services.reading` does, without a database.
docs/worklist.md has the table that this prints; see there how.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from diagnosis import triage

#: Minutes that a film takes on average. Reading times scatter as a gamma distribution of shape two.
READ_MINUTES = 5.0
#: How many films are critical; the model overlooks a few of them and raises a few others.
CRITICAL_SHARE = 0.1
#: Of the critical ones so many were sent as an emergency.
EMERGENCY_SHARE = 0.1
#: Films that the model could not judge.
UNANSWERED_SHARE = 0.03
SEVERITY, THRESHOLD = 1.0, 0.3
MAX_WAIT = timedelta(hours=24)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Film:
    """Minutes since the beginning, minutes of reading, and what is known of it. `critical` nobody knows."""

    arrives: float
    takes: float
    critical: bool
    requested: str
    calibrated: float | None


def films_arrive(seed: int, count: int, load: float, share: float = CRITICAL_SHARE) -> list[Film]:
    """A Poisson stream; `load` is arrivals per reading time. A calibrated probability is mostly high where the film is
    critical (Beta 5, 2) and mostly low where it is not (Beta 1, 7)."""
    chance = random.Random(seed)
    films, now = [], 0.0
    for _ in range(count):
        now += chance.expovariate(load / READ_MINUTES)
        critical = chance.random() < share
        probability = chance.betavariate(5, 2) if critical else chance.betavariate(1, 7)
        emergency = critical and chance.random() < EMERGENCY_SHARE
        unanswered = chance.random() < UNANSWERED_SHARE
        films.append(
            Film(
                arrives=now,
                takes=chance.gammavariate(2, READ_MINUTES / 2),
                critical=critical,
                requested="emergency" if emergency else "routine",
                calibrated=None if unanswered else probability,
            )
        )
    return films


def waits_of(films: list[Film], *, in_turn: bool = False) -> list[float]:
    """Minutes that each film waits until somebody begins to read it; `in_turn`: first in, first out."""
    waiting: list[tuple[object, int]] = []
    lately: deque[float] = deque(maxlen=triage.LATELY)
    waits, now, came = [0.0] * len(films), 0.0, 0
    while waiting or came < len(films):
        if not waiting:
            now = max(now, films[came].arrives)
        while came < len(films) and films[came].arrives <= now:
            film = films[came]
            heapq.heappush(waiting, (film.arrives if in_turn else _stands(film, lately), came))
            came += 1
        _, first = heapq.heappop(waiting)
        waits[first] = now - films[first].arrives
        now += films[first].takes
        lately.append(now - films[first].arrives)
    return waits


def _stands(film: Film, lately: deque[float]) -> tuple[bool, datetime]:
    found = 0.0
    if film.calibrated is not None:
        found = triage.weight(severity=SEVERITY, calibrated=film.calibrated, threshold=THRESHOLD)
    urgency, _ = triage.urgency_combine(film.requested, found, answered=film.calibrated is not None)
    mean = timedelta(minutes=sum(lately) / len(lately)) if lately else None
    most = triage.head_start_at_most(mean, MAX_WAIT)
    place = triage.stands_at(BEGIN + timedelta(minutes=film.arrives), urgency, most)
    return film.requested != "emergency", place


@dataclass(frozen=True, slots=True)
class Outcome:
    """Minutes: mean wait of critical films and longest of any, in the order of the list and first in, first out."""

    critical: float
    critical_in_turn: float
    longest: float
    longest_in_turn: float

    @property
    def saved(self) -> float:
        """By how much the mean wait of critical films is shorter."""
        return 1 - self.critical / self.critical_in_turn

    @property
    def stretched(self) -> float:
        """The longest wait, as a multiple of that of first in, first out."""
        return self.longest / self.longest_in_turn


def played(seed: int, load: float, count: int, share: float = CRITICAL_SHARE) -> Outcome:
    films = films_arrive(seed, count, load, share)
    ordered, in_turn = waits_of(films), waits_of(films, in_turn=True)

    def critical(waits: list[float]) -> float:
        return sum(wait for film, wait in zip(films, waits, strict=True) if film.critical) / sum(
            film.critical for film in films
        )

    return Outcome(critical(ordered), critical(in_turn), max(ordered), max(in_turn))


def pooled(runs: list[Outcome]) -> Outcome:
    """Several runs at one load as one: mean of the means, longest of the longest."""
    return Outcome(
        sum(run.critical for run in runs) / len(runs),
        sum(run.critical_in_turn for run in runs) / len(runs),
        max(run.longest for run in runs),
        max(run.longest_in_turn for run in runs),
    )


def table(loads: tuple[float, ...], shares: tuple[float, ...], seeds: int, count: int) -> Iterator[str]:
    columns = ("Load", "Critical", "Their mean wait", "Saved", "Worst run", "Longest wait", "× FIFO", "Worst run")
    yield f"| {' | '.join(columns)} |"
    yield "|---|---|---|---|---|---|---|---|"
    for share in shares:
        for load in loads:
            runs = [played(seed, load, count, share) for seed in range(seeds)]
            all_runs = pooled(runs)
            yield (
                f"| {load:.2f} | {share:.0%} | {all_runs.critical_in_turn:.0f} → {all_runs.critical:.0f} min"
                f" | {all_runs.saved:.0%} | {min(run.saved for run in runs):.0%}"
                f" | {all_runs.longest_in_turn:.0f} → {all_runs.longest:.0f} min | {all_runs.stretched:.2f}"
                f" | {max(run.stretched for run in runs):.2f} |"
            )

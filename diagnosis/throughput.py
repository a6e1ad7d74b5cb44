"""How fast films went through lately, and whether anything moves at all: for `/metrics` and `/progressz`.

Counts and times only, no patient data; the database's clock. May import: Django, `diagnosis.models`, `patients.actor`.
Goes to: health addresses and metrics.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now

from diagnosis.models import Job, Tally
from patients.actor import SYSTEM, acting_as

#: A kind of work that has waited this long while nothing of its kind moved is stuck.
STUCK_AFTER = timedelta(minutes=2)
LATELY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class StageTime:
    """Seconds that one stage of a kind of job took, over the jobs that ended lately."""

    kind: str
    stage: str
    jobs: int
    median: float
    p95: float


@acting_as(SYSTEM)
def kinds_stuck(after: timedelta = STUCK_AFTER) -> list[str]:
    """Kinds of work of which something waits for `after` (two minutes) and nothing ended, or is worked on, in that
    time. A process that runs and does nothing is found here, whatever it says of itself."""
    asked = Job.objects.filter(shadow=False)
    moves = Q(finished_at__gt=Now() - after) | Q(state=Job.State.RUNNING, lease_until__gt=Now())
    return [
        kind
        for kind in Job.Kind.values
        if asked.filter(kind=kind, state=Job.State.QUEUED, queued_at__lt=Now() - after).exists()
        and not Job.objects.filter(moves, kind=kind).exists()
    ]


@acting_as(SYSTEM)
def stage_times() -> list[StageTime]:
    """Waiting, working, and each step in between, of the jobs that succeeded in the last five minutes: one query."""
    with connection.cursor() as cursor:
        cursor.execute(_STAGES, {"lately": LATELY})
        return [StageTime(*row) for row in cursor.fetchall()]


_STAGES = """
WITH ended AS (
    SELECT kind, started_at - queued_at AS waited, finished_at - started_at AS worked, timings_ms
    FROM diagnosis_job WHERE state = 'succeeded' AND NOT shadow AND finished_at > now() - %(lately)s
), stages (kind, stage, seconds) AS (
    SELECT kind, 'wait', extract(epoch FROM waited) FROM ended
    UNION ALL SELECT kind, 'work', extract(epoch FROM worked) FROM ended
    UNION ALL SELECT kind, key, value::float / 1000 FROM ended, jsonb_each_text(timings_ms) WHERE key <> 'batch'
)
SELECT kind, stage, count(*),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds), percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds)
FROM stages WHERE seconds IS NOT NULL GROUP BY kind, stage ORDER BY kind, stage
"""


def tallies() -> dict[str, int]:
    """How often each counted thing happened; those that never did as 0."""
    return {Tally.STALE_WRITE: 0} | dict(Tally.objects.values_list("name", "count"))

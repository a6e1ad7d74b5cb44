"""The designs that go through the same faults: the application as it is, and the usual ones for comparison.

May import: the standard library, `cxrsite.processes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cxrsite.processes import PROCESSES, Process

WORKER = Process("worker", ("celery", "-q", "-A", "cxrsite", "worker", "-l", "INFO", "-c", "2", "-n", "worker@%h"))


@dataclass(frozen=True)
class Design:
    """How to start a site, and which of its processes play which part when faults are injected."""

    name: str
    settings: str
    command: tuple[str, ...]
    processes: tuple[Process, ...]
    parts: Mapping[str, str]
    #: Do workers hold jobs by leases, which end when they are silent?
    leases: bool
    #: So many seconds without any progress after the last fault, and what is open counts as lost.
    patience: float

    def named(self, part: str) -> list[Process]:
        """The processes that play a part: there may be several."""
        return [each for each in self.processes if each.name.startswith(self.parts.get(part, "-"))]


OURS = Design(
    name="ours",
    settings="tests.faults.settings",
    command=("manage.py", "up"),
    processes=PROCESSES,
    parts={"web": "web", "prepare": "prepare-worker", "infer": "infer-worker", "sweeper": "sweeper"},
    leases=True,
    patience=90,
)
#: `delay(id)` after the commit, one task does everything, Celery's default settings (`tests/faults/naive.py`).
NAIVE = Design(
    name="naive",
    settings="tests.faults.naive_settings",
    command=("-m", "tests.faults.naive"),
    processes=(PROCESSES[0], WORKER),
    parts={"web": "web", "prepare": "worker", "infer": "worker"},
    leases=False,
    patience=40,
)
#: The same after the advice that people get: late acknowledgement, lost tasks rejected, a visibility timeout of 10 s.
TUNED = replace(NAIVE, name="tuned", settings="tests.faults.tuned_settings")
DESIGNS = {design.name: design for design in (OURS, NAIVE, TUNED)}

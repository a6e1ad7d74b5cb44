"""The figures of all runs as one table of Markdown: a line per figure, a column per run.

May import: `tests.faults.judge`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.faults.judge import PROMISES

Report = dict[str, Any]

_LINES: tuple[tuple[str, Callable[[Report], object]], ...] = (
    ("uploads", lambda r: r["uploads"]),
    ("acknowledged", lambda r: r["acknowledged"]),
    ("faults", lambda r: r["faults"]),
    *((f"**{text}**", lambda r, name=name: f"**{r[name]}**") for name, text in PROMISES.items()),
    ("healthy films read", lambda r: r["predicted"]),
    ("poison films dead", lambda r: f"{r['poison_dead']} of {r['poison']}"),
    ("after attempts", lambda r: ", ".join(map(str, r["poison_attempts"])) or "–"),
    ("damaged films", lambda r: r["damaged"]),
    ("… found by the worker", lambda r: r["damaged_found_by_worker"]),
    ("… found by the check of the store", lambda r: r["damaged_found_by_check"]),
    ("most attempts of a healthy film", lambda r: r["most_attempts_of_healthy"]),
    ("stale writes refused", lambda r: r["stale_writes_refused"]),
    ("answers repeated for the same key", lambda r: r["replayed"]),
    ("delay to the result, median", lambda r: _seconds(r["delay_median"])),
    ("delay to the result, longest", lambda r: _seconds(r["delay_longest"])),
    ("jobs open at the end", lambda r: r["jobs_open"]),
    ("seconds until nothing was open", lambda r: _seconds(r["drain_seconds"]) if r["drained"] else "never"),
)


def table(reports: list[Report]) -> str:
    """Figures, then faults by kind, then what was left out and why; one line says what the promises' zeros mean."""
    rows = [["", *(f"{r['design']}, seed {r['seed']}" for r in reports)]]
    rows += [[text, *(str(figure(r)) for r in reports)] for text, figure in _LINES]
    kinds = sorted({kind for r in reports for kind in r["faults_by_kind"]})
    rows += [[kind, *(str(r["faults_by_kind"].get(kind, 0)) for r in reports)] for kind in kinds]
    lines = [_row(rows[0]), "|---" * len(rows[0]) + "|", *map(_row, rows[1:])]
    left_out = sorted({f"Left out: {kind} ({why})." for r in reports for kind, why in r["left_out"].items()})
    return "\n".join(["", *lines, "", *left_out, *_summary(reports)])


def _summary(reports: list[Report]) -> list[str]:
    said = []
    for design in dict.fromkeys(r["design"] for r in reports):
        runs = [r for r in reports if r["design"] == design]
        sent, lost = sum(r["acknowledged"] for r in runs), sum(r["lost"] for r in runs)
        faults = sum(r["faults"] for r in runs)
        bound = f"; upper 95% bound {3 / sent:.2%} (rule of three)" if sent and not lost else ""
        said.append(f"{design}: {lost} of {sent} acknowledged uploads lost in {faults} faults{bound}.")
    return said


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value} s"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"

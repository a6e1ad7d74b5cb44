"""What a part hands back, and the arithmetic all parts share: turns, medians, ratios.

May import: NumPy. A part fills one `Found`; it is JSON from then on, and the page is drawn from that alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


class CannotRun(Exception):
    """A part cannot be measured here; the message says why, for the table."""


@dataclass(slots=True)
class Found:
    """`text`: sentences. `ratios`: {"what", "ratio"} each, measured in this run. `tables`: {"columns", "rows",
    "caption"}. `plots`: see `plots.draw`. `missing`: {"what", "why"} of everything that was asked for and not measured.
    `raw`: the figures behind it all."""

    text: list[str] = field(default_factory=list)
    ratios: list[dict[str, Any]] = field(default_factory=list)
    tables: list[dict[str, Any]] = field(default_factory=list)
    plots: list[dict[str, Any]] = field(default_factory=list)
    missing: list[dict[str, str]] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def compare(self, what: str, value: float | None, against: float | None) -> None:
        """Note `value / against`; nothing where one of them was not measured."""
        found = ratio(value, against)
        if found is not None:
            self.ratios.append({"what": what, "ratio": found})

    def table(self, caption: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            self.tables.append({"caption": caption, "columns": list(columns), "rows": [list(row) for row in rows]})


def ratio(value: float | None, against: float | None) -> float | None:
    """`value / against` with three digits; None where there is nothing to divide, or nothing to divide by."""
    if value is None or not against:
        return None
    return significant(value / against)


def significant(value: float | None, digits: int = 3) -> float | None:
    """As many digits as a measurement is worth: a timing is not known to six."""
    return None if value is None else float(f"{value:.{digits}g}")


def median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if len(values) else None


def spread(seconds: Sequence[float]) -> dict[str, float | int | None]:
    """Median and 95th percentile in milliseconds, and of how many."""
    if not len(seconds):
        return {"p50_ms": None, "p95_ms": None, "n": 0}
    middle, slow = np.percentile(seconds, [50, 95]) * 1000
    return {"p50_ms": significant(float(middle)), "p95_ms": significant(float(slow)), "n": len(seconds)}


def in_turn(
    calls: Mapping[str, Callable[[], T]], rounds: int, tick: Callable[[str], None] = lambda name: None
) -> tuple[dict[str, list[T]], dict[str, str]]:
    """A B C, A B C, …: so what else the machine does hits all alike. What each call gave, and why one gave up.

    A call that raises is not asked again, and what it gave before does not count; the others go on.
    """
    results: dict[str, list[T]] = {name: [] for name in calls}
    reasons: dict[str, str] = {}
    for _ in range(rounds):
        for name, call in calls.items():
            if name in reasons:
                continue
            tick(name)
            try:
                results[name].append(call())
            except Exception as error:
                reasons[name] = reason(error)
                del results[name]
    return results, reasons


def reason(error: BaseException) -> str:
    """An exception in one line."""
    words = " ".join(str(error).split())[:400]
    return words if isinstance(error, CannotRun) and words else f"{type(error).__name__}: {words}".rstrip(": ")

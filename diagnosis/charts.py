"""Small server-side drawings: the curve of one finding over time, as geometry that a template turns into SVG.

May import: the standard library only. Takes what `diagnosis.selectors.patient_history` gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

WIDTH, HEIGHT = 360, 170
LEFT, RIGHT, TOP, BOTTOM = 34, 348, 10, 140
SHAPES = 4  # circle, square, triangle, diamond: a model version is told by its shape as well as its colour
TICKS = (0, 50, 100)


@dataclass(frozen=True, slots=True)
class Point:
    """One film on the curve: where, which mark, and the facts its link and tooltip tell."""

    x: float
    y: float
    mark: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Series:
    """What one model version said: points in time order, the line through them, its own threshold line."""

    index: int
    model: Mapping[str, str]
    line: str
    threshold_line: str
    mark: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Chart:
    """A finding's history. Sizes in SVG units of a `WIDTH` × `HEIGHT` view box."""

    label: str
    title: str
    series: Sequence[Series]
    first: datetime
    last: datetime
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def ticks(self) -> list[tuple[int, float]]:
        return [(tick, _y(tick / 100)) for tick in TICKS]

    @property
    def is_quiet(self) -> bool:
        """Was the finding below its threshold on every film?"""
        return all(point.facts["word"] == "absent" for series in self.series for point in series.points)

    @property
    def one_day(self) -> bool:
        return self.first.date() == self.last.date()


def history_charts(history: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """One chart per finding; all share one time axis, so that curves can be compared by eye."""
    dates = [point["date"] for curve in history for series in curve["series"] for point in series["points"]]
    if not dates:
        return []
    first, last = min(dates), max(dates)
    return [
        Chart(
            label=curve["label"],
            title=curve["title"],
            series=[_series(index, series, first, last) for index, series in enumerate(curve["series"])],
            first=first,
            last=last,
        )
        for curve in history
    ]


def _series(index: int, series: Mapping[str, Any], first: datetime, last: datetime) -> Series:
    places = [(_x(point["date"], first, last), _y(point["calibrated"]), point) for point in series["points"]]
    steps = [(x, _y(point["threshold"])) for x, _, point in places]
    return Series(
        index=index % SHAPES,
        model=series["model"],
        line=" ".join(f"{x},{y}" for x, y, _ in places),
        threshold_line=_threshold_line(steps),
        mark=_mark(index, 6, 6),
        points=[Point(x, y, _mark(index, x, y), point) for x, y, point in places],
    )


def _threshold_line(steps: Sequence[tuple[float, float]]) -> str:
    """Across the whole chart; where the threshold was changed between two films, a step at the later one."""
    path = [f"M{LEFT},{steps[0][1]}"]
    for x, y in steps[1:]:
        path.append(f"H{x}V{y}")
    return "".join([*path, f"H{RIGHT}"])


def _x(date: datetime, first: datetime, last: datetime) -> float:
    span = (last - first).total_seconds()
    part = (date - first).total_seconds() / span if span else 0.5
    return round(LEFT + 10 + part * (RIGHT - LEFT - 20), 1)


def _y(value: float) -> float:
    return round(BOTTOM - value * (BOTTOM - TOP), 1)


def _mark(index: int, x: float, y: float) -> str:
    """The outline of one point, as SVG path data."""
    r = 4.5
    shape = index % SHAPES
    if shape == 0:
        return f"M{x - r},{y}a{r},{r} 0 1 0 {2 * r},0a{r},{r} 0 1 0 {-2 * r},0z"
    if shape == 1:
        return f"M{x - 4},{y - 4}h8v8h-8z"
    if shape == 2:
        return f"M{x},{y - 5}l5,9h-10z"
    return f"M{x},{y - 5.5}l5.5,5.5l-5.5,5.5l-5.5,-5.5z"

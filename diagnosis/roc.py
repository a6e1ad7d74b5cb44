"""The ROC curve of one label at one clinic, as geometry that a template turns into SVG.

May import: `diagnosis.operating`. Sizes in SVG units of a `SIZE` × `SIZE` view box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from diagnosis.operating import Cases, Point

SIZE = 300
LEFT, RIGHT, TOP, BOTTOM = 40, 290, 10, 260
TICKS = (0, 50, 100)


@dataclass(frozen=True, slots=True)
class Mark:
    """A threshold on the curve: its `kind` (now, proposed, offered) chooses shape and colour."""

    kind: str
    shape: str
    point: Point


@dataclass(frozen=True, slots=True)
class Roc:
    """False alarms to the right, sensitivity upwards; the diagonal is what guessing does."""

    title: str
    line: str
    marks: Sequence[Mark]
    size: int = SIZE
    left: int = LEFT
    right: int = RIGHT
    top: int = TOP
    bottom: int = BOTTOM

    @property
    def x_ticks(self) -> list[tuple[int, float]]:
        return [(tick, _x(tick / 100)) for tick in TICKS]

    @property
    def y_ticks(self) -> list[tuple[int, float]]:
        return [(tick, _y(tick / 100)) for tick in TICKS]


def roc_draw(title: str, cases: Cases, points: Sequence[tuple[str, Point]]) -> Roc:
    """The curve of the cases with a mark for each (kind, point); what is marked last lies on top."""
    line = " ".join(f"{_x(x)},{_y(y)}" for x, y in cases.curve())
    marks = [Mark(kind, _SHAPES[kind](_x(1 - point.specificity.value), _y(point.sensitivity.value)), point)
             for kind, point in points]  # fmt: skip
    return Roc(title, line, marks)


def _circle(x: float, y: float) -> str:
    return f"M{x - 5},{y}a5,5 0 1 0 10,0a5,5 0 1 0 -10,0z"


def _square(x: float, y: float) -> str:
    return f"M{x - 4},{y - 4}h8v8h-8z"


def _diamond(x: float, y: float) -> str:
    return f"M{x},{y - 6.5}l6.5,6.5l-6.5,6.5l-6.5,-6.5z"


_SHAPES = {"now": _circle, "offered": _square, "proposed": _diamond}


def _x(value: float) -> float:
    return round(LEFT + value * (RIGHT - LEFT), 1)


def _y(value: float) -> float:
    return round(BOTTOM - value * (BOTTOM - TOP), 1)

"""Pictures of the results as SVG text, drawn from their description: bars and lines, nothing else.

May import: the standard library, and colours and numbers from `mlcore.training`. The same description always gives the
same text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from mlcore.training.figures import COLOURS, HAIR, INK, SOFT
from mlcore.training.report import number

WIDTH = 760
_BAR, _GAP, _NAME = 17, 7, 250
_TALL, _LEFT, _RIGHT, _TOP, _FOOT = 300, 62, 200, 14, 44
_FONT = "font-family:'Source Sans 3','Segoe UI','Helvetica Neue',Arial,'Liberation Sans',sans-serif;font-size:13px"


def bars(title: str, unit: str, values: Mapping[str, float], mark: str = "") -> dict[str, Any]:
    """A bar per name; that named `mark` is the one that the others are compared with, and is drawn in grey."""
    return {
        "kind": "bars",
        "title": title,
        "unit": unit,
        "values": [list(pair) for pair in values.items()],
        "mark": mark,
    }


def lines(
    title: str, x: str, y: str, curves: Mapping[str, Sequence[tuple[float, float]]], log: bool = False
) -> dict[str, Any]:
    """A line per name through its (x, y) points; `log` for both axes, where values span orders of magnitude."""
    points = [[name, [[float(a), float(b)] for a, b in curve]] for name, curve in curves.items()]
    return {"kind": "lines", "title": title, "x": x, "y": y, "curves": points, "log": log}


def draw(spec: Mapping[str, Any]) -> str:
    """The whole `<svg>` element of a description."""
    return {"bars": _bars, "lines": _lines}[spec["kind"]](spec)


def words(spec: Mapping[str, Any]) -> str:
    """The picture for who cannot see it."""
    if spec["kind"] == "bars":
        told = "; ".join(f"{name} {number(value)} {spec['unit']}" for name, value in spec["values"])
    else:
        told = "; ".join(
            f"{name}: " + ", ".join(f"{number(y)} at {_short(x)}" for x, y in curve) for name, curve in spec["curves"]
        )
    return f"{spec['title']}: {told}"


def _bars(spec: Mapping[str, Any]) -> str:
    values: Sequence[tuple[str, float]] = spec["values"]
    most = max((value for _, value in values), default=0) or 1
    room = WIDTH - _NAME - 110
    parts = []
    for row, (name, value) in enumerate(values):
        top, long = row * (_BAR + _GAP), room * value / most
        colour = SOFT if name == spec["mark"] else COLOURS[0]
        parts.append(_text(_NAME - 10, top + 13, name, anchor="end"))
        parts.append(f'<rect x="{_NAME}" y="{top}" width="{max(long, 1):.1f}" height="{_BAR}" fill="{colour}"/>')
        parts.append(_text(_NAME + long + 7, top + 13, f"{number(value)} {spec['unit']}", colour=SOFT))
    return _svg(len(values) * (_BAR + _GAP), parts)


def _lines(spec: Mapping[str, Any]) -> str:
    curves: Sequence[tuple[str, Sequence[Sequence[float]]]] = spec["curves"]
    points = [point for _, curve in curves for point in curve]
    across = _Axis([x for x, _ in points], _LEFT, WIDTH - _RIGHT, spec["log"])
    up = _Axis([y for _, y in points], _TALL - _FOOT, _TOP, spec["log"], zero=not spec["log"])
    parts = []
    for value in up.ticks():
        y = up.place(value)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}" stroke="{HAIR}"/>')
        parts.append(_text(_LEFT - 8, y + 4, _short(value), anchor="end", colour=SOFT))
    for value in sorted({x for x, _ in points}):
        parts.append(_text(across.place(value), _TALL - _FOOT + 18, _short(value), anchor="middle", colour=SOFT))
    parts.append(_text((_LEFT + WIDTH - _RIGHT) / 2, _TALL - 6, spec["x"], anchor="middle", colour=SOFT))
    ends = []
    for place, (name, curve) in enumerate(curves):
        colour = COLOURS[place % len(COLOURS)]
        there = [(across.place(x), up.place(y)) for x, y in curve]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in there)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in there]
        ends.append((there[-1][1], name, colour))
    lowest = -math.inf
    for y, name, colour in sorted(ends):  # names beside the ends, pushed apart
        lowest = max(y, lowest + 15)
        parts.append(_text(WIDTH - _RIGHT + 10, lowest + 4, name, colour=colour))
    parts.append(_text(_LEFT - 52, _TOP - 2, spec["y"], colour=SOFT))
    return _svg(max(_TALL, lowest + 20), parts, above=14)


class _Axis:
    """Where a value lies between two ends of the picture, on a plain or a logarithmic scale."""

    def __init__(self, values: Sequence[float], first: float, last: float, log: bool, zero: bool = False) -> None:
        self.first, self.last, self.log = first, last, log
        low, high = (min(values), max(values)) if values else (1.0, 2.0)
        self.low, self.high = (0.0 if zero else low), (high * 1.05 if zero else high)

    def place(self, value: float) -> float:
        low, high, value = (math.log10(max(v, 1e-9)) if self.log else v for v in (self.low, self.high, value))
        share = (value - low) / (high - low) if high > low else 0.5
        return self.first + share * (self.last - self.first)

    def ticks(self) -> list[float]:
        """A few round values inside."""
        if self.log:
            powers = range(math.floor(math.log10(max(self.low, 1e-9))), math.ceil(math.log10(max(self.high, 1e-9))) + 1)
            found = [step * 10.0**power for power in powers for step in (1, 2, 5)]
        else:
            step = _round_step((self.high - self.low) / 4)
            found = [step * count for count in range(math.floor(self.high / step) + 1)]
        return [value for value in found if self.low * 0.999 <= value <= self.high * 1.001]


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 1.0
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough or step == 10)


def _short(value: float) -> str:
    return f"{value:,.0f}".replace(",", "\N{THIN SPACE}") if value == int(value) else f"{value:g}"


def _text(x: float, y: float, words: str, *, anchor: str = "start", colour: str = INK) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(words)}</text>'


def _svg(height: float, parts: Sequence[str], above: float = 0) -> str:
    size = f'viewBox="0 {-above:.0f} {WIDTH} {height + above:.0f}" width="{WIDTH}" height="{height + above:.0f}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} style="{_FONT}">{"".join(parts)}</svg>'

"""Bar charts as geometry that a template turns into SVG, in the view box of `diagnosis.charts`.

May import: the standard library only. Takes what `diagnosis.numbers` counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from diagnosis.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH

#: Between two neighbouring bars, as a share of their distance.
GAP = 0.22


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; `words` say what stands in it."""

    x: float
    y: float
    width: float
    height: float
    words: str


@dataclass(frozen=True, slots=True)
class BarChart:
    """Bars, perhaps a line of other counts over them, round numbers at the left, `labels` (text, x) below."""

    bars: Sequence[Bar]
    line: str
    dots: Sequence[tuple[float, float]]
    ticks: Sequence[tuple[int, float]]
    labels: Sequence[tuple[str, float]]
    width: int = WIDTH
    height: int = HEIGHT


def bar_chart(
    counts: Sequence[int], words: Sequence[str], *, labels: Sequence[tuple[str, float]], line: Sequence[int] = ()
) -> BarChart:
    """`labels` are texts at places counted in bars: 0 is the left edge of the first one, 0.5 its middle."""
    step = (RIGHT - LEFT) / max(1, len(counts))
    top = _round_up(max([*counts, *line, 1]))

    def y(count: float) -> float:
        return round(BOTTOM - count / top * (BOTTOM - TOP), 1)

    def x(place: float) -> float:
        return round(LEFT + place * step, 1)

    bars = [
        Bar(x(number + GAP / 2), y(count), round(step * (1 - GAP), 1), round(BOTTOM - y(count), 1), said)
        for number, (count, said) in enumerate(zip(counts, words, strict=True))
    ]
    dots = [(x(number + 0.5), y(count)) for number, count in enumerate(line)]
    return BarChart(
        bars=bars,
        line=" ".join(f"{across},{down}" for across, down in dots),
        dots=dots,
        ticks=[(tick, y(tick)) for tick in (0, top // 2, top)],
        labels=[(text, x(place)) for text, place in labels],
    )


def _round_up(most: int) -> int:
    """The next even number that people read at a glance: 2, 4, 10, 20, 40, 50, 100 …"""
    size = 10 ** math.floor(math.log10(most))
    return next(int(times * size) for times in (1, 2, 4, 5, 10) if times * size >= most and times * size % 2 == 0)

"""Do films and answers of late look like those of a reference? The population stability index, and what chance gives.

May import: the standard library only. Takes counts per bin; the database counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

#: The usual bands: below the first nothing happened, above the second somebody should look.
SOME, MUCH = 0.1, 0.25
#: A shift is told from chance at this level: with dozens of quantities looked at every hour, one in twenty would cry
#: wolf each day.
LEVEL = 0.001
#: Fewer films than these give no figure: with fifty in ten bins chance passes the limit four times as often as it says.
REFERENCE_AT_LEAST, RECENT_AT_LEAST = 100, 100
#: Bins with fewer films than this, by their mean share of the smaller group, are pooled: χ² does not hold for them.
BIN_AT_LEAST = 5


@dataclass(frozen=True, slots=True)
class Shift:
    """The index of `recent` against `reference` films, `expected` from chance alone, and the `limit` that chance passes
    once in a thousand times. All None where there are too few films, or they all lie in one bin."""

    reference: int
    recent: int
    index: float | None = None
    expected: float | None = None
    limit: float | None = None

    @property
    def band(self) -> str:
        """`few`, `none`, `some` or `much`; beyond the bands' borders but within chance is `none`."""
        if self.index is None or self.limit is None:
            return "few"
        if self.index < SOME or self.index <= self.limit:
            return "none"
        return "much" if self.index > MUCH else "some"

    @property
    def is_alarm(self) -> bool:
        return self.band == "much"


def shift(reference: Sequence[int], recent: Sequence[int]) -> Shift:
    """From counts in the same bins.

    PSI = Σ (p - q) ln(p / q) over the bins' shares p, of late, and q, of the reference (Siddiqi, Credit Risk
    Scorecards, Wiley 2006; the bands 0.1 and 0.25 come from there). Without any shift PSI / (1/n + 1/m) is close to χ²
    with B - 1 degrees of freedom, so that chance gives (B - 1)(1/n + 1/m) on average (Yurdakul & Naranjo, Statistical
    properties of the population stability index, Journal of Risk Model Validation 14(4), 2020). Half a film is added to
    each bin, so that an empty one does not make the index infinite.
    """
    n, m = sum(reference), sum(recent)
    if n < REFERENCE_AT_LEAST or m < RECENT_AT_LEAST:
        return Shift(n, m)
    pooled = _pooled(reference, recent)
    bins = len(pooled)
    if bins < 2:
        return Shift(n, m)
    index = 0.0
    for before, late in pooled:
        q, p = (before + 0.5) / (n + bins / 2), (late + 0.5) / (m + bins / 2)
        index += (p - q) * math.log(p / q)
    unit = 1 / n + 1 / m
    return Shift(n, m, index, (bins - 1) * unit, _chi_square(bins - 1, 1 - LEVEL) * unit)


def _pooled(reference: Sequence[int], recent: Sequence[int]) -> list[tuple[int, int]]:
    """Counts of the bins that are full enough, and of the others together (or with the smallest of the former)."""
    n, m = sum(reference), sum(recent)

    def size(cell: tuple[int, int]) -> float:
        return (cell[0] / n + cell[1] / m) / 2 * min(n, m)

    cells = [cell for cell in zip(reference, recent, strict=True) if any(cell)]
    full = sorted((cell for cell in cells if size(cell) >= BIN_AT_LEAST), key=size)
    rest = [cell for cell in cells if size(cell) < BIN_AT_LEAST]
    if not rest:
        return full
    together = (sum(cell[0] for cell in rest), sum(cell[1] for cell in rest))
    if size(together) >= BIN_AT_LEAST or not full:
        return [*full, together]
    return [(full[0][0] + together[0], full[0][1] + together[1]), *full[1:]]


def _chi_square(degrees: int, level: float) -> float:
    """The quantile, by Wilson and Hilferty's cube (Proc. Natl. Acad. Sci. 17, 1931): within 3 % at one degree, better
    with more."""
    part = 2 / (9 * degrees)
    return degrees * (1 - part + NormalDist().inv_cdf(level) * math.sqrt(part)) ** 3

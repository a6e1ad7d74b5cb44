"""What a threshold does to a set of signed cases: the ROC curve, the threshold for a wanted sensitivity, its figures.

Pure functions on arrays. Shares have Wilson's interval (Wilson 1927), the area under the curve DeLong's on the logit
(DeLong et al. 1988, Pepe 2003); cases count as independent, also two of one patient. May import: NumPy, `mlcore`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlcore.training.metrics import auroc, roc_points
from mlcore.training.statistics import delong_interval, wilson

#: Fewer cases with, or without, a finding say too little to choose a threshold from.
ENOUGH = 20
#: Sensitivities that the page offers.
AIMS = (0.80, 0.90, 0.95)
#: Thresholds are chosen in steps of 0.001, rounded down, so that no case that was to be caught is lost by rounding.
STEPS = 1000
CURVE_POINTS = 60


@dataclass(frozen=True, slots=True)
class Share:
    """`part` of `whole` cases, with its 95 % interval; without any case the numbers are nan."""

    part: int
    whole: int

    @property
    def value(self) -> float:
        return self.part / self.whole if self.whole else math.nan

    @property
    def low(self) -> float:
        return wilson(self.part, self.whole)[0]

    @property
    def high(self) -> float:
        return wilson(self.part, self.whole)[1]


@dataclass(frozen=True, slots=True)
class Point:
    """One threshold on the curve: what it catches, what it spares, what an alarm is worth, how many alarms there are.

    PPV and alarms are those of cases in which the finding is as frequent as in these.
    """

    threshold: float
    sensitivity: Share
    specificity: Share
    ppv: Share
    alarms: Share


@dataclass(frozen=True, slots=True)
class Area:
    """The area under the ROC curve; `low` and `high` are None where every pair is in order, or none."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Cases:
    """The signed cases of one label: is it there, by the report, and the model's calibrated probability.

    `unseen` of them were read on trial, so that no reader knew the answer.
    """

    present: npt.NDArray[np.bool_]
    scores: npt.NDArray[np.float64]
    unseen: int = 0

    @classmethod
    def of(cls, rows: Sequence[tuple[bool, float, bool]]) -> Cases:
        """From (present, calibrated, unseen) per case."""
        return cls(
            np.array([row[0] for row in rows], dtype=bool),
            np.array([row[1] for row in rows], dtype=np.float64),
            sum(row[2] for row in rows),
        )

    @property
    def positives(self) -> int:
        return int(self.present.sum())

    @property
    def negatives(self) -> int:
        return len(self.present) - self.positives

    @property
    def are_enough(self) -> bool:
        return min(self.positives, self.negatives) >= ENOUGH

    def area(self) -> Area:
        """nan where there is no case with, or none without, the finding."""
        value = float(auroc(self.present, self.scores))
        if not 0 < value < 1:
            return Area(value, None, None)
        return Area(value, *delong_interval(self.present, self.scores))

    def curve(self) -> list[tuple[float, float]]:
        """The ROC curve: (share of false alarms, sensitivity), from (0, 0) to (1, 1)."""
        points = roc_points(self.present, self.scores, CURVE_POINTS)
        return list(zip(points["x"], points["y"], strict=True))

    def at(self, threshold: float) -> Point:
        """The figures where whatever is at or above the threshold is called."""
        called = self.scores >= threshold
        hits, alarms = int((called & self.present).sum()), int(called.sum())
        return Point(
            threshold=threshold,
            sensitivity=Share(hits, self.positives),
            specificity=Share(self.negatives - (alarms - hits), self.negatives),
            ppv=Share(hits, alarms),
            alarms=Share(alarms, len(self.scores)),
        )

    def for_sensitivity(self, aim: float) -> Point:
        """The highest threshold that catches at least the share `aim` (above 0, at most 1) of the cases with it."""
        wanted = max(1, math.ceil(aim * self.positives - 1e-9))
        score = float(np.sort(self.scores[self.present])[-wanted])
        return self.at(math.floor(score * STEPS + 1e-9) / STEPS if score < 1 else 1.0)

"""From probabilities to findings: calibrated number, threshold, and the word a person reads.

May import: NumPy, `mlcore.contracts`, `mlcore.card`. Pages, API and command line show what is decided here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from mlcore.card import NORMAL, ModelCard
from mlcore.contracts import FindingResult, ImageArray

Word = Literal["present", "likely", "possible", "absent"]

#: The bands, as pages and documents print them: word → rule on calibrated probability c and threshold t.
WORD_RULES: Mapping[Word, str] = {
    "present": "at least halfway to certainty from the threshold, or from even odds where the threshold is lower",
    "likely": "at or above the threshold, and at least even odds",
    "possible": "at or above the threshold, but below even odds",
    "absent": "below the threshold; how often that misses the finding stands beside the sensitivity",
}


def word(calibrated: float, threshold: float) -> Word:
    """The word for a calibrated probability at a threshold; see `WORD_RULES`."""
    sure = max(threshold, 0.5)  # a low threshold catches much, but a chance below one half is not "likely"
    if calibrated >= (1 + sure) / 2:
        return "present"
    if calibrated >= sure:
        return "likely"
    return "possible" if calibrated >= threshold else "absent"


def interpret(
    probabilities: ImageArray, card: ModelCard, operating_points: Mapping[str, float] | None = None
) -> tuple[FindingResult, ...]:
    """Findings of one film, in the card's order, from its (labels,) scores; labels are the trained ones.

    `operating_points` replaces the card's thresholds for the labels it names (a clinic's own choice).
    Raises ValueError on scores that are not one finite number in [0, 1] per label.
    """
    scores = np.asarray(probabilities, dtype=np.float32)
    if scores.shape != (len(card.label_keys),) or not (
        np.isfinite(scores).all() and (abs(scores - 0.5) <= 0.501).all()
    ):
        raise ValueError("expected one probability per trained label of the card")
    points = {**card.operating_points, **(operating_points or {})}
    return tuple(
        FindingResult(
            label=key,
            probability=float(score),
            calibrated=float(value),
            threshold=points[key],
            word=word(float(value), points[key]),
        )
        for key, score, value in zip(card.label_keys, scores, card.calibration.apply(scores), strict=True)
    )


def urgency(findings: Sequence[FindingResult], card: ModelCard) -> float:
    """How early a film should be read, in [0, 1]: the largest severity × calibrated probability but of normal."""
    severity = {label.key: label.severity for label in card.labels}
    return max((severity[f.label] * f.calibrated for f in findings if f.label != NORMAL), default=0.0)

"""Numbers become words by one rule, and a worklist order."""

from __future__ import annotations

import numpy as np
import pytest

from mlcore.card import load_card
from mlcore.interpret import WORD_RULES, interpret, urgency, word
from mlcore.registry import bundled_folder

CARD = load_card(bundled_folder())


@pytest.mark.parametrize(
    ("calibrated", "threshold", "expected"),
    [
        (1.0, 0.6, "present"),
        (0.80, 0.6, "present"),
        (0.79, 0.6, "likely"),
        (0.60, 0.6, "likely"),
        (0.59, 0.6, "absent"),
        (0.75, 0.1, "present"),
        (0.74, 0.1, "likely"),
        (0.50, 0.1, "likely"),
        (0.49, 0.1, "possible"),
        (0.10, 0.1, "possible"),
        (0.09, 0.1, "absent"),
    ],
)
def test_word_follows_from_number_and_threshold(calibrated: float, threshold: float, expected: str) -> None:
    assert word(calibrated, threshold) == expected


def test_every_word_is_explained() -> None:
    assert {word(c, 0.4) for c in np.linspace(0, 1, 50)} == set(WORD_RULES)


def test_findings_come_in_the_order_of_the_card_and_calibrated_numbers_sum_to_one() -> None:
    findings = interpret(np.array([0.2, 0.5, 0.3], np.float32), CARD)
    assert tuple(finding.label for finding in findings) == CARD.label_keys
    assert sum(finding.calibrated for finding in findings) == pytest.approx(1, abs=1e-5)
    assert findings[1].probability == pytest.approx(0.5)


def test_clinic_threshold_replaces_only_its_label() -> None:
    scores = np.array([0.2, 0.5, 0.3], np.float32)
    changed = interpret(scores, CARD, {"effusion": 0.9})
    assert [finding.threshold for finding in changed] == [*list(CARD.operating_points.values())[:2], 0.9]


@pytest.mark.parametrize("scores", [[0.5, 0.5], [0.5, 0.5, float("nan")], [0.5, 0.5, 1.5], [-0.1, 0.5, 0.6]])
def test_scores_that_are_not_probabilities_are_refused(scores: list[float]) -> None:
    with pytest.raises(ValueError, match="probability"):
        interpret(np.array(scores, np.float32), CARD)


def test_certain_normal_is_not_urgent_and_certain_pneumonia_is() -> None:
    normal = interpret(np.array([1, 0, 0], np.float32), CARD)
    pneumonia = interpret(np.array([0, 1, 0], np.float32), CARD)
    assert urgency(normal, CARD) < 0.05
    assert urgency(pneumonia, CARD) > 0.85

"""Figures agree with values worked out by hand; calibration and thresholds do what they claim."""

from __future__ import annotations

import numpy as np
import pytest

from mlcore.training.calibrate import fit_calibration, fit_thresholds, source_weights
from mlcore.training.metrics import at_threshold, auroc, choices, ece, macro_auroc, matrix


def test_auroc_counts_pairs_and_half_of_ties() -> None:
    positive = np.array([True, True, False, False])
    assert auroc(positive, np.array([0.9, 0.4, 0.4, 0.1])) == pytest.approx(3.5 / 4)
    assert np.isnan(auroc(np.array([True, True]), np.array([0.1, 0.2])))


def test_macro_auroc_is_over_the_labels_that_occur() -> None:
    probabilities = np.array([[0.8, 0.2, 0.0], [0.3, 0.7, 0.0], [0.6, 0.4, 0.0]])
    assert macro_auroc(np.array([0, 1, 1]), probabilities) == pytest.approx(1.0)


def test_calibration_error_and_brier_of_a_known_case() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1]])
    found = choices(matrix(np.array([0, 1]), 2), probabilities)
    assert found["brier"] == pytest.approx((0.02 + 1.62) / 2)
    assert ece(np.array([True, False]), np.array([0.9, 0.9]), bins=1) == pytest.approx(0.4)


def test_sensitivity_and_specificity_are_at_the_threshold() -> None:
    found = at_threshold(np.array([False, False, True, True]), np.array([0.3, 0.6, 0.4, 0.9]) >= 0.35)
    assert found["sensitivity"] == 1
    assert found["specificity"] == 0.5


def test_overconfident_scores_are_calibrated() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 1.5, (4000, 3))
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    targets = np.eye(3)[[random.choice(3, p=row) for row in shares]]
    overconfident = np.exp(3 * logits) / np.exp(3 * logits).sum(1, keepdims=True)
    calibration = fit_calibration(overconfident, targets, np.ones(len(targets)))
    assert calibration.temperature == pytest.approx(3, rel=0.1)
    assert choices(targets > 0, calibration.apply(overconfident))["ece"] < 0.03


def test_every_source_weighs_the_same() -> None:
    weights = source_weights(["a", "a", "a", "b"])
    assert weights[:3].sum() == pytest.approx(weights[3])
    assert weights.mean() == pytest.approx(1)


def test_threshold_separates_within_sources_not_between_them() -> None:
    # One source scores high throughout: a pooled threshold would tell the sources apart, not the films.
    score = np.array([0.1, 0.2, 0.3, 0.4, 0.8, 0.9])
    targets = np.eye(2)[[0, 0, 1, 1, 0, 0]]
    both = np.stack([1 - score, score], 1)
    thresholds = fit_thresholds(both, targets, ["a"] * 4 + ["b"] * 2, ("normal", "sick"))
    assert thresholds["sick"] == pytest.approx(0.25)


def test_false_alarms_count_in_a_source_that_never_has_the_finding() -> None:
    adults = np.array([[0.9, 0.1], [0.7, 0.3], [0.5, 0.5], [0.4, 0.6]])
    children = np.full((4, 2), [0.55, 0.45])
    sick = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.float32)
    well = np.tile(np.array([[1, 0]], np.float32), (4, 1))
    alone = fit_thresholds(adults, sick, ["adults"] * 4, ("normal", "sick"))
    both = fit_thresholds(
        np.concatenate([adults, children]), np.concatenate([sick, well]), ["adults"] * 4 + ["children"] * 4,
        ("normal", "sick"),
    )  # fmt: skip
    assert alone["sick"] < 0.45 < both["sick"]

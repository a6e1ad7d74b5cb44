"""Calibration is chosen on films of patients it was not fitted on, and only from what a card can hold."""

from __future__ import annotations

import numpy as np
import pytest

from mlcore.training.calibrate import RULE, choose_calibration, fit_calibration
from mlcore.training.metrics import auroc


def scores_of(films: int, labels: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Overconfident probabilities and the labels they are of."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1.5, (films, labels))
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    targets = np.eye(labels)[[random.choice(labels, p=row) for row in shares]] > 0
    sharp = np.exp(2.5 * logits)
    return sharp / sharp.sum(1, keepdims=True), targets


def test_every_candidate_is_measured_on_held_out_patients() -> None:
    probabilities, targets = scores_of(600, 3, 0)
    sources, groups = ["a", "b"] * 300, [str(i // 2) for i in range(600)]
    calibration, tried = choose_calibration(probabilities, targets, sources, groups)
    table = tried["cross_validated"]
    assert {"none", "temperature and bias by source", "isotonic per label by film", "Platt per label by film"} <= set(
        table
    )
    assert set(table["none"]) == {"pooled", "within a", "within b"}
    assert tried["rule"] == RULE
    assert tried["chosen"].startswith("temperature and bias by ")
    assert calibration.temperature == pytest.approx(2.5, rel=0.15)
    assert table[tried["chosen"]]["pooled"]["ece"] < table["none"]["pooled"]["ece"] / 2


def test_chosen_calibration_has_the_smallest_worst_error_inside_a_source() -> None:
    probabilities, targets = scores_of(400, 3, 1)
    _, tried = choose_calibration(probabilities, targets, ["a"] * 300 + ["b"] * 100, [str(i) for i in range(400)])
    worst = {
        name: max(found["within a"]["ece"], found["within b"]["ece"])
        for name, found in tried["cross_validated"].items()
        if name.startswith("temperature")
    }
    assert tried["chosen"] == min(worst, key=lambda name: worst[name])


def test_few_films_get_the_plain_choice_without_a_table() -> None:
    probabilities, targets = scores_of(40, 3, 2)
    calibration, tried = choose_calibration(probabilities, targets, ["a"] * 40, [str(i) for i in range(40)])
    assert tried["cross_validated"] == {}
    assert len(calibration.bias) == 3


def test_sigmoid_labels_are_calibrated_each_and_keep_their_order() -> None:
    random = np.random.default_rng(3)
    logits = random.normal(0, 1, (3000, 2))
    targets = random.random((3000, 2)) < 1 / (1 + np.exp(-(logits + np.array([0.5, -1]))))
    probabilities = 1 / (1 + np.exp(-2 * logits))
    calibration = fit_calibration(probabilities, targets, np.ones(3000), exclusive=False)
    assert calibration.temperature == pytest.approx(2, rel=0.1)
    assert calibration.bias == pytest.approx((0.5, -1), abs=0.15)
    calibrated = calibration.apply(probabilities)
    assert calibrated.mean(0) == pytest.approx(targets.mean(0), abs=0.01)
    for k in range(2):
        assert auroc(targets[:, k], calibrated[:, k]) == pytest.approx(
            auroc(targets[:, k], probabilities[:, k]), abs=1e-4
        )

"""What a threshold does to signed cases, against values worked out by hand and by brute force."""

from __future__ import annotations

import numpy as np
import pytest

from diagnosis.operating import Cases
from mlcore.interpret import word


def cases_of(present: list[float], absent: list[float]) -> Cases:
    return Cases.of([(True, score, False) for score in present] + [(False, score, False) for score in absent])


#: Five with it, five without; 0.4 is a tie between both.
FEW = cases_of([0.9, 0.8, 0.7, 0.6, 0.4], [0.5, 0.4, 0.3, 0.2, 0.1])


def test_the_area_is_the_share_of_pairs_in_order():
    # of 25 pairs all are in order but those of 0.4: below 0.5, level with 0.4, above three
    assert FEW.area().value == pytest.approx((20 + 3 + 0.5) / 25)


def test_the_areas_interval_is_delongs_on_the_logit():
    # sklearn and pROC give the same variance: of the structural components 1, 1, 1, 1, 0.7 and 0.8, 0.9, 1, 1, 1
    area = FEW.area()
    variance = np.var([1, 1, 1, 1, 0.7], ddof=1) / 5 + np.var([0.8, 0.9, 1, 1, 1], ddof=1) / 5
    middle, half = np.log(0.94 / 0.06), 1.959964 * np.sqrt(variance) / (0.94 * 0.06)
    assert (area.low, area.high) == pytest.approx([1 / (1 + np.exp(half - middle)), 1 / (1 + np.exp(-half - middle))])


def test_an_area_without_a_pair_out_of_order_has_no_interval():
    area = cases_of([0.9, 0.8], [0.1, 0.2]).area()
    assert (area.value, area.low, area.high) == (1.0, None, None)


def test_the_figures_at_a_threshold_are_counted():
    point = FEW.at(0.5)
    assert (point.sensitivity.part, point.sensitivity.whole) == (4, 5)
    assert (point.specificity.part, point.specificity.whole) == (4, 5)
    assert (point.ppv.part, point.ppv.whole) == (4, 5)
    assert (point.alarms.part, point.alarms.whole) == (5, 10)
    # Wilson's interval of 4 of 5, as in Newcombe 1998's method 3
    assert (point.sensitivity.low, point.sensitivity.high) == pytest.approx((0.3755, 0.9638), abs=1e-4)


def test_without_an_alarm_there_is_no_ppv():
    point = FEW.at(1.0)
    assert point.alarms.value == 0
    assert np.isnan(point.ppv.value)
    assert np.isnan(point.ppv.low)


@pytest.mark.parametrize(("aim", "threshold", "caught"), [(0.8, 0.6, 4), (0.81, 0.4, 5), (1.0, 0.4, 5), (0.6, 0.7, 3)])
def test_the_threshold_for_a_sensitivity_is_the_highest_that_reaches_it(aim, threshold, caught):
    point = FEW.for_sensitivity(aim)
    assert point.threshold == pytest.approx(threshold)
    assert point.sensitivity.part == caught


def test_no_threshold_in_steps_above_the_chosen_one_reaches_the_sensitivity():
    random = np.random.default_rng(3)
    cases = cases_of(list(random.beta(4, 2, 57)), list(random.beta(2, 5, 300)))
    for aim in (0.5, 0.8, 0.9, 0.95, 1.0):
        point = cases.for_sensitivity(aim)
        assert point.sensitivity.value >= aim
        assert cases.at(point.threshold + 0.001).sensitivity.value < aim


@pytest.mark.parametrize("score", [0.0, 0.0004, 0.29, 0.3, 0.9999, 1.0])
def test_a_threshold_stays_within_zero_and_one_and_the_words_follow_it(score):
    """The wanted case is called, and the word of every score is "absent" exactly where it is below the threshold."""
    threshold = cases_of([score], [0.5]).for_sensitivity(0.9).threshold
    assert 0 <= threshold <= min(1, score)
    for calibrated in (0.0, threshold, score, 0.5, 1.0):
        assert (word(calibrated, threshold) == "absent") == (calibrated < threshold)


def test_twenty_of_each_are_enough():
    assert not cases_of([0.5] * 20, [0.5] * 19).are_enough
    assert not cases_of([0.5] * 19, [0.5] * 90).are_enough
    assert cases_of([0.5] * 20, [0.5] * 20).are_enough

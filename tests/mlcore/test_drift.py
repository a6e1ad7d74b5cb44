"""The population stability index: its value, its bands, and how seldom chance alone raises an alarm."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlcore import drift
from mlcore.drift import Shift, shift


def test_the_index_by_hand():
    """Shares (200.5, 100.5)/301 and (40.5, 60.5)/101 with half a film more in each bin."""
    q, p = (200.5 / 301, 100.5 / 301), (40.5 / 101, 60.5 / 101)
    by_hand = (p[0] - q[0]) * math.log(p[0] / q[0]) + (p[1] - q[1]) * math.log(p[1] / q[1])
    found = shift([200, 100], [40, 60])
    assert found.index == pytest.approx(by_hand)
    assert found.index == pytest.approx(0.2895, abs=1e-4)
    assert found.expected == pytest.approx(1 / 300 + 1 / 100)
    assert found.band == "much"


def test_equal_shares_have_no_shift():
    assert shift([100, 100, 100], [50, 50, 50]).index == pytest.approx(0, abs=1e-6)


def test_the_limit_is_a_quantile_of_chi_square():
    from scipy.stats import chi2

    for bins in (2, 3, 5, 10):
        found = shift([300] * bins, [100] * bins)
        unit = 1 / (300 * bins) + 1 / (100 * bins)
        exact = chi2.ppf(1 - drift.LEVEL, bins - 1) * unit
        assert exact <= found.limit <= 1.035 * exact


@pytest.mark.parametrize(("films", "of_late"), [(300, 100), (300, 400), (1000, 100)])
def test_draws_from_one_distribution_raise_no_alarm_and_average_what_chance_gives(films, of_late):
    draw = np.random.default_rng(11).multinomial
    shares = [0.1] * 10
    found = [shift(draw(films, shares).tolist(), draw(of_late, shares).tolist()) for _ in range(3000)]
    assert sum(each.index > each.limit for each in found) <= 8  # 3 expected
    assert np.mean([each.index for each in found]) == pytest.approx(
        np.mean([each.expected for each in found]), rel=0.12
    )


def test_rare_words_raise_no_alarm_either():
    draw = np.random.default_rng(5).multinomial
    shares = [0.93, 0.05, 0.012, 0.004, 0.004]
    found = [shift(draw(300, shares).tolist(), draw(100, shares).tolist()) for _ in range(3000)]
    assert sum(each.is_alarm for each in found) <= 8


def test_a_shift_that_matters_is_found():
    draw = np.random.default_rng(3).multinomial
    before, after = draw(300, [0.1] * 10).tolist(), draw(100, [0.02] * 5 + [0.18] * 5).tolist()
    assert shift(before, after).is_alarm


def test_what_was_never_met_before_is_found():
    assert shift([300, 0], [0, 100]).is_alarm
    assert shift([290, 10, 0], [60, 5, 40]).is_alarm


def test_a_large_index_of_few_films_is_chance():
    found = shift([30] * 10, [16, 4] + [15, 5] * 4)
    assert found.index > drift.MUCH
    assert found.band == "none"
    assert not found.is_alarm


def test_a_sure_but_small_shift_is_none():
    found = shift([100_000, 100_000], [51_500, 48_500])
    assert found.index > found.limit
    assert found.band == "none"


def test_too_few_films_give_no_figure():
    assert shift([50, 49], [100, 100]) == Shift(99, 200)
    assert shift([200, 200], [50, 49]) == Shift(400, 99)
    assert shift([300], [100]) == Shift(300, 100)
    assert shift([300], [100]).band == "few"

"""Intervals and tests agree with brute force and with values worked out elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from mlcore.training import metrics
from mlcore.training.statistics import (
    bootstrap,
    bootstrap_p,
    delong,
    delong_covariance,
    delong_interval,
    delong_paired,
    draws,
    holm,
    interval,
    mcnemar,
    mcnemar_counts,
    paired_difference,
    recalibration,
    wilson,
)


@pytest.fixture(scope="module")
def scored() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, and two models' scores with ties."""
    random = np.random.default_rng(4)
    positive = random.random(90) < 0.4
    score = positive + random.normal(0, 1.2, 90)
    return positive, np.round(score, 1), np.round(score + random.normal(0, 0.8, 90), 1)


def naive_auroc(positive: np.ndarray, score: np.ndarray) -> float:
    pairs = [(a > b) + 0.5 * (a == b) for a in score[positive] for b in score[~positive]]
    return float(np.mean(pairs))


def naive_covariance(positive: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """DeLong's structural components, pair by pair."""

    def components(score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        order = (np.sign(score[positive][:, None] - score[~positive][None]) + 1) / 2
        return order.mean(1), order.mean(0)

    (ya, na), (yb, nb) = components(a), components(b)
    return np.cov(ya, yb) / positive.sum() + np.cov(na, nb) / (~positive).sum()


def test_auroc_is_the_share_of_pairs_in_order(scored: tuple[np.ndarray, ...]) -> None:
    positive, score, _ = scored
    assert metrics.auroc(positive, score) == pytest.approx(naive_auroc(positive, score))


def test_auroc_of_a_replicate_is_that_of_its_films_repeated(scored: tuple[np.ndarray, ...]) -> None:
    positive, score, _ = scored
    weights = next(draws([str(i // 2) for i in range(90)], 5))
    for row, value in zip(weights, metrics.auroc(positive, score, weights), strict=True):
        chosen = np.repeat(np.arange(90), row.astype(int))
        assert value == pytest.approx(naive_auroc(positive[chosen], score[chosen]))


def test_average_precision_agrees_with_scikit_learn(scored: tuple[np.ndarray, ...]) -> None:
    from sklearn.metrics import average_precision_score

    positive, score, _ = scored
    assert metrics.average_precision(positive, score) == pytest.approx(average_precision_score(positive, score))
    weights = next(draws([str(i) for i in range(90)], 3))
    for row, value in zip(weights, metrics.average_precision(positive, score, weights), strict=True):
        assert value == pytest.approx(average_precision_score(positive, score, sample_weight=row))


@pytest.mark.parametrize("name", ["ece", "brier"])
def test_calibration_measures_of_a_replicate_are_those_of_its_films_repeated(name: str) -> None:
    random = np.random.default_rng(1)
    score = random.random(60)
    positive = random.random(60) < score
    weights = next(draws([str(i // 3) for i in range(60)], 4))
    measure = getattr(metrics, name)
    options = {"bins": 1} if name == "ece" else {}
    for row, value in zip(weights, measure(positive, score, weights, **options), strict=True):
        chosen = np.repeat(np.arange(60), row.astype(int))
        assert value == pytest.approx(measure(positive[chosen], score[chosen], **options))


def test_fast_delong_agrees_with_every_pair_counted(scored: tuple[np.ndarray, ...]) -> None:
    positive, a, b = scored
    areas, covariance = delong_covariance(positive, np.stack([a, b]))
    np.testing.assert_allclose(areas, [naive_auroc(positive, a), naive_auroc(positive, b)])
    np.testing.assert_allclose(covariance, naive_covariance(positive, a, b))


def test_standard_error_of_delong_is_that_of_repeated_samples() -> None:
    random = np.random.default_rng(2)
    positive = np.arange(200) < 80
    samples = [delong(positive, positive + random.normal(0, 1, 200)) for _ in range(400)]
    areas, errors = np.array(samples).T
    assert errors.mean() == pytest.approx(areas.std(), rel=0.1)


def test_interval_of_an_auroc_stays_below_one() -> None:
    positive = np.arange(40) < 20
    score = positive.astype(float)
    score[0] = 0
    low, high = delong_interval(positive, score)
    assert 0.8 < low < 0.975 < high < 1


def test_paired_delong_sees_what_two_intervals_cannot(scored: tuple[np.ndarray, ...]) -> None:
    positive, a, _ = scored
    same = delong_paired(positive, a, a)
    assert (same["value"], same["p"]) == (0, 1)
    worse = delong_paired(positive, a, np.random.default_rng(0).random(90))
    assert worse["p"] < 0.01
    assert worse["low"] > 0


def test_bootstrap_draws_whole_patients() -> None:
    values = np.array([0.0] * 50 + [1.0])
    groups = ["one"] * 50 + ["two"]
    drawn = bootstrap(lambda weights: {"mean": metrics.share(values, weights)}, groups, 200)["mean"]
    assert set(drawn) == {0.0, 1.0, 1 / 51}
    assert interval(drawn) == (0.0, 1.0)


def test_bootstrap_interval_of_independent_films_is_as_wide_as_theory_says() -> None:
    positive = np.random.default_rng(3).random(400) < 0.3
    drawn = bootstrap(lambda w: {"share": metrics.share(positive, w)}, [str(i) for i in range(400)], 2000)["share"]
    low, high = interval(drawn)
    rate = positive.mean()
    assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt(rate * (1 - rate) / 400), rel=0.08)


def test_bootstrap_p_is_small_on_one_side_and_never_zero() -> None:
    assert bootstrap_p(np.full(1999, 0.1)) == pytest.approx(0.001)
    assert bootstrap_p(np.array([-1.0, 1.0] * 100)) == pytest.approx(1.0, abs=0.01)


def test_wilson_of_a_published_case() -> None:
    low, high = wilson(0.928 * 624, 624)  # 92.8 % of 624
    assert (round(low, 3), round(high, 3)) == (0.905, 0.946)


def test_mcnemar_counts_only_films_on_which_the_models_differ() -> None:
    a = np.array([True] * 10 + [False] * 2 + [True] * 100)
    b = np.array([False] * 10 + [True] * 2 + [True] * 100)
    assert mcnemar(a, b) == pytest.approx(0.03857, abs=1e-4)
    assert mcnemar(a, a) == 1


def test_holm_is_never_smaller_for_a_larger_p() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])


def test_slope_of_overconfident_scores_is_below_one() -> None:
    random = np.random.default_rng(5)
    logit = random.normal(0, 1, 4000)
    positive = random.random(4000) < 1 / (1 + np.exp(-logit))
    found = recalibration(positive, 1 / (1 + np.exp(-2 * logit)), [str(i) for i in range(4000)])
    assert found["slope"]["value"] == pytest.approx(0.5, abs=0.05)
    assert found["slope"]["low"] < found["slope"]["value"] < found["slope"]["high"] < 1
    assert found["intercept"]["low"] < 0 < found["intercept"]["high"]


def test_perfect_calibration_shows_an_error_by_chance_that_shrinks_with_films() -> None:
    random = np.random.default_rng(6)
    few, many = random.random(150), random.random(15000)
    assert metrics.perfect_ece(few) > 3 * metrics.perfect_ece(many)


def test_predictive_values_follow_the_prevalence() -> None:
    found = metrics.at_prevalence(0.9, 0.8, 0.01)
    assert found["ppv"] == pytest.approx(0.009 / (0.009 + 0.198))
    assert found["npv"] == pytest.approx(0.792 / (0.792 + 0.001))


def test_net_benefit_of_calling_everybody_is_zero_at_the_prevalence() -> None:
    positive = np.arange(100) < 25
    curve = metrics.net_benefit(positive, positive * 0.9, [0.25])
    assert curve["all"] == [pytest.approx(0)]
    assert curve["model"] == [pytest.approx(0.25)]


def test_roc_points_keep_the_area_under_the_curve() -> None:
    random = np.random.default_rng(7)
    positive = random.random(500) < 0.5
    score = positive + random.normal(0, 1, 500)
    points = metrics.roc_points(positive, score)
    assert (points["x"][0], points["y"][0], points["x"][-1], points["y"][-1]) == (0, 0, 1, 1)
    assert np.trapezoid(points["y"], points["x"]) == pytest.approx(metrics.auroc(positive, score), abs=0.01)


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    [(0, 0, 1.0), (5, 5, 1.0), (1, 9, 22 / 1024), (9, 1, 22 / 1024), (0, 6, 2 / 64), (3, 4, 1.0)],
)
def test_mcnemars_exact_p_of_counts_is_that_of_the_binomial(only_a: int, only_b: int, p: float) -> None:
    assert mcnemar_counts(only_a, only_b) == pytest.approx(p)


def test_mcnemar_of_thousands_is_exact_still() -> None:
    from scipy.stats import binomtest

    assert mcnemar_counts(2400, 2600) == pytest.approx(binomtest(2400, 5000).pvalue)


def test_a_paired_difference_is_agrestis_and_mins() -> None:
    value, low, high = paired_difference(12, 4, 100)
    assert value == 0.08
    # b + ½ = 12.5, c + ½ = 4.5, n + 2 = 102: 8/102 ± 1.96·√(17 − 64/102)/102
    assert (low, high) == pytest.approx((8 / 102 - 0.07777, 8 / 102 + 0.07777), abs=1e-4)
    assert paired_difference(0, 0, 50)[0] == 0
    assert paired_difference(0, 0, 50)[2] > 0

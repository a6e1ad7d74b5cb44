"""How sure a figure is: DeLong, the patient bootstrap, Wilson, kappa, and tests of one model against another.

May import: NumPy and the standard library: pages count with it as well. Knows nothing of films but their patients.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mlcore.training.metrics import Flags, Floats

#: Two-sided 95 %.
Z = 1.959963984540054
REPLICATES = 2000
#: Replicates measured at once: bounds the memory, changes no number.
_AT_ONCE = 1 << 22


def delong(positive: Flags, score: Floats) -> tuple[float, float]:
    """AUROC and its standard error (DeLong et al. 1988; the fast algorithm of Sun & Xu 2014). nan where undefined."""
    areas, covariance = delong_covariance(positive, score[None])
    return float(areas[0]), math.sqrt(max(float(covariance[0, 0]), 0.0))


def delong_interval(positive: Flags, score: Floats) -> tuple[float, float]:
    """95 % interval on the logit of the AUROC, which keeps it inside [0, 1] (Pepe 2003); films count as independent."""
    area, error = delong(positive, score)
    if not 0 < area < 1 or not math.isfinite(error):
        return area, area
    middle, half = math.log(area / (1 - area)), Z * error / (area * (1 - area))
    return 1 / (1 + math.exp(half - middle)), 1 / (1 + math.exp(-half - middle))


def delong_paired(positive: Flags, a: Floats, b: Floats) -> dict[str, float]:
    """AUROC of `a` less that of `b` on the same films: {"value", "low", "high", "p"}, films counted as independent."""
    areas, covariance = delong_covariance(positive, np.stack([a, b]))
    value = float(areas[0] - areas[1])
    error = math.sqrt(max(float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]), 0.0))
    p = math.erfc(abs(value) / error / math.sqrt(2)) if error else float(value == 0)
    return {"value": value, "low": value - Z * error, "high": value + Z * error, "p": p}


def delong_covariance(positive: Flags, scores: Floats) -> tuple[Floats, Floats]:
    """Areas (models,) and their covariance (models, models) from `scores` (models, films)."""
    m, n = int(positive.sum()), int((~positive).sum())
    if m < 2 or n < 2:
        return np.full(len(scores), np.nan), np.full((len(scores), len(scores)), np.nan)
    yes, no = scores[:, positive], scores[:, ~positive]
    ranks = _midranks(np.concatenate([yes, no], axis=1))
    of_yes = (ranks[:, :m] - _midranks(yes)) / n
    of_no = 1 - (ranks[:, m:] - _midranks(no)) / m
    return of_yes.mean(1), np.atleast_2d(np.cov(of_yes)) / m + np.atleast_2d(np.cov(of_no)) / n


def _midranks(rows: Floats) -> Floats:
    """Ranks from 1 within each row; equal values share the mean of theirs."""
    ranks = np.empty(rows.shape)
    for place, row in enumerate(rows):
        _, where, count = np.unique(row, return_inverse=True, return_counts=True)
        ranks[place] = (np.cumsum(count) - (count - 1) / 2)[where]
    return ranks


def draws(groups: Sequence[str], replicates: int, seed: int = 0) -> Iterator[Floats]:
    """Blocks (replicates, films) of how often each film is drawn when whole patient groups are, with replacement."""
    _, inverse = np.unique(np.asarray(groups), return_inverse=True)
    random = np.random.default_rng(seed)
    count = int(inverse.max()) + 1
    block = max(1, _AT_ONCE // max(1, len(inverse)))
    for start in range(0, replicates, block):
        times = random.multinomial(count, np.full(count, 1 / count), size=min(block, replicates - start))
        yield times[:, inverse].astype(np.float64)


def bootstrap(
    measure: Callable[[Floats], Mapping[str, Any]], groups: Sequence[str], replicates: int = REPLICATES, seed: int = 0
) -> dict[str, Floats]:
    """Every figure of `measure(weights)` in every replicate: name → (replicates,), nan where it is not defined."""
    blocks = [measure(weights) for weights in draws(groups, replicates, seed)]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def interval(values: Floats) -> tuple[float, float]:
    """The middle 95 % of the replicates in which the figure is defined (percentile interval)."""
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def bootstrap_p(differences: Floats) -> float:
    """Two-sided p of a difference from its replicates: twice the smaller share on one side of zero, never zero."""
    known = differences[np.isfinite(differences)]
    beyond = min((known <= 0).sum(), (known >= 0).sum())
    return float(min(1.0, 2 * (beyond + 1) / (len(known) + 1)))


def wilson(successes: float, trials: float) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927); nan without trials."""
    if not trials:
        return float("nan"), float("nan")
    rate, square = successes / trials, Z * Z
    middle = (rate + square / (2 * trials)) / (1 + square / trials)
    half = Z / (1 + square / trials) * math.sqrt(rate * (1 - rate) / trials + square / (4 * trials * trials))
    return max(0.0, middle - half), min(1.0, middle + half)


def kappa(tp: float, fp: float, fn: float, tn: float) -> tuple[float, float, float]:
    """Cohen's kappa of two yes-or-no answers on the same cases, and its 95 % interval from the large-sample variance of
    Fleiss, Cohen & Everitt, Psychological Bulletin 72 (1969) 323-327. nan where both always say the same one thing."""
    n = tp + fp + fn + tn
    if not n:
        return (float("nan"),) * 3
    cells = ((tp / n, fp / n), (fn / n, tn / n))
    first = [sum(row) for row in cells]
    second = [cells[0][j] + cells[1][j] for j in (0, 1)]
    observed = cells[0][0] + cells[1][1]
    chance = first[0] * second[0] + first[1] * second[1]
    if chance == 1:
        return (float("nan"),) * 3
    value = (observed - chance) / (1 - chance)
    agreeing = sum(cells[i][i] * (1 - (first[i] + second[i]) * (1 - value)) ** 2 for i in (0, 1))
    differing = sum(cells[i][1 - i] * (second[i] + first[1 - i]) ** 2 for i in (0, 1))
    variance = agreeing + (1 - value) ** 2 * differing - (value - chance * (1 - value)) ** 2
    half = Z * math.sqrt(max(0.0, variance) / n) / (1 - chance)
    return value, max(-1.0, value - half), min(1.0, value + half)


def mcnemar(right_a: Flags, right_b: Flags) -> float:
    """Exact two-sided p that two models are right equally often on the same films (McNemar 1947)."""
    return mcnemar_counts(int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum()))


def mcnemar_counts(only_a: int, only_b: int) -> float:
    """`mcnemar` from the two numbers of films on which the models differ."""
    term, below = 1, 0
    for k in range(min(only_a, only_b) + 1):
        below += term
        term = term * (only_a + only_b - k) // (k + 1)
    return min(1.0, 2 * below / 2 ** (only_a + only_b))


def paired_difference(only_a: int, only_b: int, pairs: int) -> tuple[float, float, float]:
    """Difference of two shares measured on the same `pairs` films, a less b, and its 95 % interval (Agresti & Min 2005:
    Wald's, with half a film added to each of the four cells). nan without films."""
    if not pairs:
        return (float("nan"),) * 3
    b, c, n = only_a + 0.5, only_b + 0.5, pairs + 2
    half = Z * math.sqrt(b + c - (b - c) ** 2 / n) / n
    middle = (b - c) / n
    return (only_a - only_b) / pairs, max(-1.0, middle - half), min(1.0, middle + half)


def holm(p_values: Sequence[float]) -> list[float]:
    """p values adjusted for being several (Holm 1979), in their order."""
    order = np.argsort(p_values)
    adjusted, highest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def recalibration(positive: Flags, score: Floats, groups: Sequence[str]) -> dict[str, dict[str, float]]:
    """Calibration slope and intercept (Cox 1958): logit P(label) = intercept + slope · logit p; 1 and 0 are perfect.

    Intervals from the sandwich variance with patients as clusters. Empty when there is nothing to fit.
    """
    if not 1 < positive.sum() < len(positive) - 1:
        return {}
    clipped = np.clip(score.astype(np.float64), 1e-6, 1 - 1e-6)
    design = np.stack([np.ones(len(score)), np.log(clipped / (1 - clipped))], axis=1)
    values = np.array([0.0, 1.0])
    for _ in range(50):
        shares = 1 / (1 + np.exp(-np.clip(design @ values, -50, 50)))
        bread = design.T @ (design * (shares * (1 - shares))[:, None]) + 1e-9 * np.eye(2)
        step = np.linalg.solve(bread, design.T @ (positive - shares))
        values = values + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-9:
            break
    _, inverse = np.unique(np.asarray(groups), return_inverse=True)
    residual = design * (positive - shares)[:, None]
    clusters = np.stack([np.bincount(inverse, residual[:, k]) for k in range(2)], axis=1)
    inverse_bread = np.linalg.inv(bread)
    errors = np.sqrt(np.diag(inverse_bread @ clusters.T @ clusters @ inverse_bread))
    return {
        name: {"value": float(value), "low": float(value - Z * error), "high": float(value + Z * error)}
        for name, value, error in zip(("intercept", "slope"), values, errors, strict=True)
    }

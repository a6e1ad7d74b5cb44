"""Figures of merit from labels and probabilities, for the films as they are and for every bootstrap replicate at once.

May import: NumPy only. Every measure takes optional `weights` (replicates, films): how often each film was drawn. With
them it gives one value per replicate, without them one number. What is not defined (no positive film, …) is nan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Integers = npt.NDArray[np.integer]
Flags = npt.NDArray[np.bool_]
Truth = npt.NDArray[Any]
Measure = Callable[[Flags, Floats, "Floats | None"], Any]

#: Bins of the calibration error: as many films in each (Nixon et al. 2019).
BINS = 15


def auroc(positive: Flags, score: Floats, weights: Floats | None = None) -> Any:
    """Area under the ROC curve: the share of pairs in the right order, ties counted half."""
    order = np.argsort(score, kind="stable")
    drawn = _drawn(weights, len(score))[:, order]
    ones = np.where(positive[order], drawn, 0)
    zeros = drawn - ones
    first, last = _ties(score[order])
    below = np.cumsum(zeros, axis=1)
    start = np.concatenate([np.zeros((len(drawn), 1)), below], axis=1)[:, first]
    pairs = (ones * (start + below[:, last]) / 2).sum(1)
    return _given(_ratio(pairs, ones.sum(1) * zeros.sum(1)), weights)


def average_precision(positive: Flags, score: Floats, weights: Floats | None = None) -> Any:
    """Area under the precision-recall curve as steps (AUPRC), the films of a tie taken together."""
    order = np.argsort(-score, kind="stable")
    drawn = _drawn(weights, len(score))[:, order]
    ones = np.where(positive[order], drawn, 0)
    _, last = _ties(score[order])
    precision = _ratio(np.cumsum(ones, axis=1)[:, last], np.cumsum(drawn, axis=1)[:, last])
    return _given(_ratio((ones * np.nan_to_num(precision)).sum(1), ones.sum(1)), weights)


def brier(positive: Flags, score: Floats, weights: Floats | None = None) -> Any:
    """Mean squared distance between the probability and 0 or 1 (Brier 1950)."""
    return share((score - positive) ** 2, weights)


def ece(positive: Flags, score: Floats, weights: Floats | None = None, bins: int = BINS) -> Any:
    """Expected calibration error: mean gap between probability and frequency over bins of equal mass.

    Never negative, so it is above zero even for a perfect model, the more the fewer films there are.
    """
    order = np.argsort(score, kind="stable")
    drawn = _drawn(weights, len(score))[:, order]
    total = drawn.sum(1, keepdims=True)
    place = ((np.cumsum(drawn, axis=1) - drawn / 2) * bins / np.maximum(total, 1e-9)).astype(int).clip(0, bins - 1)
    place += np.arange(len(drawn))[:, None] * bins
    gaps = np.bincount(place.ravel(), (drawn * (score - positive)[order]).ravel(), len(drawn) * bins)
    return _given(_ratio(np.abs(gaps.reshape(-1, bins)).sum(1), total[:, 0]), weights)


def perfect_ece(score: Floats, draws: int = 200) -> float:
    """The calibration error that films drawn with exactly these probabilities would show by chance, on average."""
    random = np.random.default_rng(0)
    return float(np.mean([ece(random.random(len(score)) < score, score) for _ in range(draws)]))


def share(values: Floats | Flags, weights: Floats | None = None) -> Any:
    """The mean of `values` over the films."""
    drawn = _drawn(weights, len(values))
    return _given(_ratio(drawn @ np.asarray(values, dtype=np.float64), drawn.sum(1)), weights)


def macro(measure: Measure, truth: Truth, probabilities: Floats, weights: Floats | None = None) -> Any:
    """Mean of `measure` over the labels that some films have and others have not; nan when there is none.

    `truth` is the number of the one label (films,), or 0 and 1 per label (films, labels).
    """
    targets = matrix(truth, probabilities.shape[1])
    held = [k for k in range(targets.shape[1]) if 0 < targets[:, k].sum() < len(targets)]
    if not held:
        return _given(np.full(len(_drawn(weights, len(targets))), np.nan), weights)
    return sum(measure(targets[:, k], probabilities[:, k], weights) for k in held) / len(held)


def macro_auroc(truth: Truth, probabilities: Floats, weights: Floats | None = None) -> Any:
    """Mean one-against-rest AUROC of the labels that occur."""
    return macro(auroc, truth, probabilities, weights)


def matrix(truth: Truth, labels: int) -> Flags:
    """Labels as flags (films, labels)."""
    truth = np.asarray(truth)
    return truth.astype(bool) if truth.ndim == 2 else truth[:, None] == np.arange(labels)


def choices(targets: Flags, probabilities: Floats, weights: Floats | None = None) -> dict[str, Any]:
    """Figures of the first choice among exclusive labels: accuracy, balanced accuracy, top-label ECE, Brier (0–2)."""
    chosen, truth = probabilities.argmax(1), targets.argmax(1)
    right = chosen == truth
    drawn = _drawn(weights, len(right))
    held = np.flatnonzero(targets.any(0))
    recalls = [_ratio(drawn @ (right & targets[:, k]), drawn @ targets[:, k]) for k in held]
    return {
        "accuracy": share(right, weights),
        "balanced_accuracy": _given(np.mean(recalls, axis=0), weights),
        "ece": ece(right, probabilities.max(1), weights),
        "brier": share(((probabilities - targets) ** 2).sum(1), weights),
    }


def at_threshold(positive: Flags, called: Flags, weights: Floats | None = None) -> dict[str, Any]:
    """Figures of a yes-or-no call: sensitivity, specificity, PPV, NPV, LR+, LR−, F1 and Matthews' correlation.

    PPV and NPV are at the share of positive films among these; see `at_prevalence` for another.
    """
    drawn = _drawn(weights, len(positive))
    tp, fn = drawn @ (positive & called), drawn @ (positive & ~called)
    fp, tn = drawn @ (~positive & called), drawn @ (~positive & ~called)
    sensitivity, specificity = _ratio(tp, tp + fn), _ratio(tn, tn + fp)
    mcc = _ratio(tp * tn - fp * fn, np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))
    values = {
        "sensitivity": sensitivity,
        "specificity": specificity,
        "ppv": _ratio(tp, tp + fp),
        "npv": _ratio(tn, tn + fn),
        "lr_positive": _ratio(sensitivity, 1 - specificity),
        "lr_negative": _ratio(1 - sensitivity, specificity),
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
        "mcc": mcc,
    }
    return {name: _given(value, weights) for name, value in values.items()}


def at_prevalence(sensitivity: Any, specificity: Any, prevalence: float) -> dict[str, Any]:
    """PPV and NPV where `prevalence` of the films have the finding (Bayes)."""
    true, false = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    missed, clear = (1 - sensitivity) * prevalence, specificity * (1 - prevalence)
    ppv, npv = (
        _ratio(np.atleast_1d(true), np.atleast_1d(true + false)),
        _ratio(np.atleast_1d(clear), np.atleast_1d(clear + missed)),
    )
    return {"ppv": ppv if np.ndim(true) else float(ppv[0]), "npv": npv if np.ndim(true) else float(npv[0])}


def net_benefit(positive: Flags, score: Floats, thresholds: Sequence[float]) -> dict[str, list[float]]:
    """Decision curve (Vickers & Elkin 2006): true positives less false positives at the odds of the threshold, per
    film; `all` is calling every film positive. Calling none has no benefit: zero."""
    prevalence = float(positive.mean())
    rows: dict[str, list[float]] = {"x": [], "model": [], "all": []}
    for threshold in thresholds:
        odds = threshold / (1 - threshold)
        called = score >= threshold
        rows["x"].append(float(threshold))
        rows["model"].append(float((called & positive).mean() - (called & ~positive).mean() * odds))
        rows["all"].append(prevalence - (1 - prevalence) * odds)
    return rows


def roc_points(positive: Flags, score: Floats, most: int = 50) -> dict[str, list[float]]:
    """The ROC curve as at most about `most` points: {"x": false positive rates, "y": sensitivities}."""
    cuts = np.concatenate([[np.inf], np.unique(score)[::-1]])
    yes, no = np.sort(score[positive]), np.sort(score[~positive])
    y = 1 - np.searchsorted(yes, cuts) / max(1, len(yes))
    x = 1 - np.searchsorted(no, cuts) / max(1, len(no))
    corner = np.ones(len(x), dtype=bool)
    corner[1:-1] = ((x[1:-1] != x[:-2]) | (x[2:] != x[1:-1])) & ((y[1:-1] != y[:-2]) | (y[2:] != y[1:-1]))
    places = np.flatnonzero(corner)
    places = places[np.unique(np.linspace(0, len(places) - 1, min(most, len(places))).round().astype(int))]
    return {"x": [round(float(v), 4) for v in x[places]], "y": [round(float(v), 4) for v in y[places]]}


def reliability_points(positive: Flags, score: Floats, bins: int = BINS) -> dict[str, list[float]]:
    """Per bin of equal mass: mean probability `x`, frequency `y` and films `n`."""
    pieces = [piece for piece in np.array_split(np.argsort(score, kind="stable"), bins) if len(piece)]
    return {
        "x": [round(float(score[piece].mean()), 4) for piece in pieces],
        "y": [round(float(positive[piece].mean()), 4) for piece in pieces],
        "n": [len(piece) for piece in pieces],
    }


def rounded(values: Mapping[str, float], digits: int = 4) -> dict[str, float]:
    """The values that exist, rounded."""
    return {name: round(float(value), digits) for name, value in values.items() if np.isfinite(value)}


def _drawn(weights: Floats | None, films: int) -> Floats:
    return np.ones((1, films)) if weights is None else weights


def _given(values: Any, weights: Floats | None) -> Any:
    """One number when nothing was drawn, else one per replicate."""
    return float(values[0]) if weights is None else values


def _ratio(above: Any, below: Any) -> Any:
    """`above / below`, nan where there is nothing to divide by."""
    below = np.asarray(below, dtype=np.float64)
    return np.divide(above, below, out=np.full(below.shape, np.nan), where=below > 0)


def _ties(ordered: Floats) -> tuple[Integers, Integers]:
    """For every place in sorted scores: the first and the last place of the same score."""
    change = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1], [True]]))
    run = np.cumsum(np.concatenate([[0], (ordered[1:] != ordered[:-1]).astype(int)]))
    return change[:-1][run], change[1:][run] - 1

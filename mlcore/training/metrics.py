"""Figures of merit from labels and probabilities, and their intervals.

May import: NumPy only. `train` selects by them, `evaluate` puts them into the card.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Integers = npt.NDArray[np.integer]
Flags = npt.NDArray[np.bool_]
Figures = dict[str, float]


def auroc(positive: Flags, score: Floats) -> float:
    """Area under the ROC curve by ranks, ties counted half; nan when one side is empty."""
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        return float("nan")
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2
    return float((mean_rank[inverse][positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def macro_auroc(truth: Integers, probabilities: Floats) -> float:
    """Mean one-against-rest AUROC of the labels that occur; nan when fewer than two do."""
    return float(np.mean([auroc(truth == k, probabilities[:, k]) for k in np.unique(truth)]))


def expected_calibration_error(truth: Integers, probabilities: Floats, bins: int = 10) -> float:
    """Mean gap between confidence and accuracy of the first choice, over equal-width bins (Guo et al. 2017)."""
    confidence, right = probabilities.max(1), probabilities.argmax(1) == truth
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(place, weights=confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(truth))


def brier(truth: Integers, probabilities: Floats) -> float:
    """Mean squared distance between probabilities and the truth, summed over labels: 0 best, 2 worst."""
    return float(((probabilities - np.eye(probabilities.shape[1])[truth]) ** 2).sum(1).mean())


def figures(
    truth: Integers, probabilities: Floats, labels: Sequence[str], thresholds: Mapping[str, float] | None = None
) -> Figures:
    """Every figure of one group of films, flat; `thresholds` adds sensitivity and specificity per label.

    Balanced accuracy and macro AUROC are means over the labels that occur in the group.
    """
    chosen = probabilities.argmax(1)
    present = np.unique(truth)
    result = {
        "accuracy": float((chosen == truth).mean()),
        "balanced_accuracy": float(np.mean([(chosen[truth == k] == k).mean() for k in present])),
        "macro_auroc": macro_auroc(truth, probabilities),
        "ece": expected_calibration_error(truth, probabilities),
        "brier": brier(truth, probabilities),
    }
    for k in present:
        positive, score = truth == k, probabilities[:, k]
        result[f"auroc.{labels[k]}"] = auroc(positive, score)
        if thresholds is not None:
            called = score >= thresholds[labels[k]]
            result[f"sensitivity.{labels[k]}"] = float(called[positive].mean())
            result[f"specificity.{labels[k]}"] = (
                float((~called[~positive]).mean()) if (~positive).any() else float("nan")
            )
    return result


def bootstrap(
    measure: Callable[[Integers], Figures], groups: Sequence[str], replicates: int, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """95 % percentile intervals of `measure(indices)`, drawing whole patient groups with replacement.

    Replicates in which a figure is not defined (a label was not drawn) do not count for that figure.
    """
    random = np.random.default_rng(seed)
    _, inverse = np.unique(np.asarray(groups), return_inverse=True)
    members = np.split(np.argsort(inverse, kind="stable"), np.cumsum(np.bincount(inverse))[:-1])
    draws: dict[str, list[float]] = {}
    for _ in range(replicates):
        chosen = random.integers(0, len(members), len(members))
        for name, value in measure(np.concatenate([members[i] for i in chosen])).items():
            draws.setdefault(name, []).append(value)
    return {name: _interval(values) for name, values in draws.items()}


def _interval(values: list[float]) -> tuple[float, float]:
    known = np.array(values)[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)

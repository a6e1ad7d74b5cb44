"""Calibration and thresholds, both fitted on the validation split and never on the test split.

May import: NumPy, `mlcore.card`, `metrics`. `bundle` writes the result into the card.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlcore.card import Calibration
from mlcore.training.metrics import Flags, Floats

#: What the thresholds aim for; printed in the card.
AIM = (
    "Youden's index (sensitivity + specificity − 1) on the validation split, averaged over the sources that hold "
    "both films with and films without the finding, so that no threshold is set by telling the sources apart"
)
#: A finding that fewer validation films have, or lack, gets no threshold: the card calls it not trained and it is
#: never shown.
FEWEST = 20


def assessed(targets: Flags | Floats, labels: Sequence[str]) -> tuple[str, ...]:
    """The labels whose threshold the validation films (films, labels) can carry; see `FEWEST`."""
    held = np.asarray(targets).sum(0)
    return tuple(label for k, label in enumerate(labels) if FEWEST <= held[k] <= len(targets) - FEWEST)


def source_weights(sources: Sequence[str]) -> Floats:
    """One weight per film so that every source counts the same and the mean weight is 1."""
    names, inverse, counts = np.unique(np.asarray(sources), return_inverse=True, return_counts=True)
    return len(inverse) / len(names) / counts[inverse]


def fit_calibration(
    probabilities: Floats, targets: Flags | Floats, weights: Floats, exclusive: bool = True, steps: int = 200
) -> Calibration:
    """Temperature and one bias per label that minimise the weighted log loss (Newton's method, convex).

    `targets` (films, labels) are 0 and 1. Exclusive labels share a softmax, others have a sigmoid each.
    """
    logits = np.log(np.clip(probabilities.astype(np.float64), 1e-7, 1.0))
    if not exclusive:
        logits -= np.log(np.clip(1 - probabilities.astype(np.float64), 1e-7, 1.0))
    count, labels = logits.shape
    basis = np.concatenate([logits[:, :, None], np.broadcast_to(np.eye(labels), (count, labels, labels))], axis=2)
    values = np.concatenate([[1.0], np.zeros(labels)])
    for _ in range(steps):
        shares = _softmax(basis @ values) if exclusive else 1 / (1 + np.exp(-np.clip(basis @ values, -50, 50)))
        gradient = np.einsum("n,nk,nkp->p", weights, shares - targets, basis) / count
        spread = shares if exclusive else shares * (1 - shares)
        hessian = np.einsum("n,nk,nkp,nkq->pq", weights, spread, basis, basis) / count
        if exclusive:
            mean = np.einsum("nk,nkp->np", shares, basis)
            hessian -= np.einsum("n,np,nq->pq", weights, mean, mean) / count
        step = np.linalg.solve(hessian + 1e-6 * np.eye(len(values)), gradient + 1e-6 * values)
        values = values - np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-9:
            break
    slope = max(float(values[0]), 0.05)
    bias = values[1:] - (values[1:].mean() if exclusive else 0)
    return Calibration(round(1 / slope, 4), tuple(round(float(value), 4) for value in bias), exclusive)


def fit_thresholds(
    calibrated: Floats, targets: Flags | Floats, sources: Sequence[str], labels: Sequence[str]
) -> dict[str, float]:
    """One threshold per label on the calibrated probability; see `AIM`. Halfway between two neighbouring films."""
    source = np.asarray(sources)
    return {label: _youden(calibrated[:, k], targets[:, k] > 0, source) for k, label in enumerate(labels)}


def _youden(score: Floats, positive: Flags, source: np.ndarray) -> float:
    values = np.unique(score)
    cuts = np.concatenate([[values[0] / 2], (values[1:] + values[:-1]) / 2])
    index = np.zeros(len(cuts))
    for name in np.unique(source):
        inside = source == name
        yes, no = np.sort(score[inside & positive]), np.sort(score[inside & ~positive])
        if len(yes) and len(no):
            index += np.searchsorted(no, cuts) / len(no) - np.searchsorted(yes, cuts) / len(yes)
    return round(float(cuts[int(index.argmax())]), 4)


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)

"""Calibration and thresholds, both fitted on the validation split and never on the test split.

May import: NumPy, `mlcore.card`, `metrics`; scikit-learn inside functions. `bundle` writes the result into the card.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlcore.card import Calibration
from mlcore.training import metrics
from mlcore.training.metrics import Flags, Floats

#: What the thresholds aim for; printed in the card.
AIM = (
    "the largest sensitivity + specificity on the validation split (Youden's index), each averaged over the sources: "
    "sensitivity over those that hold films with the finding, specificity over all that hold films without it, so that "
    "no threshold is set by telling the sources apart and false alarms count wherever the model is used"
)
#: A finding that fewer validation films have, or lack, gets no threshold: the card calls it not trained and it is
#: never shown.
FEWEST = 20
_FOLDS = 5


def assessed(targets: Flags | Floats, labels: Sequence[str], fewest: int = FEWEST) -> tuple[str, ...]:
    """The labels whose threshold the validation films (films, labels) can carry; see `FEWEST`."""
    held = np.asarray(targets).sum(0)
    return tuple(label for k, label in enumerate(labels) if fewest <= held[k] <= len(targets) - fewest)


def source_weights(sources: Sequence[str]) -> Floats:
    """One weight per film so that every source counts the same and the mean weight is 1."""
    names, inverse, counts = np.unique(np.asarray(sources), return_inverse=True, return_counts=True)
    return len(inverse) / len(names) / counts[inverse]


def fit_calibration(
    probabilities: Floats, targets: Flags | Floats, weights: Floats, exclusive: bool = True
) -> Calibration:
    """Temperature and one bias per label that minimise the weighted log loss (convex).

    `targets` (films, labels) are 0 and 1. Exclusive labels share a softmax, others have a sigmoid each.
    """
    scores = _log(probabilities) if exclusive else _log(probabilities) - _log(1 - probabilities.astype(np.float64))
    values = _fit(_basis(scores), targets, weights, exclusive)
    slope = max(float(values[0]), 0.05)
    bias = values[1:] - (values[1:].mean() if exclusive else 0)
    return Calibration(round(1 / slope, 4), tuple(round(float(value), 4) for value in bias), exclusive)


def choose_calibration(
    probabilities: Floats, targets: Flags, sources: Sequence[str], groups: Sequence[str], exclusive: bool = True
) -> tuple[Calibration, dict[str, Any]]:
    """The calibration of the card and what was tried: every candidate by five-fold cross-validation over patients.

    The rule: of the candidates that the card can hold, the one whose worst expected calibration error inside a source
    is smallest. A pooled error can be small because one source is too sure and the other not sure enough; the worst
    of the sources cannot. Too few films for five folds: temperature and bias, every source counting the same.
    """
    fits = _candidates(exclusive)
    parts = {"pooled": np.full(len(targets), True)}
    parts |= {f"within {name}": np.asarray(sources) == name for name in sorted(set(sources))}
    held = _held_out(fits, probabilities, targets, sources, groups)
    tried = {name: {part: _told(values[keep], targets[keep], exclusive) for part, keep in parts.items()}
             for name, values in held.items()}  # fmt: skip
    worst = {
        name: max(found["ece"] for part, found in tried[name].items() if part != "pooled")
        for name in tried
        if name in _KEPT
    }
    chosen = min(worst, key=lambda name: worst[name]) if worst else _DEFAULT
    weights = _WEIGHTS[_KEPT[chosen]](sources, targets)
    about = {"chosen": chosen, "rule": RULE, "cross_validated": tried}
    return fit_calibration(probabilities, targets, weights, exclusive), about


def fit_thresholds(
    calibrated: Floats, targets: Flags | Floats, sources: Sequence[str], labels: Sequence[str]
) -> dict[str, float]:
    """One threshold per label on the calibrated probability; see `AIM`. Halfway between two neighbouring films."""
    source = np.asarray(sources)
    return {label: _youden(calibrated[:, k], targets[:, k] > 0, source) for k, label in enumerate(labels)}


def _youden(score: Floats, positive: Flags, source: np.ndarray) -> float:
    values = np.unique(score)
    cuts = np.concatenate([[values[0] / 2], (values[1:] + values[:-1]) / 2])
    missed: list[Floats] = []
    refused: list[Floats] = []
    for name in np.unique(source):
        inside = source == name
        for films, rates in ((inside & positive, missed), (inside & ~positive, refused)):
            if films.any():
                rates.append(np.searchsorted(np.sort(score[films]), cuts) / films.sum())
    index = np.mean(refused, axis=0) - np.mean(missed, axis=0)
    return round(float(cuts[int(index.argmax())]), 4)


def _log(probabilities: Floats) -> Floats:
    return np.asarray(np.log(np.clip(probabilities.astype(np.float64), 1e-7, 1.0)))


def _basis(*scores: Floats) -> Floats:
    """What the values of a fit multiply: each of `scores` (films, labels), then one bias per label."""
    count, labels = scores[0].shape
    biases = np.broadcast_to(np.eye(labels), (count, labels, labels))
    return np.concatenate([*(score[:, :, None] for score in scores), biases], axis=2)


def _fit(basis: Floats, targets: Flags | Floats, weights: Floats, exclusive: bool, steps: int = 200) -> Floats:
    """Values that minimise the weighted log loss of `basis @ values`, by Newton's method."""
    count = len(basis)
    start = np.zeros(basis.shape[2])
    start[0] = 1.0
    values = start
    for _ in range(steps):
        shares = _shares(basis @ values, exclusive)
        gradient = np.einsum("n,nk,nkp->p", weights, shares - targets, basis) / count
        spread = shares if exclusive else shares * (1 - shares)
        hessian = np.einsum("n,nk,nkp,nkq->pq", weights, spread, basis, basis) / count
        if exclusive:
            mean = np.einsum("nk,nkp->np", shares, basis)
            hessian -= np.einsum("n,np,nq->pq", weights, mean, mean) / count
        step = np.linalg.solve(hessian + 1e-6 * np.eye(len(values)), gradient + 1e-6 * (values - start))
        values = values - np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-9:
            break
    return values


def _shares(logits: Floats, exclusive: bool) -> Floats:
    if not exclusive:
        return np.asarray(1 / (1 + np.exp(-np.clip(logits, -50, 50))))
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))


def _even(sources: Sequence[str], targets: Flags) -> Floats:
    return np.ones(len(sources))


def _by_source(sources: Sequence[str], targets: Flags) -> Floats:
    return source_weights(sources)


def _by_stratum(sources: Sequence[str], targets: Flags) -> Floats:
    """Every (source, label) counts the same."""
    return source_weights([f"{source} {place}" for source, place in zip(sources, targets.argmax(1), strict=True)])


Weigh = Callable[[Sequence[str], Flags], Floats]
Apply = Callable[[Floats], Floats]
#: Fits what it is given (probabilities, targets, sources) and returns what to apply.
Fit = Callable[[Floats, Flags, Sequence[str]], Apply]
#: What counts the same in a fit: every film, every source, or every label of a source.
_WEIGHTS: dict[str, Weigh] = {"film": _even, "source": _by_source, "stratum": _by_stratum}
_KEPT = {f"temperature and bias by {name}": name for name in _WEIGHTS}
_DEFAULT = "temperature and bias by source"
RULE = (
    "The smallest worst expected calibration error inside a source, by five-fold cross-validation over the patients of "
    "the validation split, among the candidates with one temperature and one bias per label. “By source” means that "
    "every source counts the same in the fit, “by stratum” every label of every source."
)


def _candidates(exclusive: bool) -> dict[str, Fit]:
    """What is tried. Only temperature and bias fit into the card: the others must be much better to be worth more."""
    found: dict[str, Fit] = {"none": lambda *_: np.asarray}
    for name, weigh in _WEIGHTS.items():
        found[f"temperature and bias by {name}"] = _temperature(weigh, exclusive)
        if exclusive:
            found[f"beta by {name}"] = _beta(weigh)
        found[f"Platt per label by {name}"] = _platt(weigh, exclusive)
        found[f"isotonic per label by {name}"] = _isotonic(weigh, exclusive)
    return found


def _temperature(weigh: Weigh, exclusive: bool) -> Fit:
    return lambda p, t, s: fit_calibration(p, t, weigh(s, t), exclusive).apply


def _beta(weigh: Weigh) -> Fit:
    """A slope for log p, another for log(1 − p), and biases (Kull et al. 2017)."""

    def fit(probabilities: Floats, targets: Flags, sources: Sequence[str]) -> Apply:
        def basis(p: Floats) -> Floats:
            return _basis(_log(p), -_log(1 - p.astype(np.float64)))

        values = _fit(basis(probabilities), targets, weigh(sources, targets), True)
        return lambda p: _shares(basis(p) @ values, True)

    return fit


def _platt(weigh: Weigh, exclusive: bool) -> Fit:
    """A slope and a bias for every label by itself (Platt 1999), then shares that sum to 1 if labels are exclusive."""

    def fit(probabilities: Floats, targets: Flags, sources: Sequence[str]) -> Apply:
        weights = weigh(sources, targets)
        own = [fit_calibration(probabilities[:, [k]], targets[:, [k]], weights, False) for k in range(targets.shape[1])]
        return lambda p: _normal(np.concatenate([each.apply(p[:, [k]]) for k, each in enumerate(own)], 1), exclusive)

    return fit


def _isotonic(weigh: Weigh, exclusive: bool) -> Fit:
    def fit(probabilities: Floats, targets: Flags, sources: Sequence[str]) -> Apply:
        from sklearn.isotonic import IsotonicRegression

        weights = weigh(sources, targets)
        own = [
            IsotonicRegression(y_min=1e-3, y_max=1 - 1e-3, out_of_bounds="clip").fit(
                probabilities[:, k], targets[:, k], weights
            )
            for k in range(targets.shape[1])
        ]
        return lambda p: _normal(np.stack([each.predict(p[:, k]) for k, each in enumerate(own)], 1), exclusive)

    return fit


def _normal(values: Floats, exclusive: bool) -> Floats:
    return values / values.sum(1, keepdims=True) if exclusive else values


def _held_out(
    fits: dict[str, Fit], probabilities: Floats, targets: Flags, sources: Sequence[str], groups: Sequence[str]
) -> dict[str, Floats]:
    """Every candidate's probabilities of films whose patients it was not fitted on; {} with too few films."""
    source = np.asarray(sources)
    strata = np.array([f"{name} {place}" for name, place in zip(sources, targets.argmax(1), strict=True)])
    if len(targets) < 100 or np.unique(strata, return_counts=True)[1].max() < _FOLDS:
        return {}
    from sklearn.model_selection import StratifiedGroupKFold

    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=0)
    held: dict[str, Floats] = {name: np.zeros(probabilities.shape) for name in fits}
    for fitted, left in folds.split(probabilities, strata, np.asarray(groups)):
        for name, fit in fits.items():
            apply = fit(probabilities[fitted], targets[fitted], list(source[fitted]))
            held[name][left] = apply(probabilities[left])
    return held


def _told(probabilities: Floats, targets: Flags, exclusive: bool) -> dict[str, float]:
    """Calibration error, what chance alone would show, log loss and macro AUROC."""
    clipped = np.clip(probabilities.astype(np.float64), 1e-7, 1 - 1e-7)
    if exclusive:
        right = probabilities.argmax(1) == targets.argmax(1)
        error, chance = metrics.ece(right, probabilities.max(1)), metrics.perfect_ece(probabilities.max(1))
        loss = -np.log(clipped[targets]).mean()
    else:
        columns = range(targets.shape[1])
        error = float(np.mean([metrics.ece(targets[:, k], probabilities[:, k]) for k in columns]))
        chance = float(np.mean([metrics.perfect_ece(probabilities[:, k]) for k in columns]))
        loss = -np.where(targets, np.log(clipped), np.log(1 - clipped)).mean()
    area = metrics.macro_auroc(targets, probabilities)
    return metrics.rounded({"ece": error, "by_chance": chance, "log_loss": loss, "macro_auroc": area})

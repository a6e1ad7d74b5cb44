"""The figures of a model from its probabilities: pooled, within every source and every file-making batch, by subgroup.

May import: NumPy, `mlcore.training`. No pixel is read here: `measure` makes probabilities of films, `bundle` puts the
outcome into the card, the recipes and the comparison into their reports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlcore.training import metrics
from mlcore.training.films import Film
from mlcore.training.metrics import Flags, Floats
from mlcore.training.probes import FEWEST, between_batches, log_odds, source_probe
from mlcore.training.statistics import (
    REPLICATES,
    bootstrap,
    bootstrap_p,
    delong_interval,
    delong_paired,
    interval,
    mcnemar,
    recalibration,
    wilson,
)
from mlcore.training.subgroups import subgroups
from mlcore.training.tasks import Task

#: Shares of positive films at which PPV and NPV are worked out when nobody names one.
PREVALENCES = (0.01, 0.05, 0.2)
_THRESHOLDS = tuple(round(0.04 * step, 2) for step in range(1, 23))


@dataclass(frozen=True, slots=True)
class Readings:
    """Films with their labels (films, labels) and calibrated probabilities, and how they are to be measured."""

    films: Sequence[Film]
    targets: Flags
    probabilities: Floats
    task: Task
    thresholds: Mapping[str, float]
    prevalence: Mapping[str, float]
    replicates: int
    seed: int

    def select(self, keep: Flags) -> Readings:
        films = [film for film, kept in zip(self.films, keep, strict=True) if kept]
        return replace(self, films=films, targets=self.targets[keep], probabilities=self.probabilities[keep])

    @property
    def groups(self) -> list[str]:
        return [film.group for film in self.films]

    @property
    def labels(self) -> tuple[str, ...]:
        return self.task.labels


def evaluation(
    films: Sequence[Film],
    probabilities: Floats,
    task: Task,
    *,
    thresholds: Mapping[str, float],
    train_films: Sequence[Film],
    prevalence: Mapping[str, float] | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
    uncalibrated: Floats | None = None,
    features: Floats | None = None,
) -> dict[str, Any]:
    """Every figure of one split as plain JSON: {"value", "low", "high", "n"}, intervals 95 % over whole patients.

    `probabilities` (films, labels) are calibrated; `thresholds` per label come from validation; `train_films` give the
    baselines without pixels their shares. `uncalibrated` probabilities are reported as "before" calibration;
    `features` (films, …) are probed for source and batch as the probabilities are. A figure that is not defined is
    left out. Raises ValueError when a film is not part of the task or the shapes differ.
    """
    if not films or probabilities.shape != (len(films), len(task.labels)):
        raise ValueError(f"expected {len(films)} × {len(task.labels)} probabilities, got {probabilities.shape}")
    if not np.isfinite(probabilities).all():
        raise ValueError("the probabilities hold values that are not numbers")
    readings = Readings(
        films, task.targets(films).astype(bool), probabilities.astype(np.float64), task,
        thresholds, prevalence or {}, replicates, seed,
    )  # fmt: skip
    known = baselines(films, task.films(train_films), task)
    return {
        "task": task.key,
        "labels": list(task.labels),
        "exclusive": task.exclusive,
        "films": len(films),
        "groups": len(set(readings.groups)),
        "replicates": replicates,
        "seed": seed,
        "unit": "patient group",
        "ece": f"{metrics.BINS} bins of equal mass; " + ("top label" if task.exclusive else "mean over labels"),
        "thresholds": {label: float(thresholds[label]) for label in task.labels if label in thresholds},
        "parts": {
            name: _part(
                readings.select(keep), _chosen(known, keep), None if uncalibrated is None else uncalibrated[keep]
            )
            for name, keep in parts(films).items()
        },
        "batches": _batches(readings),
        "between_batches": between_batches(
            films, readings.targets, readings.probabilities, task.labels, replicates, seed
        ),
        "subgroups": [_subgroup(readings, *group) for group in subgroups(films)],
        "source_probe": {
            name: source_probe(films, values)
            for name, values in (("probabilities", log_odds(probabilities)), ("maps", features))
            if values is not None
        },
    }


def parts(films: Sequence[Film]) -> dict[str, Flags]:
    """ "pooled", and "within SOURCE" for every source: which films belong to it."""
    source = np.array([film.source for film in films])
    return {"pooled": np.full(len(films), True)} | {f"within {name}": source == name for name in sorted(set(source))}


def paired_difference(
    films: Sequence[Film], task: Task, a: Floats, b: Floats, *, replicates: int = REPLICATES, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Macro AUROC of `a` less that of `b` (films, labels) on the same films, per part: value, low, high and p.

    Both models are measured on the same draws of whole patients; p is two-sided from those draws. Beside it, with
    films counted as independent: `delong` per label, and for exclusive labels `mcnemar`, the p that both first choices
    are right equally often.
    """
    result = {}
    targets = task.targets(films) > 0
    for name, keep in parts(films).items():
        truth, of_a, of_b = targets[keep], a[keep].astype(np.float64), b[keep].astype(np.float64)
        value = metrics.macro_auroc(truth, of_a) - metrics.macro_auroc(truth, of_b)
        if not np.isfinite(value):
            continue
        groups = [film.group for film, kept in zip(films, keep, strict=True) if kept]
        drawn = bootstrap(_macro_difference(truth, of_a, of_b), groups, replicates, seed)["difference"]
        result[name] = {**_figure(value, drawn, int(keep.sum())), "p": round(bootstrap_p(drawn), 4)}
        result[name]["delong"] = {
            label: metrics.rounded(delong_paired(truth[:, k], of_a[:, k], of_b[:, k]))
            for k, label in enumerate(task.labels)
            if 1 < truth[:, k].sum() < len(truth) - 1
        }
        if task.exclusive:
            right_a, right_b = (scores.argmax(1) == truth.argmax(1) for scores in (of_a, of_b))
            result[name]["mcnemar"] = round(mcnemar(right_a, right_b), 4)
    return result


def _macro_difference(truth: Flags, a: Floats, b: Floats) -> Callable[[Floats], dict[str, Any]]:
    return lambda weights: {
        "difference": metrics.macro_auroc(truth, a, weights) - metrics.macro_auroc(truth, b, weights)
    }


def differences(stored: Mapping[str, Any], again: Mapping[str, Any], tolerance: float = 0.002) -> list[str]:
    """Where a stored evaluation and a new one differ by more than `tolerance`: one line each."""
    old, new = dict(_leaves(stored)), dict(_leaves(again))
    lines = []
    for name in sorted(old.keys() | new.keys()):
        a, b = old.get(name), new.get(name)
        if a is None or b is None or abs(a - b) > tolerance:
            lines.append(f"{name}: card {a}, now {b}")
    return lines


def baselines(films: Sequence[Film], train: Sequence[Film], task: Task) -> dict[str, Floats]:
    """Probabilities without a pixel: label shares in training by source and by batch, and never any finding.

    Inside its own group a baseline ranks nothing: read it beside the model's figures of the same part.
    """
    targets = task.targets(train) if train else np.zeros((0, len(task.labels)))

    def shares(name: str) -> Floats:
        values = np.array([getattr(film, name) for film in train])
        known = {
            value: (targets[values == value].sum(0) + 1e-3) / ((values == value).sum() + 1e-3) for value in set(values)
        }
        rows = np.stack([known.get(getattr(film, name), np.full(len(task.labels), 0.5)) for film in films])
        return rows / rows.sum(1, keepdims=True) if task.exclusive else rows

    always = np.zeros((len(films), len(task.labels)))
    if task.exclusive:
        always[:, 0] = 1
    return {"source_only": shares("source"), "batch_only": shares("batch"), "always_normal": always}


def _part(readings: Readings, known: Mapping[str, Floats], uncalibrated: Floats | None) -> dict[str, Any]:
    targets, labels = readings.targets, readings.labels
    result = {
        "films": len(targets),
        "groups": len(set(readings.groups)),
        "labels": {label: int(targets[:, k].sum()) for k, label in enumerate(labels)},
        "figures": _figures(readings),
        "baselines": {name: _baseline(readings, probabilities) for name, probabilities in known.items()},
        "curves": _curves(readings),
    }
    if uncalibrated is not None:
        result["before"] = _before(replace(readings, probabilities=uncalibrated.astype(np.float64)))
    if readings.task.exclusive:
        chosen = readings.probabilities.argmax(1)
        result["confusion"] = [[int((targets[:, k] & (chosen == j)).sum()) for j in range(len(labels))]
                               for k in range(len(labels))]  # fmt: skip
    return result


def _before(readings: Readings) -> dict[str, Any]:
    """Calibration error, Brier score and reliability of the scores as they leave the network."""
    measured = _measured(replace(readings, thresholds={}), None)
    kept = {name: value for name, value in measured.items() if name.startswith(("ece", "brier"))}
    return {"figures": metrics.rounded(kept), "reliability": _curves(readings)["reliability"]}


def _figures(readings: Readings) -> dict[str, dict[str, float]]:
    """Everything that is defined, with its interval and the films it is of."""
    values = _measured(readings, None)
    drawn = bootstrap(lambda weights: _measured(readings, weights), readings.groups, readings.replicates, readings.seed)
    figures = {}
    for name, value in values.items():
        if np.isfinite(value):
            figures[name] = _figure(value, drawn[name], len(readings.films))
    if readings.task.exclusive:
        figures["ece"]["perfect"] = round(metrics.perfect_ece(readings.probabilities.max(1)), 4)
    for k, label in enumerate(readings.labels):
        if f"auroc.{label}" in figures:
            low, high = delong_interval(readings.targets[:, k], readings.probabilities[:, k])
            figures[f"ece.{label}"]["perfect"] = round(metrics.perfect_ece(readings.probabilities[:, k]), 4)
            figures[f"auroc.{label}"] |= metrics.rounded({"delong_low": low, "delong_high": high})
        for name, found in recalibration(readings.targets[:, k], readings.probabilities[:, k], readings.groups).items():
            figures[f"{name}.{label}"] = {**metrics.rounded(found), "n": len(readings.films)}
        positives = int(readings.targets[:, k].sum())
        for name, trials in (("sensitivity", positives), ("specificity", len(readings.films) - positives)):
            if f"{name}.{label}" in figures:
                low, high = wilson(round(values[f"{name}.{label}"] * trials), trials)
                figures[f"{name}.{label}"] |= metrics.rounded({"wilson_low": low, "wilson_high": high})
    return figures


def _measured(readings: Readings, weights: Floats | None) -> dict[str, Any]:
    """All figures, flat: `name` or `name.label`."""
    result = _areas(readings, weights)
    for k, label in enumerate(readings.labels):
        positive, score = readings.targets[:, k], readings.probabilities[:, k]
        result[f"auprc.{label}"] = metrics.average_precision(positive, score, weights)
        result[f"ece.{label}"] = metrics.ece(positive, score, weights)
        result[f"brier.{label}"] = metrics.brier(positive, score, weights)
        if label in readings.thresholds:
            found = metrics.at_threshold(positive, score >= readings.thresholds[label], weights)
            if not positive.any():  # all that can be said is how often it is called for nothing
                result[f"specificity.{label}"] = found["specificity"]
                continue
            result |= {f"{name}.{label}": value for name, value in found.items()}
            for share in _prevalences(readings, label):
                predicted = metrics.at_prevalence(found["sensitivity"], found["specificity"], share)
                result |= {f"{name}@{share:g}.{label}": value for name, value in predicted.items()}
    held = _held(readings)
    result["macro_auprc"] = (
        sum(result[f"auprc.{label}"] for label in held) / len(held) if held else result["macro_auroc"]
    )
    if readings.task.exclusive:
        result |= metrics.choices(readings.targets, readings.probabilities, weights)
    else:
        for name in ("ece", "brier"):
            result[name] = sum(result[f"{name}.{label}"] for label in readings.labels) / len(readings.labels)
    return result


def _areas(readings: Readings, weights: Floats | None) -> dict[str, Any]:
    """AUROC per label, and their mean over the labels that some films have and others have not."""
    targets, probabilities = readings.targets, readings.probabilities
    result = {f"auroc.{label}": metrics.auroc(targets[:, k], probabilities[:, k], weights)
              for k, label in enumerate(readings.labels)}  # fmt: skip
    held = _held(readings) or readings.labels[:1]  # none: nan, as that of any label
    return {"macro_auroc": sum(result[f"auroc.{label}"] for label in held) / len(held), **result}


def _held(readings: Readings) -> list[str]:
    counts = readings.targets.sum(0)
    return [label for k, label in enumerate(readings.labels) if 0 < counts[k] < len(readings.targets)]


def _prevalences(readings: Readings, label: str) -> tuple[float, ...]:
    if label in readings.prevalence:
        return (readings.prevalence[label],)
    return () if label == "normal" else PREVALENCES


def _curves(readings: Readings) -> dict[str, dict[str, Any]]:
    """The lines of the pictures, per label that some films have and others have not."""
    curves: dict[str, dict[str, Any]] = {"roc": {}, "reliability": {}, "decision": {}}
    for k, label in enumerate(readings.labels):
        positive, score = readings.targets[:, k], readings.probabilities[:, k]
        if 0 < positive.sum() < len(positive):
            curves["roc"][label] = metrics.roc_points(positive, score)
            if label in readings.thresholds:
                called = score >= readings.thresholds[label]
                point = [(called & ~positive).sum() / (~positive).sum(), (called & positive).sum() / positive.sum()]
                curves["roc"][label]["point"] = [round(float(value), 4) for value in point]
            curves["reliability"][label] = metrics.reliability_points(positive, score)
            decision = metrics.net_benefit(positive, score, _THRESHOLDS)
            curves["decision"][label] = {name: [round(v, 4) for v in line] for name, line in decision.items()}
    return curves


def _baseline(readings: Readings, probabilities: Floats) -> dict[str, float]:
    found = {"macro_auroc": metrics.macro_auroc(readings.targets, probabilities)}
    if readings.task.exclusive:
        chosen = metrics.choices(readings.targets, probabilities)
        found |= {name: chosen[name] for name in ("accuracy", "balanced_accuracy")}
    return metrics.rounded(found)


def _batches(readings: Readings) -> dict[str, Any]:
    """The batches that are large enough and hold two labels."""
    batch = np.array([film.batch for film in readings.films])
    found = {name: _small(readings.select(batch == name)) for name in sorted(set(batch))}
    return {name: value for name, value in found.items() if "figures" in value}


def _subgroup(readings: Readings, kind: str, name: str, keep: Flags) -> dict[str, Any]:
    return {"by": kind, "name": name, **_small(readings.select(keep))}


def _small(readings: Readings) -> dict[str, Any]:
    """Films, groups and the main figures of a few films, or why there are none."""
    held = [label for k, label in enumerate(readings.labels) if readings.targets[:, k].any()]
    result: dict[str, Any] = {"films": len(readings.films), "groups": len(set(readings.groups))}
    if len(readings.films) < FEWEST:
        return {**result, "too_few": f"fewer than {FEWEST} films"}
    if len(held) < 2 and (readings.task.exclusive or not held):
        return {**result, "too_few": f"only {held[0]}" if held else "no finding"}

    def measured(weights: Floats | None) -> dict[str, Any]:
        found = _areas(readings, weights)
        if readings.task.exclusive:
            right = readings.probabilities.argmax(1) == readings.targets.argmax(1)
            found["accuracy"] = metrics.share(right, weights)
        return found

    drawn = bootstrap(measured, readings.groups, readings.replicates, readings.seed)
    labels = {label: int(readings.targets[:, k].sum()) for k, label in enumerate(readings.labels)}
    figures = {n: _figure(v, drawn[n], len(readings.films)) for n, v in measured(None).items() if np.isfinite(v)}
    return {**result, "labels": labels, "figures": figures}


def _figure(value: float, drawn: Floats, films: int) -> dict[str, Any]:
    low, high = interval(drawn)
    return {**metrics.rounded({"value": value, "low": low, "high": high}), "n": films}


def _chosen(known: Mapping[str, Floats], keep: Flags) -> dict[str, Floats]:
    return {name: probabilities[keep] for name, probabilities in known.items()}


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple)):
        for place, inner in enumerate(value):
            yield from _leaves(inner, f"{name}[{place}]")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield name, float(value)

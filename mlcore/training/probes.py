"""Has a model learned how films are made? Source and batch told from what it says, and findings between batches.

May import: NumPy, `mlcore.training`; scikit-learn inside functions. `evaluate` reports it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlcore.training import metrics
from mlcore.training.films import Film
from mlcore.training.metrics import Flags, Floats
from mlcore.training.statistics import bootstrap, interval

#: A group with fewer films gets no figure.
FEWEST = 20
#: More pairs of films are not counted one by one; data sets of that size come as one batch.
_MOST_PAIRS = 4_000_000


def plain(films: Sequence[Film]) -> Flags:
    """Which films have no finding: only they can show that it is not the disease that tells two sources apart."""
    return np.array([not (film.findings - {"normal"}) and film.label in ("normal", "") for film in films])


def source_probe(films: Sequence[Film], features: Floats) -> dict[str, Any]:
    """How well the source, and inside each source the batch, can be told from `features` (films, values).

    On films without a finding. AUROC of a logistic regression, five folds by patient; 0.5 is what a model that has
    not learned how films are made would leave. What has not two groups of 20 films is left out.
    """
    keep = plain(films)
    normals = [film for film, kept in zip(films, keep, strict=True) if kept]
    rows = features.reshape(len(films), -1)[keep].astype(np.float64)
    found = {"source": _told(normals, rows, [film.source for film in normals])}
    for source in sorted({film.source for film in normals}):
        own = np.array([film.source == source for film in normals])
        held = [film for film in normals if film.source == source]
        found[f"batch within {source}"] = _told(held, rows[own], [film.batch for film in held])
    return {name: value for name, value in found.items() if value}


def log_odds(probabilities: Floats) -> Floats:
    clipped = np.clip(probabilities.astype(np.float64), 1e-6, 1 - 1e-6)
    return np.asarray(np.log(clipped / (1 - clipped)))


def between_batches(
    films: Sequence[Film], targets: Flags, probabilities: Floats, labels: Sequence[str], replicates: int, seed: int
) -> dict[str, Any]:
    """Per source and finding, against films without one: AUROC over pairs of films of the same batch, over pairs of
    different batches, and the first less the second.

    A model that goes by how a file was made is better between batches than inside one wherever findings and batches
    go together; a difference around zero is what reading the film looks like. Left out without 20 films on each side.
    """
    result: dict[str, Any] = {}
    source, without = np.array([film.source for film in films]), plain(films)
    for name in sorted(set(source)):
        found = {}
        for k, label in enumerate(labels):
            keep = (source == name) & (targets[:, k] | without)
            held = [film for film, kept in zip(films, keep, strict=True) if kept]
            if label != "normal" and held:
                found[label] = _same_and_other(held, targets[keep, k], probabilities[keep, k], replicates, seed)
        result[str(name)] = {label: figures for label, figures in found.items() if figures}
    return {name: found for name, found in result.items() if found}


def _same_and_other(
    films: Sequence[Film], positive: Flags, score: Floats, replicates: int, seed: int
) -> dict[str, Any]:
    batch = np.array([film.batch for film in films])
    yes, no = np.flatnonzero(positive), np.flatnonzero(~positive)
    same = batch[yes][:, None] == batch[no][None]
    if same.size > _MOST_PAIRS or not same.size:
        return {}
    if any(min(pairs.any(1).sum(), pairs.any(0).sum()) < FEWEST for pairs in (same, ~same)):
        return {}
    order = (np.sign(score[yes][:, None] - score[no][None]) + 1) / 2

    def measure(weights: Floats) -> dict[str, Any]:
        a, b = weights[:, yes], weights[:, no]
        areas = [_share(a, b, order * pairs, pairs) for pairs in (same, ~same)]
        return {"same": areas[0], "other": areas[1], "difference": areas[0] - areas[1]}

    values = measure(np.ones((1, len(films))))
    drawn = bootstrap(measure, [film.group for film in films], replicates, seed)
    rows = {}
    for name, value in values.items():
        low, high = interval(drawn[name])
        rows[name] = metrics.rounded({"value": float(value[0]), "low": low, "high": high})
    return {**rows, "n": len(films)}


def _share(a: Floats, b: Floats, right: Floats, pairs: Flags) -> Any:
    """Weighted share of `pairs` in the right order, for every row of weights."""
    whole = ((a @ pairs) * b).sum(1)
    return np.divide(((a @ right) * b).sum(1), whole, out=np.full(len(a), np.nan), where=whole > 0)


def _told(films: Sequence[Film], rows: Floats, values: Sequence[str]) -> dict[str, Any]:
    """Cross-validated AUROC of `values` from `rows`; {} when there is too little to tell apart."""
    truth = np.array(values)
    enough = [str(value) for value in sorted(set(values)) if (truth == value).sum() >= FEWEST]
    keep = np.isin(truth, enough)
    groups = np.array([film.group for film in films])[keep] if len(films) else np.array([])
    if len(enough) < 2 or min(len(set(groups[truth[keep] == value])) for value in enough) < 5:
        return {}
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    regression = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    told = cross_val_predict(regression, rows[keep], truth[keep], groups=groups, cv=folds, method="predict_proba")
    area = metrics.macro_auroc(np.searchsorted(enough, truth[keep]), told)
    return {"value": round(area, 4), "n": int(keep.sum()), "among": enough} if np.isfinite(area) else {}

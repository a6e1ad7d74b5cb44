"""Rows of scores on the same films: figures with intervals, paired differences, and the rule that picks one of them.

May import: NumPy, `mlcore.training`. No pixel and no network here; `compare` and `tune` bring the scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlcore.training import metrics
from mlcore.training.evaluate import parts
from mlcore.training.films import Film
from mlcore.training.metrics import Flags, Floats
from mlcore.training.statistics import bootstrap, bootstrap_p, holm, interval
from mlcore.training.tasks import Task

#: Row → its probabilities (films, labels), one array per seed.
Scores = Mapping[str, Sequence[Floats]]

#: Written down before the test split is opened, and followed by `choose`.
RULE = (
    "The score of a network is the mean, over the sources of the validation split, of the macro AUROC within that "
    "source, averaged over the seeds. Every network that was trained with all seeds from the study's starting weights "
    "takes part; rows with other starting weights are shown beside and cannot win. The highest score leads. A network "
    "counts as tied with the leader when the paired difference of their scores is no larger than one standard error "
    "of that difference (bootstrap over whole patient groups). Of the leader and those tied with it the one with the "
    "fewest parameters wins. Of the winner's runs the one with the highest score is served. Only the validation split "
    "is read for this; the test split is opened once, afterwards, and changes nothing."
)


def board(
    films: Sequence[Film], task: Task, scores: Scores, *, reference: str | None = None, replicates: int
) -> dict[str, Any]:
    """{"rows": row → figure → {"value", "low", "high", "n"}, "differences": row → figure → {…, "p", "holm"}}.

    Figures: `score` (mean over sources of the macro AUROC within), `macro_auroc`, the same `within SOURCE`, and for
    exclusive tasks `accuracy` and `balanced_accuracy`, all averaged over a row's seeds; 95 % intervals by drawing whole
    patient groups, the same draws for every row. Differences are to `reference`, Holm-adjusted per figure.
    """
    values, drawn = _measured(films, task, scores, replicates)
    sizes = {name: int(keep.sum()) for name, keep in parts(films).items()}
    rows: dict[str, Any] = {row: {} for row in scores}
    for (row, figure), value in values.items():
        if np.isfinite(value):
            rows[row][figure] = {**_spread(value, drawn[row, figure]), "n": sizes.get(figure, len(films))}
    return {"rows": rows, "differences": _differences(values, drawn, reference) if reference else {}}


def choose(
    films: Sequence[Film], task: Task, scores: Scores, parameters: Mapping[str, int], *, replicates: int
) -> dict[str, Any]:
    """The winner by `RULE` among `scores`: winner, its seed's place, leader, ranking, and each row's gap to the leader.

    `films` are those of the validation split.
    """
    values, drawn = _measured(films, task, scores, replicates)
    ranking = sorted(scores, key=lambda row: (-values[row, "score"], row))
    leader = ranking[0]
    gaps = {}
    for row in ranking[1:]:
        error = float(np.nanstd(drawn[leader, "score"] - drawn[row, "score"], ddof=1))
        difference = values[leader, "score"] - values[row, "score"]
        gaps[row] = {"difference": difference, "standard_error": error, "tied": bool(difference <= error)}
    tied = [leader, *(row for row in ranking[1:] if gaps[row]["tied"])]
    winner = min(tied, key=lambda row: (parameters[row], -values[row, "score"]))
    alone = [_measured(films, task, {winner: [one]}, 0)[0][winner, "score"] for one in scores[winner]]
    return {
        "winner": winner,
        "run": int(np.argmax(alone)),
        "leader": leader,
        "ranking": ranking,
        "scores": {row: values[row, "score"] for row in ranking},
        "gaps": gaps,
    }


def _measured(
    films: Sequence[Film], task: Task, scores: Scores, replicates: int
) -> tuple[dict[tuple[str, str], float], dict[tuple[str, str], Floats]]:
    """Every figure of every row, as it is and in every replicate; all rows see the same draws."""
    targets = task.targets(films).astype(bool)
    keep = parts(films)
    # A source in which nothing can be ranked has no say in the score, in any replicate.
    ranked = [name for name in keep if name != "pooled" and _rankable(targets[keep[name]])]

    def measure(weights: Floats | None) -> dict[str, Any]:
        return {
            f"{row}\n{figure}": value
            for row, arrays in scores.items()
            for figure, value in _mean(
                [_figures(targets, one, keep, ranked, task.exclusive, weights) for one in arrays]
            ).items()
        }

    values = {_key(name): float(value) for name, value in measure(None).items()}
    groups = [film.group for film in films]
    drawn = bootstrap(measure, groups, replicates) if replicates else {}
    return values, {_key(name): value for name, value in drawn.items()}


def _figures(
    targets: Flags, probabilities: Floats, keep: Mapping[str, Flags], ranked: Sequence[str], exclusive: bool,
    weights: Floats | None,
) -> dict[str, Any]:  # fmt: skip
    figures: dict[str, Any] = {"macro_auroc": metrics.macro_auroc(targets, probabilities, weights)}
    for name in ranked:
        own = None if weights is None else weights[:, keep[name]]
        figures[name] = metrics.macro_auroc(targets[keep[name]], probabilities[keep[name]], own)
    figures["score"] = sum(figures[name] for name in ranked) / len(ranked) if ranked else figures["macro_auroc"]
    if exclusive:
        chosen = metrics.choices(targets, probabilities, weights)
        figures |= {name: chosen[name] for name in ("accuracy", "balanced_accuracy")}
    return figures


def _differences(
    values: Mapping[tuple[str, str], float], drawn: Mapping[tuple[str, str], Floats], reference: str
) -> dict[str, Any]:
    rows: dict[str, Any] = {row: {} for row, _ in values if row != reference}
    for figure in [figure for row, figure in values if row == reference]:
        found = {}
        for row in rows:
            gap = drawn[row, figure] - drawn[reference, figure]
            value = values[row, figure] - values[reference, figure]
            found[row] = {**_spread(value, gap), "p": round(bootstrap_p(gap), 4)}
        for row, adjusted in zip(found, holm([one["p"] for one in found.values()]), strict=True):
            rows[row][figure] = {**found[row], "holm": round(adjusted, 4)}
    return rows


def _rankable(targets: Flags) -> bool:
    return bool(((targets.sum(0) > 0) & (targets.sum(0) < len(targets))).any())


def _mean(figures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: sum(one[name] for one in figures) / len(figures) for name in figures[0]}


def _key(name: str) -> tuple[str, str]:
    row, figure = name.split("\n")
    return row, figure


def _spread(value: float, drawn: Floats) -> dict[str, float]:
    low, high = interval(drawn)
    return metrics.rounded({"value": value, "low": low, "high": high})

"""A model card as tables that a page can print: figures beside their baselines, findings with their thresholds.

May import: the standard library only. Reads what `mlcore.training.evaluate` wrote; what is missing is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SPLITS = {"test": "Test films (not used to choose the model)", "val": "Validation films (used to choose the model)"}
FIGURES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_auroc": "Macro AUROC",
    "ece": "Calibration error (ECE)",
    "brier": "Brier score",
}
OF_A_FINDING = {"auroc": "AUROC", "sensitivity": "Sensitivity", "specificity": "Specificity"}
BASELINES = {
    "source_only": "knowing only the data set",
    "batch_only": "knowing only who made the file",
    "always_normal": "always “normal”",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A figure's name and its text in each column."""

    name: str
    cells: Sequence[str]


@dataclass(frozen=True, slots=True)
class Table:
    """One split within one group of films."""

    title: str
    films: int
    groups: int
    columns: Sequence[str]
    figures: Sequence[Row]
    findings: Sequence[Row]


def card_tables(card: Mapping[str, Any]) -> list[Table]:
    """Every split and every group of the card, test films first."""
    titles = {label["key"]: label["title"] for label in card.get("labels", ())}
    metrics = card.get("metrics", {})
    return [
        _table(f"{SPLITS[split]}: {name}", part, titles)
        for split in SPLITS
        for name, part in metrics.get(split, {}).get("parts", {}).items()
    ]


def _table(title: str, part: Mapping[str, Any], titles: Mapping[str, str]) -> Table:
    baselines = part.get("baselines", {})
    figures = part.get("figures", {})
    rows = [
        Row(words, [spread(figures[key]), *(_plain(values.get(key)) for values in baselines.values())])
        for key, words in FIGURES.items()
        if key in figures
    ]
    findings = [
        Row(words, [spread(figures.get(f"{kind}.{key}")) for kind in OF_A_FINDING])
        for key, words in titles.items()
        if any(f"{kind}.{key}" in figures for kind in OF_A_FINDING)
    ]
    columns = ["This model", *(BASELINES.get(name, name) for name in baselines)]
    return Table(title, part.get("films", 0), part.get("groups", 0), columns, rows, findings)


def spread(value: Mapping[str, float] | None) -> str:
    """`0.91 (0.88–0.93)`: the figure and its 95 % interval."""
    if not value or value.get("value") is None:
        return "–"
    return f"{value['value']:.2f} ({value['low']:.2f}–{value['high']:.2f})"


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"

"""A model card as tables that a page can print: figures beside their baselines, findings with their thresholds.

May import: the standard library only. Reads what `mlcore.training.evaluate` wrote; what is missing is left out, so that
a card of any task, network or age makes a page.
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
    "macro_auprc": "Macro average precision",
    "ece": "Calibration error (ECE)",
    "brier": "Brier score",
}
OF_A_FINDING = {
    "auroc": "AUROC",
    "auprc": "Average precision",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
}
BASELINES = {
    "source_only": "knowing only the data set",
    "batch_only": "knowing only who made the file",
    "always_normal": "always “normal”",
}
SUBGROUPS = {"accuracy": "Accuracy", "macro_auroc": "Macro AUROC"}
#: Kinds of pictures that an evaluation may leave in a model folder: name of the file → title, and what it shows.
PICTURES = {
    "flow": ("Films", "How many films and patients there were, and which were left out."),
    "roc": ("ROC", "Sensitivity against false alarms at every threshold; the dot is the threshold in use."),
    "reliability": (
        "Calibration",
        "Of films given a probability, how many had the finding; the diagonal is perfect. Dotted: before calibration.",
    ),
    "confusion": ("Confusion", "What films were (rows) and what the model called them first (columns)."),
    "decision": ("Decision curve", "What acting on the model gains over acting on every film, or on none."),
    "robustness": ("Changed films", "How the figures hold when films are compressed, scaled, turned or made noisy."),
    "subgroups": ("Subgroups", "The same figure in groups of films; the bars are 95 % intervals."),
    "training": ("Training", "Loss and validation figures by epoch."),
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
    finding_columns: Sequence[str]
    findings: Sequence[Row]


def card_tables(card: Mapping[str, Any]) -> list[Table]:
    """Every split and every group of the card, test films first."""
    titles = label_titles(card)
    return [
        _table(f"{SPLITS[split]}: {name}", part, titles)
        for split in SPLITS
        for name, part in _parts(card, split).items()
    ]


def card_thresholds(card: Mapping[str, Any], thresholds: Mapping[str, float]) -> tuple[str, list[Row]]:
    """Each finding's threshold with the sensitivity and specificity measured at it, and the films they were measured
    on, in words (empty: not measured)."""
    split, part = _main_part(card)
    figures = part.get("figures", {})
    kinds = ("sensitivity", "specificity")
    rows = [
        Row(title, [_share(thresholds[key]), *(spread(figures.get(f"{kind}.{key}")) for kind in kinds)])
        for key, title in label_titles(card).items()
        if key in thresholds
    ]
    measured = any(f"sensitivity.{key}" in figures for key in thresholds)
    return (f"{SPLITS[split].split(' (')[0].lower()}, pooled, n = {part.get('films', 0)}" if measured else ""), rows


def card_subgroups(card: Mapping[str, Any]) -> list[Row]:
    """Each subgroup and file-making batch of the test films: films, and main figures or why there are none."""
    split, _ = _main_part(card)
    metrics = card.get("metrics", {}).get(split, {})
    found = [*metrics.get("subgroups", ())]
    if not any(each["by"] == "batch" for each in found):
        found += [{"by": "batch", "name": name, **batch} for name, batch in metrics.get("batches", {}).items()]
    return [Row(f"{each['by'].capitalize()}: {each['name']}", _subgroup(each)) for each in found]


def card_statement(card: Mapping[str, Any]) -> str:
    """What the pooled validation accuracy can and cannot mean, as the evaluation wrote it; empty without one."""
    return str(card.get("metrics", {}).get("val", {}).get("statement") or "")


def card_accuracies(card: Mapping[str, Any]) -> list[Row]:
    """Accuracy of the model on validation films beside that of the baseline that knows only the data set."""
    return [
        Row(
            _words(name),
            [
                str(part.get("films", 0)),
                spread(part["figures"]["accuracy"]),
                _plain(_blind(part, "source_only")),
                _plain(_blind(part, "always_normal")),
            ],
        )
        for name, part in _parts(card, "val").items()
        if "accuracy" in part.get("figures", {})
    ]


def card_calibration(card: Mapping[str, Any]) -> list[Row]:
    """Calibration error before and after calibration, and the Brier score, in every group of the test films."""
    split, _ = _main_part(card)
    return [
        Row(
            _words(name),
            [
                str(part.get("films", 0)),
                spread(part.get("before", {}).get("figures", {}).get("ece")),
                spread(part["figures"]["ece"]),
                spread(part["figures"].get("brier")),
            ],
        )
        for name, part in _parts(card, split).items()
        if "ece" in part.get("figures", {})
    ]


def card_predictive(card: Mapping[str, Any]) -> tuple[list[str], list[Row]]:
    """Columns, and per finding what a call at its threshold is worth where a stated share of films has the finding."""
    _, part = _main_part(card)
    figures = part.get("figures", {})
    titles = label_titles(card)
    kinds = list(dict.fromkeys(name.rpartition(".")[0] for name in figures if name.startswith(("ppv@", "npv@"))))
    kinds.sort(key=lambda kind: (kind.startswith("npv"), float(kind[4:])))
    rows = [
        Row(title, [spread(figures.get(f"{kind}.{key}")) for kind in kinds])
        for key, title in titles.items()
        if any(f"{kind}.{key}" in figures for kind in kinds)
    ]
    return [f"{kind[:3].upper()} at {float(kind[4:]) * 100:g} %" for kind in kinds], rows


def card_probes(card: Mapping[str, Any]) -> list[Row]:
    """How well the origin of a film can be told from what the model makes of films without a finding (AUROC; 0.5 is
    not at all)."""
    split, _ = _main_part(card)
    probes = card.get("metrics", {}).get(split, {}).get("source_probe", {})
    return [
        Row(f"{_words(kind)}, from its {seen}", [str(found["n"]), _plain(found["value"])])
        for seen, kinds in probes.items()
        if isinstance(kinds, Mapping)
        for kind, found in kinds.items()
        if isinstance(found, Mapping)
    ]


def card_robustness(card: Mapping[str, Any]) -> tuple[list[str], list[Row]]:
    """Columns, and a row for every change of the films: macro AUROC in each source, share of films whose word moved."""
    split, _ = _main_part(card)
    found = card.get("metrics", {}).get(split, {}).get("robustness") or {}
    whole = found.get("as_they_are", {})
    if not whole:
        return [], []
    rows = [Row("Films as they are", [*(_plain(whole[name]) for name in whole), "–"])]
    rows += [
        Row(
            f"{_words(kind)} {step['strength']}",
            [*(_plain(step["auroc"].get(name)) for name in whole), _share(step["words"])],
        )
        for kind, steps in found.get("changes", {}).items()
        for step in steps
    ]
    return [*(_words(name) for name in whole), "Films with another word"], rows


def card_engines(card: Mapping[str, Any]) -> list[Row]:
    """Each precision in which the network may be computed besides float32, and what it lost: whether it may answer,
    the AUROC lost where most was, films with another word, and the engine that was measured."""
    rows = []
    for form in card.get("artefacts", ()):
        found = form.get("measured", {})
        losses = found.get("auroc_loss", {}).values()
        worst = max(losses, key=lambda part: part["high"], default=None)
        rows.append(
            Row(
                form["precision"],
                [
                    "yes" if form.get("passes") else "no",
                    "–" if worst is None else f"{worst['value']:.4f} ({worst['low']:.4f} to {worst['high']:.4f})",
                    f"{max(found.get('words_changed', {}).values(), default=0) * 100:.1f} %",
                    f"{found.get('largest_difference', 0):.6f}",
                    str(found.get("films", 0)),
                    str(found.get("engine", "–")),
                ],
            )
        )
    return rows


def card_headline(card: Mapping[str, Any]) -> list[str]:
    """The main figures, one line for each group of films: `0.80 within NIH (n 308)`."""
    split, _ = _main_part(card)
    return [
        f"{part['figures']['macro_auroc']['value']:.2f} {name} (n {part.get('films', 0)})"
        for name, part in _parts(card, split).items()
        if "macro_auroc" in part.get("figures", {})
    ]


def card_beside(card: Mapping[str, Any], other: Mapping[str, Any]) -> list[Row]:
    """The main figures of two cards, group by group of films, each where either card has it."""
    mine, theirs = (_parts(each, _main_part(each)[0]) for each in (card, other))
    return [
        Row(
            f"{words}, {name.replace('_', ' ')}",
            [spread(part.get(name, {}).get("figures", {}).get(key)) for part in both],
        )
        for both in [(mine, theirs)]
        for name in dict.fromkeys([*mine, *theirs])
        for key, words in FIGURES.items()
        if any(key in part.get(name, {}).get("figures", {}) for part in both)
    ]


def card_line(card: Mapping[str, Any]) -> str:
    """The main figures in one line: `test macro AUROC 0.90 pooled (n 843), 0.80 within NIH (n 308)`."""
    split, _ = _main_part(card)
    figures = card_headline(card)
    return f"{split} macro AUROC {', '.join(figures)}" if figures else "no figures in the card"


def card_pictures(names: Sequence[str]) -> list[tuple[str, str, str]]:
    """Name, short title and caption of each picture, in the order of `PICTURES`."""
    return [
        (name, f"{title} {rest}".strip().replace("_", " "), caption)
        for kind, (title, caption) in PICTURES.items()
        for name in names
        if name == kind or name.startswith((f"{kind}-", f"{kind}_"))
        for rest in [name.removeprefix(kind).strip("-_").replace("-", " ")]
    ]


def label_titles(card: Mapping[str, Any]) -> dict[str, str]:
    """Key → title of the labels that the model was trained to answer for."""
    return {label["key"]: label["title"] for label in card.get("labels", ()) if label.get("trained", True)}


def spread(value: Mapping[str, float] | float | None) -> str:
    """`0.91 (0.88–0.93)`: the figure and its 95 % interval, where it has one."""
    if isinstance(value, (int, float)):
        return f"{value:.2f}"
    if not value or value.get("value") is None:
        return "–"
    if value.get("low") is None or value.get("high") is None:
        return f"{value['value']:.2f}"
    return f"{value['value']:.2f} ({value['low']:.2f}–{value['high']:.2f})"


def _parts(card: Mapping[str, Any], split: str) -> Mapping[str, Any]:
    return card.get("metrics", {}).get(split, {}).get("parts", {})


def _main_part(card: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The split that counts (test, else validation) and its pooled part."""
    split = next((split for split in SPLITS if _parts(card, split)), "test")
    return split, _parts(card, split).get("pooled", {})


def _table(title: str, part: Mapping[str, Any], titles: Mapping[str, str]) -> Table:
    baselines = {name: part["baselines"][name] for name in BASELINES if name in part.get("baselines", {})}
    figures = part.get("figures", {})
    rows = [
        Row(words, [spread(figures[key]), *(_plain(values.get(key)) for values in baselines.values())])
        for key, words in FIGURES.items()
        if key in figures
    ]
    columns = ["This model", *(BASELINES[name] for name in baselines)]
    kinds = [kind for kind in OF_A_FINDING if any(f"{kind}.{key}" in figures for key in titles)]
    findings = [
        Row(words, [_count(part, key), *(spread(figures.get(f"{kind}.{key}")) for kind in kinds)])
        for key, words in titles.items()
        if any(f"{kind}.{key}" in figures for kind in kinds)
    ]
    finding_columns = ["Films with it", *(OF_A_FINDING[kind] for kind in kinds)]
    return Table(title, part.get("films", 0), part.get("groups", 0), columns, rows, finding_columns, findings)


def _subgroup(group: Mapping[str, Any]) -> list[str]:
    figures = group.get("figures", {})
    told = [spread(figures.get(key)) for key in SUBGROUPS]
    if group.get("too_few"):
        told[0] = str(group["too_few"])
    return [str(group.get("films", 0)), *told]


def _blind(part: Mapping[str, Any], name: str) -> float | None:
    return part.get("baselines", {}).get(name, {}).get("accuracy")


def _words(key: str) -> str:
    return (key[:1].upper() + key[1:]).replace("_", " ")


def _count(part: Mapping[str, Any], label: str) -> str:
    count = part.get("labels", {}).get(label)
    return "–" if count is None else str(count)


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _share(value: float) -> str:
    return f"{value * 100:.0f} %"

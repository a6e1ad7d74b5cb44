"""The report of a recipe as a page: its document in headings, tables and pictures.

May import: `mlcore.training.report` and `figures`. `common` calls it; every figure printed here is in the document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlcore.training import figures
from mlcore.training.report import Picture, Section, Table

Document = Mapping[str, Any]
_NAMES = {"accuracy": "accuracy", "macro_auroc": "macro AUROC"}


def sections(document: Document) -> list[Section]:
    parts = [_paper(document), _beside(document), _differences(document), _systems(document), _within(document)]
    return [*parts, *_findings(document), *_paired(document), *_making(document)]


def _paper(document: Document) -> Section:
    paper = document["paper"]
    return Section("The paper", [paper["citation"], f"Data: {paper['data']}", f"Method: {paper['method']}"])


def _beside(document: Document) -> Section:
    """The paper's figures beside ours; what may be said about them is in the document."""
    rows = [
        [
            row["system"], row["task"], metric_name(row["metric"]), row["part"],
            f"{row['paper']:.4g}{'' if row['verified'] else ' (unverified)'}", row["here"], row["here"]["n"],
            row["source_only"], "yes" if row["comparable"] else "no",
        ]
        for row in document["comparisons"]
    ]  # fmt: skip
    columns = ("system here", "task", "figure", "films", "paper", "here", "n", "source alone", "comparable")
    caption = (
        f"Split: {document['split']}. Intervals: 95 %, {document['replicates']} bootstrap draws of patients. "
        "Source alone: what knowing a film's source gives, without a pixel."
    )
    said: dict[str, list[str]] = {}
    for row in document["comparisons"]:
        said.setdefault(f"{row['task']}: {row['sentence']}", []).append(row["system"])
    text = [f"{', '.join(systems)}, {sentence}" for sentence, systems in said.items()]
    return Section(
        "The paper's figure and ours",
        text or ["None of the paper's systems was run here, or its figure is not defined on these films."],
        [Table(columns, rows, caption)] if rows else [],
    )


def _differences(document: Document) -> Section:
    return Section("What differs from the paper", document["differences"])


def _systems(document: Document) -> Section:
    """Pooled figures, the interval of each drawn, and the baselines that see no pixel."""
    rows, names, drawn = [], [], []
    for system in document["systems"]:
        pooled = system["evaluation"]["parts"]["pooled"]
        macro = pooled["figures"].get("macro_auroc")
        rows.append(
            [
                system["system"],
                system["task"],
                pooled["films"],
                pooled["figures"].get("accuracy"),
                macro,
                _minutes(system),
            ]
        )
        rows += [
            [f"no pixel: {name}", system["task"], pooled["films"], held.get("accuracy"), held.get("macro_auroc"), None]
            for name, held in sorted(pooled.get("baselines", {}).items())
            if system is _last_of(document, system["task"])
        ]
        if macro:
            names.append(f"{system['system']}, {system['task']}")
            drawn.append(macro)
    table = Table(
        ("system", "task", "films", "accuracy", "macro AUROC", "minutes"), rows,
        f"All films of the task, split {document['split']}. A disease that only one hospital's films show can be "
        "guessed from how they look: read these figures beside the baselines that see no pixel.",
    )  # fmt: skip
    text = [f"Not run here: {row['system']}. Command: {row['command']}" for row in document["not_run"]]
    if not drawn:
        return Section("Every system, pooled", text, [table])
    picture = Picture(
        figures.forest(
            names, [f["value"] for f in drawn], [f["low"] for f in drawn], [f["high"] for f in drawn],
            "Macro AUROC, pooled", 0.5,
        ),
        f"Macro AUROC with 95 % intervals, split {document['split']}.", "Macro AUROC of every system with its interval",
    )  # fmt: skip
    return Section("Every system, pooled", text, [table], [picture])


def _within(document: Document) -> Section:
    rows = [
        [
            system["system"], system["task"], part.removeprefix("within "), held["films"],
            held["figures"].get("accuracy"), held["figures"].get("macro_auroc"),
        ]
        for system in document["systems"]
        for part, held in system["evaluation"]["parts"].items()
        if part.startswith("within ")
    ]  # fmt: skip
    columns = ("system", "task", "within", "films", "accuracy", "macro AUROC")
    return Section(
        "Within each source", [], [Table(columns, rows, f"Split {document['split']}, one source at a time.")]
    )


def _findings(document: Document) -> list[Section]:
    """Every finding by itself, where a film may have several."""
    rows = [
        [
            system["system"], label.replace("_", " "), pooled["labels"][label], pooled["films"],
            *(pooled["figures"].get(f"{name}.{label}") for name in ("auroc", "sensitivity", "specificity")),
        ]
        for system in document["systems"]
        if not system["evaluation"]["exclusive"]
        for pooled in [system["evaluation"]["parts"]["pooled"]]
        for label in system["labels"]
    ]  # fmt: skip
    columns = ("system", "finding", "films with it", "films", "AUROC", "sensitivity", "specificity")
    caption = f"Split {document['split']}; thresholds from validation (Youden's index). Intervals: 95 %, by patient."
    return [Section("Every finding", [], [Table(columns, rows, caption)])] if rows else []


def _paired(document: Document) -> list[Section]:
    rows = [
        [f"{row['first']} − {row['second']}", row["task"], part, found, found.get("p"), found.get("mcnemar")]
        for row in document["paired"]
        for part, found in row["difference"].items()
    ]
    columns = ("difference", "task", "films", "macro AUROC", "p", "McNemar p")
    caption = (
        "The same films for both, patients drawn together. McNemar's test asks whether both are right equally often, "
        "films taken one by one."
    )
    return [Section("Paired differences", [], [Table(columns, rows, caption)])] if rows else []


def _making(document: Document) -> list[Section]:
    """How it was made, and the training curves of those that were trained by epochs."""
    logs = {
        f"{system['system']}, {system['task']}": system["facts"]["log"]
        for system in document["systems"]
        if system["facts"].get("log")
    }
    versions = ", ".join(f"{name} {version}" for name, version in sorted(document["versions"].items()))
    text = [
        f"Command: {document['command']}",
        f"Hardware: {document['machine']}; {versions}. Time for all systems: {document['minutes']} minutes. "
        f"Seed {document['seed']}.",
        *document["notes"],
    ]
    pictures = [
        Picture(figures.training_curves({name: log}), f"{name}: loss on train, score on val.", f"Training of {name}")
        for name, log in logs.items()
    ]
    counts = [
        [task, split, source, label, number]
        for task, summary in document["films"].items()
        for split, held in summary["splits"].items()
        for source, labels in held["sources"].items()
        for label, number in labels.items()
    ]
    left_out = sum(summary["refused"] for summary in document["films"].values())
    caption = f"Films of the run; {left_out} were left out (the document names them with the reason)."
    table = Table(("task", "split", "source", "label", "films"), counts, caption)
    return [Section("How it was made", text, [table], pictures)]


def metric_name(metric: str) -> str:
    """ "auroc.pneumonia" → "AUROC of pneumonia"."""
    kind, _, label = metric.partition(".")
    return (
        f"{kind.upper() if kind == 'auroc' else kind} of {label.replace('_', ' ')}" if label else _NAMES.get(kind, kind)
    )


def _last_of(document: Document, task: str) -> Any:
    return [system for system in document["systems"] if system["task"] == task][-1]


def _minutes(system: Mapping[str, Any]) -> float:
    return round(system["facts"]["seconds"] / 60, 1)

"""The comparison as a page: leaderboard, differences, costs, curves, and what the figures can and cannot mean.

May import: `mlcore.training.report` and `figures`. Every figure printed here is in the document of `compare`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlcore.training import figures
from mlcore.training.report import Picture, Section, Table, replace_text, write_report

Document = Mapping[str, Any]
#: Validation accuracy of DenseNet169 in the study that this comparison repeats.
PAPERS_ACCURACY = 0.9556
_SPLITS = {"val": "validation", "test": "test"}


def write(folder: Path, document: Document) -> None:
    """`folder/report.json`, `folder/report.html` and its pictures as `folder/figures/*.svg`."""
    made = sections(document)
    write_report(folder, "report", "Comparison of networks", document, made)
    (folder / "figures").mkdir(exist_ok=True)
    for section in made:
        for number, picture in enumerate(section.figures, 1):
            name = "-".join(re.findall(r"\w+", section.heading.lower()))
            replace_text(folder / "figures" / f"{name}-{number}.svg", picture.svg)


def sections(document: Document) -> list[Section]:
    return [
        _outcome(document),
        _rule(document),
        *(_leaderboard(document, split) for split in _SPLITS),
        _differences(document),
        _paper(document),
        _costs(document),
        _curves(document),
        _confusions(document),
        _runs(document),
        _films(document),
    ]


def _outcome(document: Document) -> Section:
    winner, served, choice = document["choice"]["winner"], document["served"], document["choice"]
    tied = [row for row, gap in choice["gaps"].items() if gap["tied"]]
    text = [
        f"{winner} won on the validation split"
        + (f"; {choice['leader']} had the highest score" if winner != choice["leader"] else " with the highest score")
        + (f", and within one standard error of it lay {', '.join(tied)}." if tied else ", and none was tied with it."),
        f"Exported as {served['name']} {served['version']}: sha256 {served['sha256']}, made of the compared run's "
        f"weights {served['compared_sha256']}. Over {served['validation_films']} validation films the served "
        f"probabilities differ from the compared ones by at most {served['largest_difference']:.4f}: serving decodes "
        "the film itself, the comparison read it from its 8-bit cache.",
        *_caution(document),
    ]
    failed = [f"{name} failed: {reason}" for name, row in document["rows"].items() for reason in row["failed"]]
    return Section("Outcome", [*text, *failed])


def _caution(document: Document) -> list[str]:
    """What a comparison without pretraining can say."""
    study, plan = document["study"], document["study"]["plan"]
    films = document["films"]["splits"]["train"]["films"]
    shown = (plan["epochs"] + plan["head_epochs"]) * (plan["per_epoch"] or films)
    if study["weights"] != "none":
        return []
    return [
        f"Every network that takes part started from random weights and was shown {shown} films in all ({films} are in "
        "the training split). The order therefore says how soon each network begins to learn with this budget and "
        "rate, and little about how good it becomes: it is no evidence for or against any of them with ImageNet "
        "weights and a full training, which is what the paper compared."
    ]


def _rule(document: Document) -> Section:
    rule, opened = document["rule"], document["opened"]
    return Section(
        "The rule",
        [
            rule["rule"],
            f"Written down {rule['at']}, before the first training. Winner chosen {document['choice']['at']}. "
            f"Test split ({opened['test_films']} films) opened {opened['at']}.",
        ],
    )


def _leaderboard(document: Document, split: str) -> Section:
    rows = _ranked(document, split)
    shown = [(name, row[split]) for name, row in rows] + [("source only, no pixel", document["source_only"][split])]
    keys = _figures(document, split)
    table = Table(
        ("network", "start", *(_title(key) for key in keys)),
        [[name, _start(row), *(row[split].get(key) for key in keys)] for name, row in rows]
        + [["source only, no pixel", "–", *(document["source_only"][split].get(key) for key in keys)]],
        f"{_SPLITS[split].capitalize()} split, {_count(document, split)}. {_seeds(document)}; "
        f"95 % intervals from {document['rule']['replicates']} draws of whole patient groups, the same for every row. "
        "Score: mean over sources of the macro AUROC within the source.",
    )
    pictures = []
    for key in [key for key in keys if key.startswith("within ") or key == "score"]:
        known = [(name, row[key]) for name, row in shown if key in row]
        pictures.append(_forest(known, _title(key), f"{_title(key)}, {_SPLITS[split]} split, with 95 % intervals."))
    return Section(f"Leaderboard, {_SPLITS[split]} split", [], [table], pictures)


def _differences(document: Document) -> Section:
    tables = []
    for split, words in _SPLITS.items():
        keys = [key for key in _figures(document, split) if not key.endswith("accuracy")]
        found = document["differences"][split]
        rows = [
            [name, *(cell for key in keys for cell in (found[name].get(key), found[name].get(key, {}).get("holm")))]
            for name, _ in _ranked(document, split)
            if name in found
        ]
        columns = ["network", *(cell for key in keys for cell in (_title(key), "p (Holm)"))]
        caption = f"{words.capitalize()} split: figure of the network less that of {document['choice']['winner']}."
        tables.append(Table(columns, rows, caption))
    on_test = document["differences"]["test"]
    unclear = [name for name in on_test if name in document["rows"] and _includes_zero(on_test[name]["score"])]
    text = [
        "Paired: both networks are measured on the same draws of patients, so what all find hard does not widen the "
        "interval. p values are two-sided, from the draws, adjusted for the number of rows (Holm 1979)."
    ]
    if unclear:
        text.append(f"On the test score these cannot be told from the winner: {', '.join(unclear)}.")
    return Section("Paired differences to the winner", text, tables)


def _paper(document: Document) -> Section:
    if "accuracy" not in document["source_only"]["val"]:
        return Section("Pooled validation accuracy", ["This task has no single choice, so it has no accuracy."])
    best = max((row["val"]["accuracy"]["value"], name) for name, row in _ranked(document, "val"))[1]
    shown = [
        name for name, _ in _ranked(document, "val") if name in (best, "densenet169", document["choice"]["winner"])
    ]
    films = _films_of(document, "val")
    rows: list[list[Any]] = [
        ["paper: DenseNet169, ImageNet weights", PAPERS_ACCURACY, None],
        *([f"here: {name}", document["rows"][name]["val"]["accuracy"], films] for name in shown),
        ["here: source only, no pixel", document["source_only"]["val"]["accuracy"], films],
    ]
    return Section(
        "Pooled validation accuracy beside the paper's",
        [_meaning(document)],
        [
            Table(
                ("system", "pooled validation accuracy", "n"),
                rows,
                "The paper's films, split and sources are not ours.",
            )
        ],
    )


def _meaning(document: Document) -> str:
    share = document["source_only"]["val"]["accuracy"]["value"]
    return (
        "What this number can and cannot mean. It is the share of validation films whose label is the network's first "
        "choice, all sources together. It can show that training worked. It cannot show that disease was recognised: "
        "the classes come from different hospitals, and a rule that reads only the name of the hospital, no pixel at "
        f"all, is right on {share:.1%} of the same films; a network that tells the hospitals apart, which is easy, "
        "gets that much for nothing. The epoch was chosen on these films, so the figure is flattered besides. The "
        f"paper's {PAPERS_ACCURACY:.2%} was measured on other films in another mixture of sources, and how its "
        "patients were split is not known to us: it is no bar that this figure could clear or miss. What counts are "
        "the figures within a source, on the test split, with their intervals."
    )


def _costs(document: Document) -> Section:
    rows, why = [], []
    for name, row in document["rows"].items():
        price = row["costs"]
        if "reason" in price:
            why.append(f"{name} could not be measured: {price['reason']}")
            continue
        latency = price["latency_ms"]
        rows.append(
            [name, row["size"], price["parameters"], price["gflops"], *(latency[n]["median"] for n in sorted(latency)),
             price["peak_mib"], price["start_mib"]]
        )  # fmt: skip
    first: Document = next((row["costs"] for row in document["rows"].values() if "machine" in row["costs"]), {})
    sizes = sorted(first.get("latency_ms", {"1": {}, "8": {}}))
    columns = (
        "network",
        "side",
        "parameters",
        "GFLOPs",
        *(f"ms, batch {n}" for n in sizes),
        "peak MiB",
        "of it at start",
    )
    caption = (
        "The served network with head and maps. GFLOPs per film, two per multiply-add of convolutions and dense "
        "layers. Milliseconds per call, median of 20 compiled calls; peak memory of a fresh process. "
        f"{first.get('machine', 'Not measured')}; Keras on {first.get('backend', '?')}. Other work on the machine "
        "lengthens the times."
    )
    return Section("What each costs", why, [Table(columns, rows, caption)])


def _curves(document: Document) -> Section:
    logs = {f"{name}" + (f", seed {seed}" if len(row["runs"]) > 1 else ""): run["log"]
            for name, row in document["rows"].items() for seed, run in row["runs"].items() if "log" in run}  # fmt: skip
    alt = "Training loss and validation score of every network by epoch"
    caption = "Loss on training batches (with augmentation and label smoothing) and validation score after every epoch."
    return Section("Training curves", [], [], [Picture(figures.training_curves(logs), caption, alt)] if logs else [])


def _confusions(document: Document) -> Section:
    labels = document["labels"]
    shown = [(name, row["confusion"]) for name, row in document["rows"].items() if row["confusion"]]
    return Section(
        "Confusion matrices, test split",
        [f"First choice of the network against the label; {_count(document, 'test')}. Seeds are averaged."],
        [],
        [Picture(figures.confusion(labels, counts), name, f"Confusion matrix of {name}") for name, counts in shown],
    )


def _runs(document: Document) -> Section:
    rows = [
        [name, seed, run.get("best_epoch"), run.get("validation"), run.get("seconds", 0) / 60 or None,
         run.get("reason") or "trained"]
        for name, row in document["rows"].items()
        for seed, run in row["runs"].items()
    ]  # fmt: skip
    made = document["made"]
    plan = ", ".join(f"{name} {value}" for name, value in document["study"]["plan"].items())
    text = [
        f"Command: {made['command']}",
        f"Machine: {made['machine']}. {document['seconds'] / 60:.0f} minutes of training and validation in all.",
        f"Budget of every network: {plan}. {_seeds(document)}. "
        f"Side: {document['study']['size'] or 'native'} pixels. Starting weights: {document['study']['weights']}.",
    ]
    return Section(
        "How it was made", text, [Table(("network", "seed", "best epoch", "score", "minutes", "outcome"), rows)]
    )


def _films(document: Document) -> Section:
    summary = document["films"]
    rows = [
        [split, source, label, films]
        for split, of_split in summary["splits"].items()
        for source, labels in of_split["sources"].items()
        for label, films in labels.items()
    ]
    digest = document["study"]["films"]["split_sha256"]
    text = [f"Split sha256 {digest}, of the sorted lines: hash of the film, split, patient group."]
    flow = Picture(figures.flow(summary), "From the folder to the splits.", "From the folder to the splits")
    return Section("Films", text, [Table(("split", "source", "label", "films"), rows)], [flow])


def _ranked(document: Document, split: str) -> list[tuple[str, Any]]:
    """Rows with figures, best score first; those that take part before those beside."""
    known = [(name, row) for name, row in document["rows"].items() if row.get(split)]
    return sorted(known, key=lambda item: (not item[1]["takes_part"], -item[1][split]["score"]["value"]))


def _figures(document: Document, split: str) -> list[str]:
    """Score first, then within each source, then pooled."""
    held = document["source_only"][split]
    within = sorted(key for key in held if key.startswith("within "))
    return ["score", *within, "macro_auroc", *(key for key in ("accuracy", "balanced_accuracy") if key in held)]


def _title(key: str) -> str:
    words = {"macro_auroc": "pooled macro AUROC", "accuracy": "pooled accuracy",
             "balanced_accuracy": "pooled balanced accuracy"}  # fmt: skip
    return words.get(key, f"AUROC {key}" if key.startswith("within ") else key)


def _forest(known: Sequence[tuple[str, Mapping[str, float]]], xlabel: str, caption: str) -> Picture:
    svg = figures.forest(
        [name for name, _ in known], [f["value"] for _, f in known], [f["low"] for _, f in known],
        [f["high"] for _, f in known], xlabel, 0.5,
    )  # fmt: skip
    return Picture(svg, caption, caption)


def _includes_zero(figure: Mapping[str, float]) -> bool:
    return figure["low"] <= 0 <= figure["high"]


def _films_of(document: Document, split: str) -> int:
    return int(document["source_only"][split]["score"]["n"])


def _count(document: Document, split: str) -> str:
    return f"{_films_of(document, split)} films"


def _seeds(document: Document) -> str:
    seeds = [str(seed) for seed in document["study"]["seeds"]]
    return f"Seed {seeds[0]}" if len(seeds) == 1 else f"Means over the seeds {', '.join(seeds)}"


def _start(row: Mapping[str, Any]) -> str:
    """Starting weights in a word; the file's name is in the document."""
    return {"none": "random", "imagenet": "ImageNet"}.get(row["weights"], "pretrained")

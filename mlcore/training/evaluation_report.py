"""An evaluation for people: its pictures, its sections, and one paragraph on what pooled accuracy can mean.

May import: `figures`, `report` and `metrics` of `mlcore.training`. The command writes the pages, `bundle` the pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlcore.training import figures
from mlcore.training.report import Picture, Section, Table

#: What the study behind this project reports of its best network: accuracy on validation films, all sources pooled.
PAPER_ACCURACY = 0.9556
SPLITS = {"val": "Validation", "test": "Test"}
BASELINES = {
    "source_only": "Knowing only the data set",
    "batch_only": "Knowing only who made the file",
    "always_normal": "Always normal",
}
_OVERALL = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_auroc": "Macro AUROC",
    "macro_auprc": "Macro AUPRC",
    "brier": "Brier score",
}
Evaluation = Mapping[str, Any]


def statement(val: Evaluation) -> str:
    """What the pooled validation accuracy can and cannot mean; empty where nothing is pooled or no label is chosen."""
    inside = {name: part for name, part in val["parts"].items() if name != "pooled"}
    if not val["exclusive"] or len(inside) < 2:
        return ""
    pooled = val["parts"]["pooled"]
    blind = pooled["baselines"]["source_only"]["accuracy"]
    within = ", ".join(
        f"{_percent(part['figures']['accuracy'])} {name} (always normal: {100 * always:.1f} %)"
        for name, part in inside.items()
        for always in [part["baselines"]["always_normal"]["accuracy"]]
    )
    return (
        f"Pooled validation accuracy is {_percent(pooled['figures']['accuracy'])} on {pooled['films']} films. The "
        f"study behind this project reports {100 * PAPER_ACCURACY:.2f} % for its best network, on films that are not "
        "at hand. Neither number says how well disease is recognised. In these films the label can be guessed from "
        "where a film comes from: naming the commonest label of the film's data set, without a look at any pixel, is "
        f"right for {100 * blind:.1f} % of the same films, so part of any pooled accuracy is earned by telling "
        "hospitals apart. It also moves with the mixture of films though the model stays the same, and these films "
        "chose the epoch, the calibration and the thresholds (in the study: the network), so it flatters. What it can "
        "mean: among films mixed exactly as these, how often the first choice is the recorded label. What it cannot "
        "mean: how often the model is right in a clinic, on adults or on children, or that it is better or worse than "
        f"the study's network. Within a data set, where the source says nothing, the accuracies are {within}; read "
        "those, and the areas under the ROC curve."
    )


def pictures(evaluation: Evaluation, split: str) -> dict[str, Picture]:
    """Name → picture of one split; names are those of the files in a model folder."""
    parts, labels = evaluation["parts"], evaluation["labels"]
    shown = {name: part for name, part in parts.items() if len(labels) <= 4 or name == "pooled"}
    columns = len(labels) if len(labels) <= 4 else 0
    of = f"{SPLITS[split]} split, {evaluation['films']} films; python -m mlcore evaluate --split {split}"

    def panels(kind: str, figure: str) -> dict[str, Any]:
        return {
            _title(label, name, len(shown)): _curve(part, kind, figure, label)
            for name, part in shown.items()
            for label in labels
        }

    found = {
        "roc": Picture(
            figures.roc(panels("roc", "auroc"), columns),
            f"ROC curves with the operating point; AUROC with its 95 % interval. {of}.",
            "ROC curve of every label",
        ),
        "reliability": Picture(
            figures.reliability(panels("reliability", "ece"), columns),
            f"How often a label was there against how probable the model said it was; bins of equal numbers of films, "
            f"dashed before calibration. {of}.",
            "Reliability diagram of every label",
        ),
        "decision": Picture(
            figures.decision_curve(
                {label: parts["pooled"]["curves"]["decision"].get(label) for label in labels}, columns
            ),
            f"Net benefit of acting on the model at a threshold probability; dashed: acting on every film; zero: on "
            f"none. At these films' share of disease. {of}.",
            "Decision curve of every label",
        ),
    }
    if "confusion" in parts["pooled"]:
        found["confusion"] = Picture(
            figures.confusion(labels, parts["pooled"]["confusion"]),
            f"Labels against first choices; shade is the share of the row. {of}, pooled.",
            "Confusion matrix",
        )
    if evaluation.get("robustness"):
        found["robustness"] = _robustness_picture(evaluation["robustness"], split)
    rows = [group for group in evaluation["subgroups"] if "macro_auroc" in group.get("figures", {})]
    if rows:
        areas = [group["figures"]["macro_auroc"] for group in rows]
        found["subgroups"] = Picture(
            figures.forest(
                [f"{_words(group['by'])}: {group['name']} ({group['films']})" for group in rows],
                [area["value"] for area in areas],
                [area["low"] for area in areas],
                [area["high"] for area in areas],
                "Macro AUROC",
                reference=0.5,
            ),
            f"Macro AUROC in subgroups (number of films) with 95 % intervals. {of}.",
            "Forest plot of the subgroups",
        )
    return found


def sections(document: Mapping[str, Any], drawn: Mapping[str, Mapping[str, Picture]]) -> list[Section]:
    """The page of `{"model", "command", "val"?, "test"?}`, the evaluations as `evaluate` makes them; `drawn` are the
    `pictures` of each split."""
    found = [_about(document)]
    val = document.get("val", {})
    if val.get("statement"):
        found.append(Section("What pooled accuracy can and cannot mean", [val["statement"]]))
    for split in ("test", "val"):
        if split in document:
            found += _split_sections(document[split], split, drawn[split])
    return found


def _about(document: Mapping[str, Any]) -> Section:
    model = document["model"]
    splits = [f"{SPLITS[split].lower()} ({document[split]['films']} films)" for split in SPLITS if split in document]
    replicates = next(document[split]["replicates"] for split in SPLITS if split in document)
    return Section(
        "What was measured",
        [
            f"{model['name']} {model['version']}, weights sha256 {model['sha256']}.",
            f"Splits: {', '.join(splits)}. Intervals are 95 %: {replicates} bootstrap draws of whole patient groups, "
            "unless DeLong is named; Wilson intervals of sensitivity and specificity are in the JSON. Thresholds and "
            "calibration come from validation, so figures of the test split are the ones to quote.",
            f"Made by: {document['command']}",
        ],
    )


def _split_sections(evaluation: Evaluation, split: str, drawn: Mapping[str, Picture]) -> list[Section]:
    name = SPLITS[split]

    def chosen(*names: str) -> list[Picture]:
        return [drawn[key] for key in names if key in drawn]

    found = [
        Section(
            f"{name}: main figures",
            ["A figure within a source is worth more than a pooled one: inside a source nothing is gained by telling "
             "hospitals apart."],
            [_overall(evaluation), _baselines(evaluation)],
            chosen("confusion"),
        ),
        Section(f"{name}: every label", [], _label_tables(evaluation), chosen("roc")),
        Section(f"{name}: at the operating points", _threshold_text(evaluation), _operating_tables(evaluation),
                chosen("decision")),
        Section(f"{name}: calibration", [_ECE_TEXT], [_calibration(evaluation)], chosen("reliability")),
        Section(f"{name}: subgroups and batches", [_SUBGROUP_TEXT], [_subgroups(evaluation)], chosen("subgroups")),
        Section(f"{name}: is it the film or the file?", [_FILE_TEXT], _file_tables(evaluation)),
    ]  # fmt: skip
    if evaluation.get("robustness"):
        found.append(_robustness(evaluation["robustness"], chosen("robustness")))
    if evaluation.get("calibration", {}).get("cross_validated"):
        found.insert(4, _tried(evaluation["calibration"]))
    return found


def _tried(calibration: Mapping[str, Any]) -> Section:
    parts = list(calibration["cross_validated"]["none"])
    rows = [
        [name, *(found[part]["ece"] for part in parts), *(found[part]["log_loss"] for part in parts)]
        for name, found in calibration["cross_validated"].items()
    ]
    chance = calibration["cross_validated"][calibration["chosen"]]
    by_chance = ", ".join(f"{part} {chance[part]['by_chance']:.3f}" for part in parts)
    columns = [
        "Counts the same",
        *(f"ECE {_short(part)}" for part in parts),
        *(f"Loss {_short(part)}" for part in parts),
    ]
    text = [
        f"Rule: {calibration['rule']}",
        f"Chosen: {calibration['chosen']}. Of its ECE, chance alone would show: {by_chance}.",
    ]
    return Section("Which calibration", text, [Table(columns, rows, "Cross-validated on the validation split.")])


_ECE_TEXT = (
    "Expected calibration error over 15 bins with equal numbers of films. It can only be positive, so even a perfectly "
    "calibrated model shows some by chance, the more the fewer films: that amount stands in the column “by chance”. "
    "Bootstrap intervals of it lie too high for the same reason. Slope 1 and intercept 0 are perfect."
)
_SUBGROUP_TEXT = (
    "Age, sex and view are known for a part of the films only. Groups with fewer than 20 films or a single label have "
    "no figure. No correction for looking many times: a single low group is a reason to look, not a finding."
)
_FILE_TEXT = (
    "First, how well source and batch can be told from what the model says, on films without a finding (AUROC, 0.5 is "
    "not at all). Then the AUROC of a finding against films without one, over pairs from the same batch and from "
    "different batches: a model that goes by how files were made would be better on different ones wherever findings "
    "and batches go together."
)


def _overall(evaluation: Evaluation) -> Table:
    parts = evaluation["parts"]
    rows = [
        [words, *(part["figures"].get(key) for part in parts.values())]
        for key, words in _OVERALL.items()
        if key in parts["pooled"]["figures"]
    ]
    return Table(["", *(_part_title(name, part) for name, part in parts.items())], rows, "With 95 % intervals.")


def _baselines(evaluation: Evaluation) -> Table:
    measures = [key for key in ("accuracy", "macro_auroc") if key in evaluation["parts"]["pooled"]["figures"]]
    rows = []
    for part, values in evaluation["parts"].items():
        rows.append([_words(part), "This model", *(values["figures"].get(key) for key in measures)])
        for key, words in BASELINES.items():
            rows.append(["", words, *(values["baselines"][key].get(measure) for measure in measures)])
    caption = "Beside guesses that see no pixel, from the label shares of the training films."
    return Table(["", "", *(_OVERALL[key] for key in measures)], rows, caption)


def _label_tables(evaluation: Evaluation) -> list[Table]:
    tables = []
    for name, part in evaluation["parts"].items():
        rows = []
        for label in evaluation["labels"]:
            area = part["figures"].get(f"auroc.{label}")
            if area:
                delong = {"value": area["value"], "low": area["delong_low"], "high": area["delong_high"]}
                rows.append([_words(label), part["labels"][label], area, delong, part["figures"].get(f"auprc.{label}")])
        columns = ["", "Films with it", "AUROC (bootstrap)", "AUROC (DeLong)", "AUPRC"]
        tables.append(Table(columns, rows, f"{_words(name)}, {part['films']} films, {part['groups']} patient groups."))
    return [table for table in tables if table.rows]


def _operating_tables(evaluation: Evaluation) -> list[Table]:
    tables = []
    for name, part in evaluation["parts"].items():
        found = part["figures"]
        held = [label for label in evaluation["labels"] if f"specificity.{label}" in found]
        kinds = ("sensitivity", "specificity", "ppv", "npv")
        rows = [[_words(label), *(found.get(f"{kind}.{label}") for kind in kinds)] for label in held]
        tables.append(Table(["", "Sensitivity", "Specificity", "PPV", "NPV"], rows, f"{_words(name)}."))
        kinds = ("lr_positive", "lr_negative", "f1", "mcc")
        rows = [[_words(label), *(found.get(f"{kind}.{label}") for kind in kinds)] for label in held]
        tables.append(Table(["", "LR+", "LR−", "F1", "MCC"], rows, f"{_words(name)}."))
    rows = []
    found = evaluation["parts"]["pooled"]["figures"]
    for key in found:
        kind, _, rest = key.partition("@")
        share, _, label = rest.rpartition(".")
        if kind == "ppv":
            rows.append([_words(label), f"{100 * float(share):g} %", found[key], found.get(f"npv@{rest}")])
    caption = "Pooled sensitivity and specificity, carried over to another prevalence."
    tables.append(Table(["", "Share with it", "PPV", "NPV"], rows, caption))
    return [table for table in tables if table.rows]


def _threshold_text(evaluation: Evaluation) -> list[str]:
    thresholds = ", ".join(f"{_words(label).lower()} {value:.3f}" for label, value in evaluation["thresholds"].items())
    return [
        f"Thresholds on the calibrated probability, fixed on validation: {thresholds}. PPV and NPV in the first tables "
        "are at the share of disease among these films, which is far above that of most clinics."
    ]


def _calibration(evaluation: Evaluation) -> Table:
    whole = "first choice" if evaluation["exclusive"] else "mean over labels"
    rows = []
    for name, part in evaluation["parts"].items():
        before, found = part.get("before", {}).get("figures", {}), part["figures"]
        for key, words in [("", whole), *((f".{label}", label.replace("_", " ")) for label in evaluation["labels"])]:
            after = found.get(f"ece{key}")
            if after:
                cells = before.get(f"ece{key}"), after, after.get("perfect"), found.get(f"slope{key}")
                rows.append([f"{_words(_short(name))}: {words}", *cells, found.get(f"intercept{key}")])
    columns = ["", "ECE before", "ECE after", "By chance", "Slope", "Intercept"]
    return Table(columns, rows, "Before and after calibration.")


def _subgroups(evaluation: Evaluation) -> Table:
    rows = []
    for group in evaluation["subgroups"]:
        found = group.get("figures", {})
        name = f"{_words(group['by'])}: {group['name']}"
        why = group.get("too_few", "")
        rows.append([name, group["films"], found.get("macro_auroc"), found.get("accuracy"), why])
    return Table(["", "Films", "Macro AUROC", "Accuracy", ""], rows)


def _file_tables(evaluation: Evaluation) -> list[Table]:
    rows = [
        [f"{_words(kind)} from the {seen}", found["n"], len(found["among"]), found["value"]]
        for seen, kinds in evaluation["source_probe"].items()
        for kind, found in kinds.items()
    ]
    probes = Table(["Told on films without a finding", "Films", "Groups", "AUROC"], rows)
    rows = [
        [f"{source}: {_words(label).lower()}", found["same"], found["other"], found["difference"]]
        for source, labels in evaluation["between_batches"].items()
        for label, found in labels.items()
    ]
    between = Table(["AUROC over pairs of films", "Same batch", "Different batches", "Difference"], rows)
    return [table for table in (probes, between) if table.rows]


def _robustness_picture(robustness: Mapping[str, Any], split: str) -> Picture:
    start = {"strength": "none", "auroc": robustness["as_they_are"]}
    rows = {
        kind: [
            {"strength": row["strength"], "lines": {_short(name): value for name, value in row["auroc"].items()}}
            for row in [start, *found]
        ]
        for kind, found in robustness["changes"].items()
    }
    return Picture(
        figures.sweep(rows),
        f"Macro AUROC within each source when films are changed. {SPLITS[split]} split, {robustness['films']} films "
        f"spread over source and label; python -m mlcore evaluate --split {split}.",
        "Macro AUROC against the strength of every change",
    )


def _robustness(robustness: Mapping[str, Any], drawn: Sequence[Picture]) -> Section:
    sources = list(robustness["as_they_are"])
    rows: list[list[Any]] = [["As they are", *(robustness["as_they_are"][name] for name in sources), 0.0]]
    for kind, found in robustness["changes"].items():
        for row in found:
            rows.append(
                [f"{_words(kind)} {row['strength']}", *(row["auroc"].get(name) for name in sources), row["words"]]
            )
    columns = ["", *(_words(name) for name in sources), "Films with a changed word"]
    text = (
        "The same films with other compression, resolution, noise, rotation or contrast. A word is changed when any "
        "label of the film gets another of present, likely, possible and absent."
    )
    return Section("Robustness", [text], [Table(columns, rows, f"{robustness['films']} films.")], drawn)


def _curve(part: Mapping[str, Any], kind: str, figure: str, label: str) -> dict[str, Any] | None:
    curve = part["curves"][kind].get(label)
    if curve is None:
        return None
    before = part.get("before", {}).get("reliability", {}).get(label) if kind == "reliability" else None
    return {**curve, figure: part["figures"].get(f"{figure}.{label}", 0.0), "before": before}


def _title(label: str, part: str, parts: int) -> str:
    return _words(label) if parts == 1 else f"{_words(label)}, {_short(part)}"


def _short(part: str) -> str:
    """ "within NIH ChestX-ray14" → "NIH"."""
    return part.removeprefix("within ").split(" ")[0]


def _part_title(name: str, part: Mapping[str, Any]) -> str:
    return f"{_words(name)} (n = {part['films']})"


def _percent(figure: Mapping[str, float]) -> str:
    value, low, high = (100 * figure[key] for key in ("value", "low", "high"))
    return f"{value:.1f} % ({low:.1f}–{high:.1f})"


def _words(key: str) -> str:
    return (key[:1].upper() + key[1:]).replace("_", " ")

"""The search as a page: what it gained over the default plan, every trial, and which settings mattered.

May import: `mlcore.training.report` and `figures`. Every figure printed here is in the document of `tune`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlcore.training import figures
from mlcore.training.report import Picture, Section, Table, write_report

Document = Mapping[str, Any]


def write(folder: Path, document: Document) -> None:
    """`folder/report.json` and `folder/report.html`."""
    write_report(folder, "report", "Search for training settings", document, sections(document))


def sections(document: Document) -> list[Section]:
    return [
        _gain(document),
        *(_network(name, found) for name, found in document["networks"].items()),
        _making(document),
    ]


def gain_in_words(name: str, found: Document) -> str:
    """One sentence: the gain on validation and whether its interval leaves it open."""
    if "gain" not in found:
        return f"{name}: no gain can be given, the default plan or every searched trial has no score."
    gain = found["gain"]["score"]
    spread = f"{gain['value']:+.3f} ({gain['low']:+.3f} to {gain['high']:+.3f})"
    if gain["value"] <= 0:
        return f"{name}: no trial did better than the default plan; the best of them differs by {spread}."
    verdict = (
        "the interval includes 0: that the settings are better is not shown"
        if gain["low"] <= 0
        else "the interval does not include 0"
    )
    return f"{name}: {spread} in the validation score over the default plan; {verdict}."


def _gain(document: Document) -> Section:
    networks = document["networks"]
    text = [
        *(gain_in_words(name, found) for name, found in networks.items()),
        "Score: mean over sources of the macro AUROC within the source. The best of several trials is measured on the "
        "films that chose it, so every gain here is flattered, the more the more trials there were; the interval knows "
        "the chance of the films, not that of the choice. The test split was not used.",
    ]
    known = {name: found for name, found in networks.items() if "gain" in found}
    rows = [
        [name, found["figures"]["default"]["score"], found["figures"]["best"]["score"], found["gain"]["score"],
         found["gain"]["score"]["p"], len(found["trials"])]
        for name, found in known.items()
    ]  # fmt: skip
    caption = (
        f"Validation split, {document['validation_films']} films; 95 % intervals and paired differences from "
        f"{document['replicates']} draws of whole patient groups."
    )
    columns = ("network", "default plan", "best searched trial", "gain", "p", "trials")
    return Section("Gain over the default plan", text, [Table(columns, rows, caption)] if rows else [])


def _network(name: str, found: Document) -> Section:
    settings = sorted({key for trial in found["trials"] for key in trial["parameters"]})
    rows = [
        [trial["number"], "default" if trial["default"] else trial["state"], trial["score"], trial["epochs"],
         *(trial["parameters"].get(key) for key in settings), trial.get("reason", "")]
        for trial in sorted(found["trials"], key=lambda trial: -(trial["score"] or 0))
    ]  # fmt: skip
    tables = [Table(("trial", "state", "score", "epochs", *settings, "reason"), rows, "Best score first; pruned trials "
                    "ended early, failed ones say why.")]  # fmt: skip
    if found["importance"]:
        shares = sorted(found["importance"].items(), key=lambda item: -item[1])
        caption = "Share of the spread of the scores that the setting explains (fANOVA); rough with few trials."
        tables.append(Table(("setting", "share"), shares, caption))
    logs = {f"trial {trial['number']}": trial["log"] for trial in found["trials"] if "log" in trial}
    alt = f"Training loss and validation score by epoch of the trials of {name}"
    return Section(name, [], tables, [Picture(figures.training_curves(logs), "Finished trials.", alt)] if logs else [])


def _making(document: Document) -> Section:
    search, made = document["search"], document["made"]
    plan = ", ".join(f"{name} {value}" for name, value in search["plan"].items() if name not in ("backbone", "size"))
    seconds = sum(trial["seconds"] for found in document["networks"].values() for trial in found["trials"])
    return Section(
        "How it was made",
        [
            f"Command: {made['command']}",
            f"Machine: {made['machine']}. {seconds / 60:.0f} minutes of trials in all.",
            f"Default plan: {plan}. Side: {search['size'] or 'native'} pixels.",
            f"Optuna, tree-structured Parzen estimator, seed {search['seed']}, pruner {search['pruner']}, "
            f"{search['trials']} trials per network, study kept in a {search['storage']}.",
        ],
    )

"""`python -m mlcore evaluate`: every figure of a model again from the films.

May import: the standard library and `mlcore`; heavy parts inside functions.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcore.commands.common import add_data, data_folder, load, positive

if TYPE_CHECKING:
    from mlcore.predictors.base import Predictor

HELP = "Measure a model again and compare with its card; status 1 when a figure differs."
#: Figures that a terminal shows; all of them are in the document.
_PRINTED = ("accuracy", "balanced", "macro", "auroc", "sensitivity", "specificity", "ppv@", "npv@", "ece", "brier")
_SPLITS = {"test": ("test",), "val": ("val",), "both": ("val", "test")}


def arguments(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    parser.add_argument("--split", choices=_SPLITS, default="test", help="default: test")
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="model folder (default: the bundled model)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write evaluation.json, evaluation.html and pictures")
    parser.add_argument("--replicates", type=positive, default=2000, help="bootstrap replicates (default: 2000)")
    parser.add_argument(
        "--prevalence", type=_prevalence, action="append", default=[], metavar="LABEL=SHARE",
        help="PPV and NPV where this share of films has the label, as pneumonia=0.05; may be repeated",
    )  # fmt: skip
    parser.add_argument("--no-sweep", action="store_true", help="leave out the robustness sweep of the test split")
    parser.add_argument(
        "--gallery", action="store_true", help="with --out: also the most confident errors, with their films"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Print the figures again from the films; 1 when they differ from the card's. Raises TrainingError."""
    from mlcore.training.films import TrainingError

    if options.gallery and options.out is None:
        raise TrainingError("--gallery shows films: say with --out where it may be written.")
    predictor = load(options.model)
    found = _measured(options, predictor)
    if options.json:
        print(json.dumps(found if options.split == "both" else found[options.split], ensure_ascii=False))
    else:
        _print(predictor, found)
    if options.out is not None:
        _write(options, predictor, found)
    return _compared(options, predictor, found)


def _measured(options: argparse.Namespace, predictor: Predictor) -> dict[str, Any]:
    """Split → evaluation."""
    from dataclasses import replace

    from mlcore.training.bundle import evaluated
    from mlcore.training.dataset import read_films, thin
    from mlcore.training.gallery import write_gallery
    from mlcore.training.measure import outputs, sweep
    from mlcore.training.tasks import task_of

    card = predictor.card
    task = replace(task_of(card.metrics.get("test", {}).get("task", "three")), labels=card.label_keys)
    films = task.films(read_films(data_folder(options.data)))
    result = {}
    for split in _SPLITS[options.split]:
        own = outputs(thin([film for film in films if film.split == split], options.limit), predictor)
        result[split] = evaluated(
            card, own, task, [film for film in films if film.split == "train"],
            replicates=options.replicates, prevalence=dict(options.prevalence),
        )  # fmt: skip
        if split == "val" and "calibration" in card.metrics.get("val", {}):
            result[split]["calibration"] = card.metrics["val"]["calibration"]
        if split == "test" and not options.no_sweep:
            result[split]["robustness"] = sweep(own.films, predictor, card, task)
        if options.gallery:
            write_gallery(options.out, own, card, task, split)
    return result


def _print(predictor: Predictor, found: dict[str, Any]) -> None:
    card = predictor.card
    for split, result in found.items():
        print(f"{card.name} {card.version}, split {split}")
        for name, part in result["parts"].items():
            print(f"{name}: {part['films']} films, {part['groups']} patient groups")
            for figure, value in part["figures"].items():
                if not figure.startswith(_PRINTED):
                    continue
                print(f"  {figure:28s} {value['value']:.3f} ({value['low']:.3f}–{value['high']:.3f})")
            for baseline, values in part["baselines"].items():
                print(f"  no pixel, {baseline}:", ", ".join(f"{key} {value:.3f}" for key, value in values.items()))


def _write(options: argparse.Namespace, predictor: Predictor, found: dict[str, Any]) -> None:
    from mlcore.training.bundle import FIGURES_FOLDER, write_pictures
    from mlcore.training.evaluation_report import pictures, sections
    from mlcore.training.report import write_report

    card = predictor.card
    document = {
        "model": {"name": card.name, "version": card.version, "sha256": card.sha256},
        "command": _command(options),
        "engine": predictor.engine,
        **found,
    }
    drawn = {split: pictures(result, split) for split, result in found.items()}
    title = f"{card.name} {card.version}: evaluation"
    write_report(options.out, "evaluation", title, document, sections(document, drawn))
    for split in drawn:
        write_pictures(options.out / FIGURES_FOLDER / split, drawn[split])
    print(f"Written to {options.out}.", file=sys.stderr)


def _compared(options: argparse.Namespace, predictor: Predictor, found: dict[str, Any]) -> int:
    from mlcore.training.evaluate import differences

    lines = []
    for split, result in found.items():
        stored = dict(predictor.card.metrics.get(split, {}))
        if options.limit is not None or options.prevalence or options.replicates != stored.get("replicates"):
            print("Not compared with the card: other films, replicates or prevalences.", file=sys.stderr)
            return 0
        if options.no_sweep:
            stored.pop("robustness", None)
        lines += [f"{split}.{line}" for line in differences(stored, result)]
    print("\n".join(["The card says otherwise:", *lines]) if lines else "Same as the card.", file=sys.stderr)
    return int(bool(lines))


def _command(options: argparse.Namespace) -> str:
    """The command without folders of this machine."""
    words = ["python -m mlcore evaluate", f"--split {options.split}"]
    words += [f"--limit {options.limit}"] if options.limit is not None else []
    words += [f"--replicates {options.replicates}"] if options.replicates != 2000 else []
    words += [f"--prevalence {label}={share:g}" for label, share in options.prevalence]
    return " ".join([*words, *(["--no-sweep"] if options.no_sweep else [])])


def _prevalence(text: str) -> tuple[str, float]:
    label, _, share = text.partition("=")
    try:
        value = float(share)
    except ValueError:
        value = -1.0
    if not label or not 0 < value < 1:
        raise argparse.ArgumentTypeError("expected LABEL=SHARE with a share between 0 and 1, as pneumonia=0.05")
    return label, value

"""`python -m mlcore evaluate`: every figure of a model again from the films.

May import: the standard library and `mlcore`; heavy parts inside functions.
"""

from __future__ import annotations

import argparse
import json
import sys

from mlcore.commands.common import add_data, data_folder, load, positive

HELP = "Measure a model again and compare with its card; status 1 when a figure differs."


def arguments(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    parser.add_argument("--split", choices=("val", "test"), default="test", help="default: test")
    parser.add_argument("--model", metavar="FOLDER", help="model folder (default: the bundled model)")
    parser.add_argument("--replicates", type=positive, default=2000, help="bootstrap replicates (default: 2000)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Print the figures again from the films; 1 when they differ from the card's."""
    from dataclasses import replace
    from pathlib import Path

    from mlcore.training.dataset import read_films, thin
    from mlcore.training.evaluate import differences, evaluation
    from mlcore.training.measure import scores
    from mlcore.training.tasks import TASKS

    predictor = load(Path(options.model) if options.model else None)
    card = predictor.card
    stored = card.metrics.get(options.split, {})
    task = replace(TASKS[stored.get("task", "three")], labels=card.label_keys)
    films = task.films(read_films(data_folder(options.data)))
    kept, raw = scores(thin([film for film in films if film.split == options.split], options.limit), predictor)
    result = evaluation(
        kept,
        card.calibration.apply(raw),
        task,
        thresholds=card.operating_points,
        train_films=[film for film in films if film.split == "train"],
        replicates=options.replicates,
    )
    if options.json:
        print(json.dumps(result, ensure_ascii=False, allow_nan=False))
    else:
        print(f"{card.name} {card.version}, split {options.split}")
        for name, part in result["parts"].items():
            figures = (f"{n} {v['value']:.3f} ({v['low']:.3f}–{v['high']:.3f})" for n, v in part["figures"].items())
            print(f"{name}: {part['films']} films, {part['groups']} patient groups", *figures, sep="\n  ")
    if options.limit is not None or options.replicates != stored.get("replicates"):
        print("Not compared with the card: other films or replicates.", file=sys.stderr)
        return 0
    lines = differences(stored, result)
    print("\n".join(["The card says otherwise:", *lines]) if lines else "Same as the card.", file=sys.stderr)
    return int(bool(lines))

"""`python -m mlcore evaluate`: every figure of a model again from the films.

May import: the standard library and `mlcore`; heavy parts inside functions.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from mlcore.commands.common import data_folder, load, positive

HELP = "Measure a model again and compare with its card; status 1 when a figure differs."


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="folder with manifest.csv (default: ../shared/data/cxr256)"
    )
    parser.add_argument("--split", choices=("val", "test"), default="test", help="default: test")
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="model folder (default: the bundled model)")
    parser.add_argument("--limit", type=positive, metavar="N", help="only N films, spread over source and label")
    parser.add_argument("--replicates", type=positive, default=1000, help="bootstrap replicates (default: 1000)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Print the figures again from the films; 1 when they differ from the card's."""
    from mlcore.training.dataset import read_manifest, select, thin
    from mlcore.training.evaluate import differences, report, scores, table

    films = read_manifest(data_folder(options.data))
    predictor = load(options.model)
    card = predictor.card
    chosen = thin(select(films, split=options.split, labels=card.label_keys), options.limit)
    kept, raw = scores(chosen, predictor)
    train = select(films, split="train", labels=card.label_keys)
    result = report(kept, card.calibration.apply(raw), card, train, options.replicates)
    if options.json:
        print(json.dumps(result, ensure_ascii=False, allow_nan=False))
    else:
        print(f"{card.name} {card.version}, split {options.split}\n{table(result)}")
    if options.limit is not None or options.replicates != card.metrics[options.split]["replicates"]:
        print("Not compared with the card: other films or replicates.", file=sys.stderr)
        return 0
    lines = differences(card.metrics[options.split], result)
    print("\n".join(["The card says otherwise:", *lines]) if lines else "Same as the card.", file=sys.stderr)
    return int(bool(lines))

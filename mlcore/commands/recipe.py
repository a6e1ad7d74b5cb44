"""`python -m mlcore recipe NAME`: a paper's system on films of yours, reported beside the paper's figure.

May import: the standard library and `mlcore`; heavy parts inside functions.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

from mlcore.commands.common import add_data, data_folder, positive

HELP = "Run a paper's system and set its figure beside the paper's; run the same command again to go on."


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="the recipe; see --list")
    parser.add_argument("--list", action="store_true", help="name every recipe, one line each, and stop")
    add_data(parser)
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the run and its report are kept")
    parser.add_argument("--epochs", type=positive, metavar="N", help="epochs (default: the recipe's)")
    parser.add_argument(
        "--size", type=positive, metavar="N", help="side of the input in pixels (default: the recipe's)"
    )
    parser.add_argument(
        "--weights", default="imagenet", metavar="PATH|imagenet|none",
        help="starting weights: a file, or a folder of files named after their networks (default: imagenet)",
    )  # fmt: skip
    parser.add_argument("--backbone", default="", metavar="NAME", help="another network, where the recipe has a choice")
    parser.add_argument("--only", default="", metavar="A,B", help="only these systems; the report names the others")
    parser.add_argument("--seed", type=int, default=1, help="default: 1")
    parser.add_argument("--replicates", type=positive, default=2000, metavar="N", help="bootstrap (default: 2000)")


def run(options: argparse.Namespace) -> int:
    """Run the recipe and say where its report is; raises TrainingError for a name that is none."""
    from mlcore.training.dataset import TrainingError
    from mlcore.training.recipes import RECIPES
    from mlcore.training.recipes.common import Options

    if options.list:
        print("\n".join(f"{name:16s} {_module(name).HELP}" for name in RECIPES))
        return 0
    if options.name not in RECIPES:
        raise TrainingError(
            f"There is no recipe {options.name or 'without a name'}. Name one of: {', '.join(RECIPES)}."
        )
    if options.out is None:
        raise TrainingError("Say with --out DIR where the run and its report shall be kept.")
    document = _module(options.name).run(
        Options(
            data=data_folder(options.data), out=options.out, limit=options.limit, epochs=options.epochs,
            size=options.size, seed=options.seed, weights=options.weights, replicates=options.replicates,
            backbone=options.backbone, only=tuple(name for name in options.only.split(",") if name),
        )
    )  # fmt: skip
    for row in document["comparisons"]:
        here = row["here"]
        print(
            f"{row['system']}, {row['task']}, {row['metric']}, {row['part']}: paper {row['paper']:.4g}"
            f"{'' if row['verified'] else ' (unverified)'}, here {here['value']:.3f} "
            f"({here['low']:.3f}–{here['high']:.3f}), n {here['n']}. {row['sentence']}"
        )
    print(f"{options.out / options.name}.html")
    return 0


def _module(name: str):  # type: ignore[no-untyped-def]
    return import_module(f"mlcore.training.recipes.{name}")

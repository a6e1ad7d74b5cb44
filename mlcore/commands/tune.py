"""`python -m mlcore tune`: better training settings for the best networks, shared by processes and machines.

May import: the standard library and `mlcore`; heavy parts inside functions.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from mlcore.commands.common import add_data, positive
from mlcore.commands.compare import add_budget, budget, films_of, side

HELP = "Search training settings with Optuna; start it again, or elsewhere with the same storage, to go on."


def arguments(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where runs and report are kept")
    parser.add_argument("--task", default="three", help="what is asked (default: three)")
    networks = parser.add_mutually_exclusive_group(required=True)
    networks.add_argument("--networks", metavar="A,B", help="these networks")
    networks.add_argument("--best-of", type=Path, metavar="DIR", help="the best networks of the comparison in DIR")
    parser.add_argument("--top", type=positive, default=3, metavar="N", help="how many of --best-of (default: 3)")
    parser.add_argument(
        "--storage", required=True, metavar="URL|FILE.journal", help="sqlite:///FILE, postgresql://… or a FILE.journal"
    )
    parser.add_argument("--name", default="tune", help="name of the search in the storage (default: tune)")
    parser.add_argument("--trials", type=positive, default=20, help="trials per network (default: 20)")
    parser.add_argument("--pruner", default="median", help="median, halving or none (default: median)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the search and of every training (default: 1)")
    parser.add_argument("--replicates", type=positive, default=2000, help="bootstrap draws (default: 2000)")
    add_budget(parser)


def run(options: argparse.Namespace) -> int:
    """All trials that are still missing, then the report."""
    from dataclasses import replace

    from mlcore.training.costs import machine
    from mlcore.training.tune import Search, tune
    from mlcore.training.tune_report import gain_in_words, write

    search = Search(
        networks=_networks(options), plan=replace(budget(options), weights=options.weights, seed=options.seed),
        storage=options.storage, trials=options.trials, task=options.task, size=side(options.size),
        name=options.name, pruner=options.pruner, seed=options.seed,
    )  # fmt: skip
    document = tune(search, films_of(options, options.task), options.out, replicates=options.replicates)
    command = " ".join(["python -m mlcore", *("postgresql://…" if "@" in word else word for word in sys.argv[1:])])
    write(options.out, {**document, "made": {"command": command, "machine": machine()}})
    print("\n".join(gain_in_words(name, found) for name, found in document["networks"].items()))
    print(options.out / "report.html")
    return 0


def _networks(options: argparse.Namespace) -> tuple[str, ...]:
    """As named, or the first of a comparison's ranking. Raises TrainingError."""
    from mlcore.training.films import TrainingError

    if options.networks:
        return tuple(options.networks.split(","))
    try:
        choice: dict[str, Any] = json.loads((options.best_of / "choice.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise TrainingError(f"{options.best_of} holds no finished comparison: run compare first.") from error
    return tuple(choice["ranking"][: options.top])

"""`python -m mlcore compare`: networks under equal conditions, a winner by a rule written down first, one report.

May import: the standard library and `mlcore`; heavy parts inside functions.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from mlcore.commands.common import add_data, data_folder, positive

HELP = "Compare networks and export the best; run the same command again to go on after an interruption."


def arguments(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the comparison is kept")
    parser.add_argument("--task", default="three", help="what is asked (default: three)")
    parser.add_argument("--networks", default="ten", metavar="A,B|ten|all", help="default: the ten of the paper")
    parser.add_argument(
        "--beside", default="", metavar="NETWORK=WEIGHTS,…", help="rows with other starting weights: shown, cannot win"
    )
    parser.add_argument("--seeds", default="1", metavar="1,2,3", help="default: 1")
    parser.add_argument("--replicates", type=positive, default=2000, help="bootstrap draws (default: 2000)")
    add_budget(parser)


def add_budget(parser: argparse.ArgumentParser) -> None:
    """The budget of one run, the same words in `compare` and `tune`."""
    parser.add_argument("--size", default="native", metavar="native|N", help="side of the films in pixels")
    parser.add_argument(
        "--weights", default="imagenet", metavar="imagenet|none|FOLDER|FILE", help="starting weights of every network"
    )
    parser.add_argument("--epochs", type=int, default=16, help="epochs of fine-tuning (default: 16)")
    parser.add_argument("--head-epochs", type=int, default=0, help="epochs of the head alone before (default: 0)")
    parser.add_argument("--per-epoch", type=int, default=2700, metavar="N", help="films per epoch, 0 for all")
    parser.add_argument("--batch", type=positive, default=32, help="films per step (default: 32)")
    parser.add_argument("--rate", type=float, default=3e-4, help="highest learning rate (default: 0.0003)")
    parser.add_argument("--augment", choices=("none", "paper", "robust"), default="robust", help="default: robust")
    parser.add_argument("--average", type=float, default=0.995, help="momentum of averaged weights, 0 for none")
    parser.add_argument("--patience", type=int, default=0, help="stop after so many epochs without gain, 0 for never")
    parser.add_argument("--devices", choices=("one", "all"), default="one", help="accelerators to use (default: one)")


def budget(options: argparse.Namespace) -> Any:
    """The plan that the options describe."""
    from mlcore.training.train import Plan

    names = ("epochs", "head_epochs", "per_epoch", "batch", "rate", "augment", "average", "patience", "devices")
    return Plan(**{name: getattr(options, name) for name in names})


def side(text: str) -> int:
    """0 for native. Raises TrainingError."""
    from mlcore.training.films import TrainingError

    if text != "native" and not text.isdigit():
        raise TrainingError(f"--size is native or a number of pixels, not {text!r}.")
    return 0 if text == "native" else int(text)


def films_of(options: argparse.Namespace, task: str) -> Any:
    """The films of the task, thinned per split with --limit. Raises TrainingError."""
    from mlcore.training.dataset import read_films, thin
    from mlcore.training.tasks import task_of

    films = task_of(task).films(read_films(data_folder(options.data)))
    parts = [[film for film in films if film.split == split] for split in ("train", "val", "test")]
    return [film for part in parts for film in thin(part, options.limit)]


def run(options: argparse.Namespace) -> int:
    """Everything that is still to do; 1 when a network failed."""
    from mlcore.training.compare import compare
    from mlcore.training.compare_report import write
    from mlcore.training.costs import machine

    films = films_of(options, options.task)
    document = compare(study_of(options), films, options.out, replicates=options.replicates)
    made = {"command": " ".join(["python -m mlcore", *sys.argv[1:]]), "machine": machine()}
    write(options.out, {**document, "made": made})
    winner, served = document["choice"]["winner"], document["served"]
    print(f"{winner} won; {options.out / 'model'}: {served['name']}, sha256 {served['sha256']}")
    print(options.out / "report.html")
    return int(any(row["failed"] for row in document["rows"].values()))


def study_of(options: argparse.Namespace) -> Any:
    from mlcore.backbones import BACKBONES, TEN
    from mlcore.training.compare import Study

    groups = {"ten": tuple(TEN), "all": tuple(BACKBONES)}
    beside = [part.partition("=") for part in options.beside.split(",") if part]
    return Study(
        networks=groups.get(options.networks) or tuple(options.networks.split(",")), plan=budget(options),
        task=options.task, size=side(options.size), weights=options.weights,
        seeds=tuple(int(seed) for seed in options.seeds.split(",")),
        beside=tuple((name, weights) for name, _, weights in beside),
    )  # fmt: skip

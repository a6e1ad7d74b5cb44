"""`python -m mlcore train`: train members and write their model folder.

May import: the standard library and `mlcore`; heavy parts inside functions.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mlcore.backbones import BACKBONES
from mlcore.commands.common import add_data, data_folder, positive

HELP = "Train a model and write its folder; run the same command again to go on after an interruption."


def arguments(parser: argparse.ArgumentParser) -> None:
    from mlcore.training.tasks import TASKS

    add_data(parser)
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="DIR", help="where runs and model are kept")
    add(
        "--task",
        default="three",
        metavar="TASK|A,B,…",
        help=f"one of {', '.join(TASKS)}, or your classes (default: three)",
    )
    add("--network", choices=sorted(BACKBONES), default="mobilenet_v2", metavar="NAME",
        help=f"one of {', '.join(sorted(BACKBONES))} (default: mobilenet_v2)")  # fmt: skip
    add("--size", type=positive, metavar="PIXELS", help="side of the input (default: the network's own)")
    add("--weights", default="imagenet", metavar="PATH|imagenet|none",
        help="starting weights: a file of the network without top, fetched, or random (default: imagenet)")  # fmt: skip
    add("--augment", choices=("none", "paper", "robust"), default="robust", help="changes of films (default: robust)")
    add("--head-epochs", type=whole, default=0, metavar="N", help="first N epochs with a frozen network (default: 0)")
    add("--epochs", type=positive, default=16, metavar="N", help="fine-tuning epochs after them (default: 16)")
    add("--per-epoch", type=whole, default=2700, metavar="N",
        help="films drawn per epoch, 0 for as many as there are (default: 2700)")  # fmt: skip
    add("--balance", choices=("strata", "weights", "none"), default="strata",
        help="draw alike from every source and label, weigh the loss, or neither (default: strata)")  # fmt: skip
    add("--batch", type=positive, default=32, metavar="N", help="films per step (default: 32)")
    add("--patience", type=whole, default=0, metavar="N", help="stop after N epochs without gain (default: never)")
    add("--members", type=positive, default=1, metavar="N", help="networks that vote together (default: 1)")
    add("--seed", type=int, default=1, metavar="N", help="seed of the first member (default: 1)")
    add("--precision", default="auto", metavar="POLICY",
        help="Keras policy; auto is mixed_float16 on a GPU, float32 without (default: auto)")  # fmt: skip
    add("--devices", choices=("one", "all"), default="one", help="all splits each batch over the GPUs (default: one)")
    add("--replicates", type=positive, default=2000, metavar="N", help="bootstrap replicates (default: 2000)")
    add("--name", default=None, help="name in the card (default: cxr- and the task)")
    add("--version", default="0.0.0", help="version in the card (default: 0.0.0)")


def run(options: argparse.Namespace) -> int:
    """Train the members one after another, then write the model folder `OUT/model`."""
    from dataclasses import replace

    from mlcore.backbones import Architecture
    from mlcore.training.bundle import write_model_folder
    from mlcore.training.dataset import DEFAULT_DATA, read_films, thin
    from mlcore.training.tasks import THREE, task_of
    from mlcore.training.texts import DEFAULT_MODEL, plain_texts
    from mlcore.training.train import load_samples, train

    task, plan, data = task_of(options.task), _plan(options), data_folder(options.data)
    ours = task is THREE and data.resolve() == DEFAULT_DATA.resolve()
    films = task.films(read_films(data))
    films = [
        film
        for split in ("train", "val", "test")
        for film in thin([film for film in films if film.split == split], options.limit)
    ]
    samples = load_samples(films, plan.spec, options.out / "cache")
    runs = [
        train(samples, task, replace(plan, seed=plan.seed + number), options.out / f"member-{number}")
        for number in range(options.members)
    ]
    card = write_model_folder(
        options.out / "model",
        members=[run.weights for run in runs],
        architecture=Architecture(plan.backbone, plan.spec.size, len(task.labels), len(runs), task.exclusive),
        spec=plan.spec,
        films=films,
        name=options.name or f"cxr-{task.key}".replace(",", "-"),
        version=options.version,
        training={"members": [run.to_json() for run in runs]},
        task=task,
        texts=DEFAULT_MODEL if ours else plain_texts(task),
        replicates=options.replicates,
    )
    print(f"{options.out / 'model'}: {card.name} {card.version}, sha256 {card.sha256}")
    return 0


def whole(text: str) -> int:
    return 0 if text == "0" else positive(text)


def _plan(options: argparse.Namespace) -> Any:
    """The plan the options ask for. Raises TrainingError for options that would do nothing."""
    from mlcore.training.films import TrainingError
    from mlcore.training.train import Plan

    if options.head_epochs and options.weights == "none":
        raise TrainingError("--head-epochs trains on a frozen network; with --weights none there is nothing to keep.")
    if options.patience >= options.epochs:
        raise TrainingError("--patience must be below --epochs, or it never stops anything.")
    names = ("weights", "augment", "head_epochs", "epochs", "per_epoch", "balance", "batch", "patience", "seed")
    chosen = {name: getattr(options, name) for name in (*names, "precision", "devices")}
    size = options.size or BACKBONES[options.network].side
    return Plan(backbone=options.network, size=size, **chosen)

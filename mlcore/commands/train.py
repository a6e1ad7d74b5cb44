"""`python -m mlcore train`: train members and write their model folder.

May import: the standard library and `mlcore`; heavy parts inside functions.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mlcore.commands.common import data_folder, positive

HELP = "Train a model and write its folder; run the same command again to go on after an interruption."
_BACKBONE = "mobilenet_v2"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="folder with manifest.csv (default: ../shared/data/cxr256)"
    )
    parser.add_argument(
        "--weights", default="imagenet", metavar="PATH|imagenet|none", help="starting weights (default: imagenet)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the run is kept")
    parser.add_argument("--epochs", type=positive, default=16, help="epochs per member (default: 16)")
    parser.add_argument(
        "--per-epoch", type=positive, default=2700, metavar="N", help="films drawn per epoch (default: 2700)"
    )
    parser.add_argument("--members", type=positive, default=1, help="networks that vote together (default: 1)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first member (default: 1)")
    parser.add_argument("--limit", type=positive, metavar="N", help="only N films per split, for a trial")
    parser.add_argument("--replicates", type=positive, default=1000, help="bootstrap replicates (default: 1000)")
    parser.add_argument("--name", default="cxr-three", help="name in the card (default: cxr-three)")
    parser.add_argument("--version", default="0.0.0", help="version in the card (default: 0.0.0)")


def run(options: argparse.Namespace) -> int:
    """Train the members one after another, then write the model folder `OUT/model`."""
    from dataclasses import replace

    from mlcore.backbones import Architecture
    from mlcore.preprocess import PreprocessingSpec
    from mlcore.training.bundle import LABEL_KEYS, write_model_folder
    from mlcore.training.dataset import manifest_sha256, read_manifest, thin
    from mlcore.training.train import Recipe, load_samples, train_member

    data = data_folder(options.data)
    films = [film for film in read_manifest(data) if film.label in LABEL_KEYS]
    if options.limit is not None:
        films = [
            film
            for split in ("train", "val", "test")
            for film in thin([f for f in films if f.split == split], options.limit)
        ]
    spec = PreprocessingSpec()
    one = Architecture(_BACKBONE, spec.size, len(LABEL_KEYS))
    samples = load_samples(films, spec, options.out / "cache")
    weights = None if options.weights == "none" else options.weights
    runs = []
    for number in range(options.members):
        recipe = Recipe(epochs=options.epochs, per_epoch=options.per_epoch, seed=options.seed + number)
        folder = options.out / f"member-{number}"
        runs.append(
            train_member(
                samples, labels=LABEL_KEYS, architecture=one, spec=spec, recipe=recipe, weights=weights, out=folder
            )
        )
    card = write_model_folder(
        options.out / "model",
        members=[options.out / f"member-{number}" / "best.weights.h5" for number in range(options.members)],
        architecture=replace(one, members=options.members),
        spec=spec,
        films=films,
        name=options.name,
        version=options.version,
        training={"data": manifest_sha256(data), "members": runs},
        replicates=options.replicates,
    )
    print(f"{options.out / 'model'}: {card.name} {card.version}, sha256 {card.sha256}")
    return 0

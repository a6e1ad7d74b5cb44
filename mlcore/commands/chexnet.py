"""`python -m mlcore chexnet CHECKPOINT`: a published CheXNet-style checkpoint of PyTorch as a model folder.

May import: the standard library and `mlcore`; heavy parts inside functions.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mlcore.commands.common import add_data, data_folder, positive

HELP = "Turn a CheXNet-style DenseNet121 checkpoint into a model folder, calibrated and measured on your films."


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="written by torch.save; PyTorch not needed")
    add_data(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="the model folder to write")
    parser.add_argument("--size", type=positive, default=224, metavar="PIXELS", help="side of the input (default: 224)")
    parser.add_argument("--replicates", type=positive, default=2000, help="bootstrap replicates (default: 2000)")
    parser.add_argument("--name", default="chexnet", help="name in the card (default: chexnet)")
    parser.add_argument("--version", default="0.0.0", help="version in the card (default: 0.0.0)")


def run(options: argparse.Namespace) -> int:
    """Convert, fit calibration and thresholds on the validation films, measure on the test films, write the card."""
    from mlcore.training.chexnet_import import import_checkpoint
    from mlcore.training.dataset import read_films, thin
    from mlcore.training.tasks import CHESTXRAY14

    films = CHESTXRAY14.films(read_films(data_folder(options.data)))
    if options.limit is not None:
        films = [f for split in ("val", "test") for f in thin([f for f in films if f.split == split], options.limit)]
    card = import_checkpoint(
        options.checkpoint,
        options.out,
        films=films,
        side=options.size,
        name=options.name,
        version=options.version,
        replicates=options.replicates,
    )
    left_out = ", ".join(label.key for label in card.labels if not label.trained) or "none"
    print(f"{options.out}: {card.name} {card.version}, sha256 {card.sha256}")
    print(f"Without enough validation films, never shown: {left_out}")
    return 0

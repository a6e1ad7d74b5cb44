"""`python -m mlcore export`: make the OpenVINO forms of a model, and measure what they and mixed precision lose.

May import: the standard library and `mlcore`; heavy parts inside functions.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mlcore.commands.common import add_data, data_folder, positive

HELP = "Convert a model for processors, and measure every precision that this machine has on the validation films."


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="FOLDER", help="model folder; artefacts and card are written there")
    add_data(parser)
    parser.add_argument("--version", help="the card's new version: a registered model cannot get other forms")
    parser.add_argument(
        "--quick", action="store_true", help="no search for layers that int8 must leave in float: an hour on two cores"
    )
    parser.add_argument("--replicates", type=positive, default=2000, help="bootstrap replicates (default: 2000)")


def run(options: argparse.Namespace) -> int:
    """Print what each precision loses; 1 when the network's own numbers (fp32) do not pass."""
    from dataclasses import replace

    from mlcore.training.dataset import read_films
    from mlcore.training.export import LARGEST_CHANGE, LARGEST_LOSS, export, write_card

    card = export(
        options.model,
        read_films(data_folder(options.data)),
        limit=options.limit,
        replicates=options.replicates,
        with_care=not options.quick,
    )
    if options.version:
        card = replace(card, version=options.version)
        write_card(options.model, card)
    for artefact in card.artefacts:
        found = artefact.measured
        loss = max(found["auroc_loss"].values(), key=lambda part: part["high"], default={"value": 0, "high": 0})
        print(
            f"{artefact.precision}: {'passes' if artefact.passes else 'does not pass'} on {found['films']} films; "
            f"AUROC lost {loss['value']:.4f}, at most {loss['high']:.4f} (limit {LARGEST_LOSS}); another word on "
            f"{max(found['words_changed'].values()):.2%} of films (limit {LARGEST_CHANGE:.0%}); "
            f"largest difference {found['largest_difference']:.1e}"
        )
    return int(not any(artefact.precision == "fp32" and artefact.passes for artefact in card.artefacts))

"""Arguments and loading shared by the commands.

May import: the standard library; `mlcore` inside functions.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def data_folder(folder: Path | None) -> Path:
    """The folder of the films: as given, else that of the shared data."""
    from mlcore.training.dataset import DEFAULT_DATA

    return folder or DEFAULT_DATA


def load(folder: Path | None) -> Any:
    """The predictor of a model folder, else of the bundled model. Raises ModelIntegrityError."""
    from mlcore.card import load_card
    from mlcore.registry import bundled_folder, load_predictor

    folder = folder or bundled_folder()
    return load_predictor(folder, expected_sha256=load_card(folder).sha256)


def add_data(parser: argparse.ArgumentParser) -> None:
    """`--data` and `--limit`, the same words in every command that reads labelled films."""
    parser.add_argument("--data", type=Path, metavar="DIR", help="labelled films (default: ../shared/data/cxr256)")
    parser.add_argument("--limit", type=positive, metavar="N", help="only N films per split, for a trial")


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value

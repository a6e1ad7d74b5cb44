"""`python -m mlcore gates`: fit the quality gate, or measure it again on films and on pictures that are none.

May import: the standard library and `mlcore`; heavy parts inside functions.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from mlcore.commands.common import data_folder

if TYPE_CHECKING:
    from collections.abc import Callable

HELP = "Measure the gate before the model: films refused, other pictures passed; --write fits it first."
_ROOT = Path(__file__).resolve().parents[2]


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, metavar="DIR", help="labelled films (default: ../shared/data/cxr256)")
    parser.add_argument(
        "--others",
        type=Path,
        nargs="*",
        default=[],
        metavar="FOLDER",
        help="pictures as KIND/PACKAGE/…; those of one package fit or measure, never both; the kind `films` is films",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="write gates.json here (docs/results updates the page)")
    parser.add_argument("--write", action="store_true", help="fit and replace mlcore/bundled/quality.json first")


def run(options: argparse.Namespace) -> int:
    """Print the table of rates; with --out also write it."""
    from mlcore.training.dataset import read_films
    from mlcore.training.gate_measure import measure, table, with_table
    from mlcore.training.gate_pictures import installed_pictures, other_pictures

    films = read_films(data_folder(options.data))
    others = list(other_pictures(options.others))
    progress = _bars()
    if options.write:
        from mlcore.training.gate_fit import fit, write

        write(fit(films, others, progress))
    document = measure(films, [*others, *installed_pictures()], progress)
    print(table(document))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "gates.json").write_text(
            json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        )
        if options.out.resolve() == _ROOT / "docs" / "results":
            page = _ROOT / "docs" / "quality.md"
            page.write_text(with_table(page.read_text(), document))
    return 0


def _bars() -> Callable[[str, int, int], None]:
    """A progress bar for every step that reports (name, done, total)."""
    from tqdm import tqdm

    bars: dict[str, tqdm] = {}

    def progress(name: str, done: int, total: int) -> None:
        if name not in bars:
            bars[name] = tqdm(total=total, desc=name)
        bar = bars[name]
        bar.update(done - bar.n)
        if done == total:
            bar.close()

    return progress

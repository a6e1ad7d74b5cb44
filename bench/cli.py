"""The command line: which parts, how thoroughly, and where the results go.

May import: the standard library, tqdm, `bench`.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.page import number, write
from bench.parts import NETWORKS, PARTS, Options, run

ROOT = Path(__file__).resolve().parents[1]
QUICK_STUDIES = 100_000

HELP = """\
Measures the application and what it is compared with side by side, taking turns (A B A B), and prints their ratios.
Whatever else the machine does then hits all alike: trust the ratios, not single times.

parts (default: all, in this order):
{parts}

A part that cannot run says why, and the others go on. Parts that are not asked for keep what an earlier run found, with
its own date. Everything starts in folders of its own under var/ and leaves nothing behind; a site of yours may run
meanwhile, but it takes cores away.

  make bench                                    everything
  make bench ARGS="--quick"                     everything, less of it
  make bench ARGS="site queue"                  two parts
  make bench ARGS="lists --studies 1000 20000"  lists at other sizes
"""


def parser() -> argparse.ArgumentParser:
    lines = "\n".join(f"  {name:<10} {part.about}" for name, part in PARTS.items())
    made = argparse.ArgumentParser(
        "python -m bench", description=HELP.format(parts=lines), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)}")
    made.add_argument("--quick", action="store_true", help="fewer networks, films and rounds; lists up to 100,000")
    made.add_argument(
        "--studies", type=_size, nargs="+", metavar="N", help="sizes of the database for lists, ascending"
    )
    made.add_argument("--networks", nargs="+", metavar="NAME", default=[],
        help=f"networks for engines and site: any of {', '.join(NETWORKS)}")  # fmt: skip
    made.add_argument(
        "--out", type=Path, default=ROOT / "var" / "bench", metavar="DIR",
        help="where bench.json and bench.html go (default: var/bench)",
    )  # fmt: skip
    return made


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    made = parser()
    options = made.parse_args(argv)
    unknown = [name for name in options.parts if name not in PARTS]
    if unknown:
        made.error(f"no such part: {', '.join(unknown)} (there are {', '.join(PARTS)})")
    if unknown := [name for name in options.networks if name not in NETWORKS]:
        made.error(f"no such network: {', '.join(unknown)} (there are {', '.join(NETWORKS)})")
    if options.studies and sorted(set(options.studies)) != options.studies:
        made.error("--studies must ascend: rows are added, never taken away")
    options.parts = [name for name in PARTS if name in options.parts] or list(PARTS)
    return options


def settled(options: argparse.Namespace) -> Options:
    sizes = options.studies or [size for size in Options().studies if not options.quick or size <= QUICK_STUDIES]
    return Options(options.quick, tuple(sizes), tuple(options.networks))


def main(argv: Sequence[str] | None = None, parts: Any = PARTS) -> int:
    """0 when every part that was asked for could be measured."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    options = arguments(argv)
    more = ["--quick"] * options.quick + (["--studies", *map(str, options.studies)] if options.studies else [])
    more += ["--networks", *options.networks] if options.networks else []
    known = _earlier(options.out / "bench.json")

    def done(name: str, document: dict[str, Any]) -> None:
        write(options.out, document)
        print("\n".join(said(name, document["parts"][name])), flush=True)

    document = run(options.parts, settled(options), arguments=more, known=known, parts=parts, done=done)
    print(f"\n{options.out / 'bench.html'}\n{options.out / 'bench.json'}")
    return int(any("error" in document["parts"][name] for name in options.parts))


def said(name: str, part: dict[str, Any]) -> list[str]:
    """A part's ratios for the terminal, or why there are none."""
    lines = ["", f"{name}: {part['command']}, {part['date']}, {part['machine']}, {part['seconds']} s"]
    if "error" in part:
        return [*lines, f"  cannot run: {part['error']}"]
    lines += [f"  {number(each['ratio']):>8} ×  {each['what']}" for each in part["ratios"]]
    return lines + [f"         –    {each['what']}: {each['why']}" for each in part["missing"]]


def _earlier(path: Path) -> dict[str, Any]:
    """What an earlier run wrote; nothing when there is none, or it cannot be read."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _size(word: str) -> int:
    value = int(word.replace(",", "").replace("_", ""))
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value

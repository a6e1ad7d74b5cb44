"""`python -m mlcore bench`: how fast the networks run on the GPU that is here, under every Keras backend and PyTorch.

May import: the standard library and `mlcore`; heavy parts inside functions.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from mlcore.commands.common import positive

HELP = "Measure inference, training and the path from film files on a GPU, every engine that is installed in one run."
_NOTE = """\
Engines: Keras on JAX, PyTorch and TensorFlow, and torchvision's network without Keras (eager and torch.compile), each
in a process of its own, all with the same weights, one case at a time. The most telling cases come first; the result is
written after every case, so that a run may be cut at any time. --table prints a result as Markdown.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _NOTE
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--gpu", action="store_const", const="gpu", dest="device", help="measure on the GPU (default)")
    where.add_argument("--device", choices=("gpu", "cpu"), default="gpu", help="cpu: only to rehearse, see --quick")
    where.add_argument("--table", type=Path, metavar="RESULT.json", help="measure nothing, print this result")
    parser.add_argument("--quick", action="store_true", help="few small cases: shows that everything runs, no figures")
    parser.add_argument("--minutes", type=float, default=8.0, metavar="N", help="stop after so long (default: 8)")
    parser.add_argument("--out", type=Path, default=Path("var/bench-gpu.json"), help="default: var/bench-gpu.json")
    parser.add_argument("--engines", default="pytorch,jax,torch,tensorflow", metavar="A,B", help="default: %(default)s")
    parser.add_argument(
        "--network", choices=("densenet121", "densenet169", "densenet201"), help="default: densenet169, quick: 121"
    )
    parser.add_argument("--processes", type=positive, default=os.cpu_count() or 1, help="that decode films")


def run(options: argparse.Namespace) -> int:
    """0 when a case was measured; 2 when no engine computes on the device asked for."""
    from mlcore.bench.table import markdown

    if options.table:
        print(markdown(json.loads(options.table.read_text(encoding="utf-8"))), end="")
        return 0
    from mlcore.bench.cases import ENGINES
    from mlcore.bench.runner import run as measure
    from mlcore.bench.timing import Effort
    from mlcore.bench.worker import Setting

    setting = Setting(
        network=options.network or ("densenet121" if options.quick else "densenet169"),
        side=64 if options.quick else 224, labels=14, device=options.device,
        effort=Effort.quick() if options.quick else Effort(),
        workers=options.processes, file_side=400 if options.quick else 2000,
    )  # fmt: skip
    engines = [name for name in ENGINES if name in options.engines.split(",")]
    document = measure(engines, setting, options.out, minutes=options.minutes, quick=options.quick, say=_say)
    if not document["cases"]:
        reasons = "; ".join(f"{name}: {about['error']}" for name, about in document["engines"].items())
        print(f"mlcore: no GPU was found ({reasons}). --device cpu --quick rehearses on a CPU.", file=sys.stderr)
        return 2
    print(markdown(document), end="")
    return int(all("error" in row for row in document["cases"]))


def _say(line: str) -> None:
    print(line, flush=True)

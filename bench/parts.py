"""What can be measured, and the run: part by part, each apart, so that one that cannot run says why and others go on.

May import: the standard library, `bench.found`, `bench.page`; a part's module only when the part is asked for.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.found import Found, reason

#: Those that `engines` and `site` know: the one that ships, and two of ChestX-ray14's papers.
NETWORKS = ("default", "densenet121", "densenet169")


@dataclass(frozen=True, slots=True)
class Options:
    """`quick`: fewer networks, films and rounds. `studies`: sizes of the database for `lists`. `networks`: those of
    `engines` and `site`; none named: what each finds worth it, or the default one where it is to be quick."""

    quick: bool = False
    studies: Sequence[int] = (1_000, 100_000, 1_000_000)
    networks: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Part:
    title: str
    about: str
    module: str

    def measure(self, options: Options) -> Found:
        measured: Found = import_module(self.module).measure(options)
        return measured


#: Of the document. Raise it when figures or plots are written differently: earlier results are then left behind.
FORMAT = 1
PARTS: dict[str, Part] = {
    "engines": Part("Engines", "one network on every engine: Keras, OpenVINO, ONNX Runtime, PyTorch", "bench.engines"),
    "site": Part("Site", "the real site beside a synchronous page, and beside decode and engine alone", "bench.site"),
    "lists": Part("Lists", "worklist, history, search and API lists as the database grows", "bench.lists"),
    "queue": Part("Queue", "1, 2 and 4 infer workers on simulated device time", "bench.queue"),
    "processes": Part("Processes", "memory and seconds to ready of every process of the site", "bench.processes"),
    "training": Part("Training", "images per second of `fit`", "bench.training"),
}


def run(
    names: Sequence[str], options: Options, *, arguments: Sequence[str], known: dict[str, Any], parts: Any = PARTS,
    done: Callable[[str, dict[str, Any]], None] = lambda name, document: None,
) -> dict[str, Any]:  # fmt: skip
    """Measure the parts and return the document; `done` is called with it after each. `arguments` are those of the
    command line besides the parts; `known` is an earlier document, whose other parts stay, with their own date."""
    earlier = known.get("parts", {}) if known.get("format") == FORMAT else {}
    document: dict[str, Any] = {"format": FORMAT, "parts": dict(earlier)}
    for name in names:
        began = time.perf_counter()
        about = described(name, arguments)
        try:
            outcome = parts[name].measure(options).to_json()
        except Exception as error:
            outcome = {"error": reason(error)}
        document["parts"][name] = {**about, "seconds": round(time.perf_counter() - began), **outcome}
        done(name, document)
    return document


def described(name: str, arguments: Sequence[str]) -> dict[str, str]:
    """Command, machine and date, which every figure must name."""
    from mlcore.training.costs import machine

    return {
        "command": " ".join(["python -m bench", name, *arguments]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{machine()}, {_memory()}Python {platform.python_version()}",
    }


def _memory() -> str:
    info = Path("/proc/meminfo")
    words = info.read_text().split() if info.exists() else []
    return f"{int(words[1]) / 2**20:.0f} GiB, " if words[:1] == ["MemTotal:"] else ""

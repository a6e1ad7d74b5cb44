"""The run: one process per engine, one case at a time, the result written after each, an end when the time is up.

May import: the standard library, NumPy and `mlcore.bench`; no engine's library. `python -m mlcore bench` calls `run`.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mlcore.bench.cases import TITLES, Case, plan
from mlcore.bench.films import write_films
from mlcore.bench.worker import Setting, missing, serve

_START_S, _LONGEST_S = 90.0, 150.0
#: Seconds that a case of a mode is given before one like it has been seen, and what its measuring adds.
_GUESS = {"plain": 10.0, "compiled": 45.0, "graphs": 60.0}
_MEASURING_S = 8.0
_FILES = 6


#: What is said of a case that no time was left for, and of one that was cut off.
LEFT_OUT = "left out: no time was left"
STOPPED = f"stopped: the time was up, or it took longer than {_LONGEST_S:.0f} s"
Say = Callable[[str], None]


class Worker(Protocol):
    """An engine that answers: a process, or in tests something that acts like one."""

    def ready(self, seconds: float) -> dict[str, Any]:
        """What the engine is, or its "error"."""

    def ask(self, case: Case, seconds: float) -> dict[str, Any]:
        """Figures or "error". Past `seconds` it is killed."""

    def stop(self) -> None: ...


class Process:
    """A worker process. It is started at once and answers when its libraries are loaded."""

    def __init__(self, engine: str, setting: Setting) -> None:
        self._engine, self._setting = engine, setting
        self._start()

    def ready(self, seconds: float) -> dict[str, Any]:
        return self._answer(seconds)

    def ask(self, case: Case, seconds: float) -> dict[str, Any]:
        if not self._process.is_alive():
            self._start()
            hello = self._answer(seconds)
            if "error" in hello:
                return hello
        self._pipe.send(case)
        return self._answer(seconds)

    def stop(self) -> None:
        self._pipe.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, self._engine, self._setting))
        self._process.start()
        theirs.close()

    def _answer(self, seconds: float) -> dict[str, Any]:
        try:
            if self._pipe.poll(max(seconds, 0)):
                return dict(self._pipe.recv())
        except (EOFError, OSError):
            self._process.join(5)
            return {"error": f"The engine's process died (exit status {self._process.exitcode})."}
        self._process.kill()
        self._process.join()
        return {"error": STOPPED}


@dataclass(slots=True)
class Budget:
    """Minutes of a run, and which cases still fit."""

    minutes: float
    started: float = field(default_factory=time.monotonic)
    _seen: dict[tuple[str, str, str], float] = field(default_factory=dict)

    @property
    def left(self) -> float:
        return self.started + 60 * self.minutes - time.monotonic()

    @property
    def passed(self) -> float:
        return time.monotonic() - self.started

    def fits(self, case: Case) -> bool:
        """Judged by the slowest case of its kind so far; a kind of which one was cut off is not tried again."""
        return self.left > self._seen.get(self._kind(case), _GUESS[case.mode] + _MEASURING_S)

    def saw(self, case: Case, seconds: float) -> None:
        kind = self._kind(case)
        self._seen[kind] = max(self._seen.get(kind, 0.0), seconds)

    @staticmethod
    def _kind(case: Case) -> tuple[str, str, str]:
        return case.engine, case.mode, case.work


def run(
    engines: Iterable[str], setting: Setting, out: Path, *, minutes: float, quick: bool = False, say: Say = print,
    start: Callable[[str, Setting], Worker] = Process,
) -> dict[str, Any]:  # fmt: skip
    """Measure what fits into `minutes` and return the document, which is in `out` after every case.

    Engines that are not installed or see no GPU carry an "error" and no cases.
    """
    budget = Budget(minutes)
    with tempfile.TemporaryDirectory() as folder:
        setting = replace(setting, films=Path(folder))
        with _workers(engines, setting, start) as workers:
            if workers:
                write_films(setting.films, setting.file_side, _FILES)  # while the engines load
            about = _greet(workers, setting.device, say)
            document = {**_made(setting, minutes), "engines": {**_absent(engines), **about}, "cases": []}
            there = [name for name in workers if "error" not in about[name]]
            for row in _rows(plan(there, quick=quick), workers, budget, say):
                document["cases"].append(row)
                write(out, document)
    return document


def _rows(cases: list[Case], workers: Mapping[str, Worker], budget: Budget, say: Say) -> Iterator[dict[str, Any]]:
    """Case by case. The first answers are the reference that all later ones are compared with."""
    reference: Any = None
    for number, case in enumerate(cases, 1):
        if not budget.fits(case):
            yield {**case.to_json(), "error": LEFT_OUT}
            continue
        began = budget.passed
        figures = workers[case.engine].ask(case, min(budget.left, _LONGEST_S))
        budget.saw(case, math.inf if figures.get("error") == STOPPED else budget.passed - began)
        answers = figures.pop("answers", None)
        if answers:
            reference = reference or answers
            figures["differs"] = differences(answers, reference)
        say(f"[{number:3d}/{len(cases)} {_clock(budget.passed)}] {case.words}: {_figures(figures)}")
        yield {**case.to_json(), **figures}


def differences(answers: Any, reference: Any) -> dict[str, float]:
    """Largest absolute difference of probabilities, and of maps as a share of the reference's strongest place."""
    count = min(len(answers[0]), len(reference[0]))
    (probabilities, maps), (known, strongest) = (tuple(part[:count] for part in pair) for pair in (answers, reference))
    return {
        "probabilities": float(np.abs(probabilities - known).max()),
        "maps": float(np.abs(maps - strongest).max() / np.abs(strongest).max()),
    }


def write(out: Path, document: dict[str, Any]) -> None:
    """Whole or not at all: a run that is cut leaves the cases before."""
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(out.name + ".part")
    part.write_text(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(part, out)


@contextmanager
def _workers(
    engines: Iterable[str], setting: Setting, start: Callable[[str, Setting], Worker]
) -> Iterator[dict[str, Worker]]:
    """All engines that are installed, started at once, stopped whatever happens."""
    workers = {name: start(name, setting) for name in engines if not missing(name)}
    try:
        yield workers
    finally:
        for worker in workers.values():
            worker.stop()


def _absent(engines: Iterable[str]) -> dict[str, dict[str, str]]:
    return {name: {"error": f"not installed: {', '.join(lacks)}"} for name in engines if (lacks := missing(name))}


def _greet(workers: Mapping[str, Worker], device: str, say: Say) -> dict[str, dict[str, Any]]:
    """What every engine is and computes on; one that sees no GPU where a GPU is asked for measures nothing."""
    about = {}
    for name, worker in workers.items():
        hello = worker.ready(_START_S)
        if device == "gpu" and "error" not in hello and hello["gpu"] is None:
            hello["error"] = "sees no GPU"
        about[name] = hello
        versions = " ".join(f"{package} {version}" for package, version in hello.get("versions", {}).items())
        say(f"{TITLES[name]}: {hello.get('error') or hello['gpu'] or 'CPU'}; {versions}")
    return about


def _made(setting: Setting, minutes: float) -> dict[str, Any]:
    """Command, time, machine and what all cases share."""
    from mlcore.backbones import Architecture
    from mlcore.training.costs import machine

    architecture: Architecture = setting.architecture
    return {
        "command": " ".join(["python -m mlcore", *sys.argv[1:]]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "minutes": minutes,
        "machine": machine(),
        "python": platform.python_version(),
        "gpu": _nvidia() if setting.device == "gpu" else None,
        "network": architecture.to_json(),
        "film_files": f"{setting.file_side} × {setting.file_side} pixels, made up",
        "processes": setting.workers,
        "effort": asdict(setting.effort),
    }


def _nvidia() -> dict[str, str] | None:
    """Name, driver and memory as the driver tells them; None where its tool is not there."""
    names = ("name", "driver_version", "memory.total", "clocks.max.sm", "power.limit")
    command = ["nvidia-smi", f"--query-gpu={','.join(names)}", "--format=csv,noheader"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return dict(zip(names, said.splitlines()[0].split(", "), strict=False))


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _figures(figures: Mapping[str, Any]) -> str:
    if "error" in figures:
        return str(figures["error"])
    speed = f"{figures['tflops']} TFLOP/s" if "tflops" in figures else f"{figures['films_per_s']:,.0f} films/s"
    memory = f", {figures['peak_mib']:,} MiB" if figures["peak_mib"] else ""
    apart = f", differs {figures['differs']['probabilities']:.1e}" if "differs" in figures else ""
    return f"{figures['p50_ms']} ms, {speed}{memory}{apart}, first call {figures['first_call_s']} s"

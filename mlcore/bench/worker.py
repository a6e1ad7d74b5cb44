"""One engine in a process of its own: takes cases from a pipe, answers each with figures or with what went wrong.

May import: NumPy and `mlcore`; the engine's libraries only in `serve`, once the backend is chosen. Only one worker
works at a time.
"""

from __future__ import annotations

import os
import time
import warnings
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from mlcore.backbones import Architecture
from mlcore.bench.cases import Case
from mlcore.bench.engines import Engine, KerasEngine, TorchEngine
from mlcore.bench.films import Feed, inputs
from mlcore.bench.timing import Effort, first_call, latency, steady, summary

#: What each engine needs installed, and whose versions are named with its results.
NEEDS = {
    "jax": ("jax", "keras"),
    "torch": ("torch", "keras"),
    "tensorflow": ("tensorflow", "keras"),
    "pytorch": ("torch", "torchvision"),
}
_ALSO = ("jaxlib", "numpy", "nvidia-cudnn-cu13", "nvidia-cudnn-cu12", "triton")
#: Films whose answers every inference case hands back, to be compared.
COMPARED = 8
_BUFFERS = 4
_TRAINING_RUNS = 6


@dataclass(frozen=True, slots=True)
class Setting:
    """What holds for all cases of a run. `device` is "gpu" or "cpu"; `films` the folder of the film files, `workers`
    how many processes read them, `file_side` their sides in pixels."""

    network: str
    side: int
    labels: int
    device: str
    effort: Effort
    workers: int
    file_side: int
    films: Path = Path()

    @property
    def architecture(self) -> Architecture:
        return Architecture(self.network, (self.side, self.side), self.labels, exclusive=False)


def missing(engine: str) -> list[str]:
    """Packages that the engine lacks here."""
    return [name for name in NEEDS[engine] if find_spec(name) is None]


def serve(pipe: Any, name: str, setting: Setting) -> None:
    """Say what the engine is, then answer cases until the pipe closes. The process ends with it."""
    _environment(name, setting.device)
    warnings.filterwarnings("ignore")
    try:
        engine = make(name, setting)
        pipe.send({"gpu": engine.device.gpu(), "versions": versions(name)})
    except Exception as error:
        pipe.send({"error": _words(error)})
        return
    while True:
        try:
            case = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            pipe.send(measure(engine, case, setting))
        except Exception as error:
            pipe.send({"error": _words(error)})


def make(name: str, setting: Setting) -> Engine:
    """The engine, ready to be asked; Keras takes the backend that the environment names."""
    from mlcore.bench.devices import DEVICES, Torch

    device = DEVICES[name](setting.device)
    if isinstance(device, Torch) and name == "pytorch":
        import torchvision  # noqa: F401  (fails here rather than in every case)

        return TorchEngine(device, setting.architecture)
    return KerasEngine(device, setting.architecture)


def measure(engine: Engine, case: Case, setting: Setting) -> dict[str, Any]:
    """Figures of one case, and under "answers" what the network said of the first films."""
    engine.device.forget_peak()
    work = {"matmul": _matmul, "infer": _infer, "train": _train, "jpeg": _files, "png16": _files}[case.work]
    figures = work(engine, case, setting)
    peak, exact = engine.device.peak_mib()
    return {**figures, "peak_mib": None if peak is None else round(peak), "peak_is_exact": exact}


def _infer(engine: Engine, case: Case, setting: Setting) -> dict[str, Any]:
    """Films on the device already, each batch waited for, then queued; last from and to this process's memory."""
    device, effort = engine.device, setting.effort
    films = [inputs(case.batch, setting.side, first=i * case.batch) for i in range(_BUFFERS)]
    forward = engine.forward(case.precision, case.mode)
    there = [device.put(batch) for batch in films]
    answers: Any = None

    def compile_and_run() -> None:
        nonlocal answers
        answers = engine.host(forward(there[0]))

    first = first_call(compile_and_run)
    turn = cycle(there)
    seconds = latency(lambda: device.wait(forward(next(turn))), effort)
    each = steady(lambda: forward(next(turn)), device.wait, float(np.median(seconds)), effort.seconds / 3)
    outside = cycle(films)
    host = latency(lambda: engine.host(forward(device.put(next(outside)))), effort)
    return {
        "first_call_s": round(first, 2),
        **summary(seconds),
        "films_per_s": round(case.batch / each, 1),
        "host_p50_ms": summary(host)["p50_ms"],
        "host_p95_ms": summary(host)["p95_ms"],
        "answers": tuple(part[:COMPARED] for part in answers),
    }


def _train(engine: Engine, case: Case, setting: Setting) -> dict[str, Any]:
    """Several runs of some steps, each waited for; the figures are per step. The first run compiles."""
    random = np.random.default_rng(0)
    films = inputs(case.batch, setting.side)
    targets = random.integers(0, 2, (case.batch, setting.labels)).astype(np.float32)
    run = engine.training(films, targets, case.precision, case.mode)

    def timed(steps: int) -> float:
        return first_call(partial(run, steps)) / steps

    first = timed(1)
    once = timed(3)
    steps = int(np.clip(setting.effort.seconds / 2 / once, 2, 40))
    seconds = [timed(steps) for _ in range(max(2, min(_TRAINING_RUNS, setting.effort.least)))]
    figures = summary(seconds)
    return {
        "first_call_s": round(first, 2),
        **figures,
        "steps_per_run": steps,
        "films_per_s": round(case.batch / float(np.median(seconds)), 1),
    }


def _files(engine: Engine, case: Case, setting: Setting) -> dict[str, Any]:
    """Film files → decode, gate, preprocessing in other processes → device → results here; one batch stays ahead."""
    forward = engine.forward(case.precision, case.mode)
    device, effort = engine.device, setting.effort
    first = first_call(lambda: engine.host(forward(device.put(inputs(case.batch, setting.side)))))
    pattern = "*.jpg" if case.work == "jpeg" else "*.png"
    with Feed(setting.films, pattern, setting.side, case.batch, setting.workers) as feed:
        batches = feed.batches()
        ahead = forward(device.put(next(batches)))
        seconds: list[float] = []
        started = before = time.perf_counter()
        while len(seconds) < effort.least // 3 + 1 or before - started < 8 * effort.seconds:
            running, ahead = ahead, forward(device.put(next(batches)))
            engine.host(running)
            now = time.perf_counter()
            seconds.append(now - before)
            before = now
        cpu = feed.cpu_ms
    return {
        "first_call_s": round(first, 2),
        **summary(seconds),
        "films_per_s": round(case.batch * len(seconds) / (before - started), 1),
        "cpu_ms": cpu,
        "processes": setting.workers,
    }


def _matmul(engine: Engine, case: Case, setting: Setting) -> dict[str, Any]:
    side = 8192 if setting.device == "gpu" else 512
    engine.device.set_precision(case.precision)
    product = engine.device.product(side, case.precision)
    first = first_call(lambda: engine.device.wait(product()))
    seconds = latency(lambda: engine.device.wait(product()), setting.effort)
    return {
        "first_call_s": round(first, 2),
        **summary(seconds),
        "tflops": round(2 * side**3 / float(np.median(seconds)) / 1e12, 2),
    }


def versions(name: str) -> dict[str, str]:
    found = {}
    for package in (*NEEDS[name], *_ALSO):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _environment(name: str, device: str) -> None:
    """Before any library is loaded: the backend, and no engine takes the whole GPU from the others."""
    os.environ["KERAS_BACKEND"] = name if name != "pytorch" else "torch"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    if device == "cpu":
        os.environ["JAX_PLATFORMS"], os.environ["CUDA_VISIBLE_DEVICES"] = "cpu", ""


def _words(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300] if lines else ''}"

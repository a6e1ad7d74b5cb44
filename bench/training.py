"""Images per second of `mlcore.training.fit`: the default network and DenseNet169 on random films, epochs in turn.

May import: NumPy, tqdm, `bench`, `mlcore.training`; Keras only in the processes that train.
"""

from __future__ import annotations

import queue
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from bench import plots
from bench.found import Found, in_turn, median, significant
from bench.kept import Kept

BATCH = 16
#: Films that are measured after an epoch: as few as AUROC needs.
_VALIDATION = 8
#: The first epoch compiles.
_WARM_UP = 1


def measure(options: Any) -> Found:
    steps, epochs = (3, 2) if options.quick else (6, 4)
    backbones = {"default network": _default(), "DenseNet169": "densenet169"}
    missing = {}
    if options.quick:
        del backbones["DenseNet169"]
        missing["DenseNet169"] = "left out by --quick"
    kept = {name: Kept(trainer, backbone, steps, _WARM_UP + epochs) for name, backbone in backbones.items()}
    with tqdm(total=len(kept) * (_WARM_UP + epochs), desc="training", unit="epoch") as bar:

        def tick(name: str) -> None:
            bar.set_postfix_str(name)
            bar.update()

        try:
            for process in kept.values():
                process.ready()
            calls = {name: lambda process=process: process.ask(None, 1200) for name, process in kept.items()}
            seconds, reasons = in_turn(calls, _WARM_UP + epochs, tick)
            missing |= reasons
        finally:
            for process in kept.values():
                process.stop()
    rates = {name: [steps * BATCH / each for each in taken[_WARM_UP:]] for name, taken in seconds.items()}
    first = {name: taken[0] for name, taken in seconds.items()}
    return _found(rates, first, missing, backbones, steps, epochs)


def trainer(backbone: str, steps: int, epochs: int) -> Callable[[Any], float]:
    """`fit` in a thread that waits before each epoch until it is asked; the answer is the epoch's seconds."""
    from mlcore.backbones import BACKBONES
    from mlcore.training.cache import Samples
    from mlcore.training.fit import fit
    from mlcore.training.tasks import one_of
    from mlcore.training.train import Plan, Run, default_build

    side = BACKBONES[backbone].side
    plan = Plan(
        backbone=backbone, size=side, weights="none", epochs=epochs, per_epoch=steps * BATCH, batch=BATCH,
        balance="none", prior_floor=1,
    )  # fmt: skip
    task = one_of("bench", "Random films", ("normal", "pneumonia", "effusion"))
    train, val = (
        _random(count, side, task.labels, split) for count, split in ((steps * BATCH, "train"), (_VALIDATION, "val"))
    )
    folder = tempfile.TemporaryDirectory()
    results: queue.Queue[Any] = queue.Queue()
    go = threading.Semaphore(0)

    class Waiting(Run):
        """Stands still behind each epoch."""

        def keep(self, entry: dict[str, Any], trainer: Any) -> None:
            super().keep(entry, trainer)
            results.put(entry["seconds"])
            go.acquire()

    every = Samples([*train.films, *val.films], train.pictures, np.concatenate([train.index, val.index]))
    run = Waiting.open(Path(folder.name), plan, task, default_build, every)

    def work() -> None:
        go.acquire()
        try:
            fit(run, train, val)
        except Exception as error:
            results.put(error)

    threading.Thread(target=work, daemon=True).start()

    def epoch(_: Any) -> float:
        go.release()
        outcome = results.get()
        if isinstance(outcome, Exception):
            raise outcome
        return float(outcome)

    return epoch


def _random(count: int, side: int, labels: tuple[str, ...], split: str) -> Any:
    """Films of noise: their content costs nothing more and nothing less."""
    from mlcore.training.cache import Samples
    from mlcore.training.films import Film

    films = [
        Film(Path(f"{split}-{i}"), labels[i % len(labels)], split, f"{split}-{i}", "bench", "bench", f"{split}-{i}")
        for i in range(count)
    ]
    pixels = np.random.default_rng(0).integers(0, 256, (count, side, side), dtype=np.uint8)
    return Samples(films, pixels, np.arange(count, dtype=np.intp))


def _default() -> str:
    from mlcore.card import load_card
    from mlcore.registry import bundled_folder

    return load_card(bundled_folder()).architecture.backbone


def _found(
    rates: dict[str, list[float]], first: dict[str, float], missing: dict[str, str], backbones: dict[str, str],
    steps: int, epochs: int,
) -> Found:  # fmt: skip
    found = Found(
        text=[
            f"Epochs of {steps} steps with {BATCH} films each at the network's own size: augmentation, "
            "standardisation, every layer forward and backward, AdamW; and what ends an epoch: "
            f"{_VALIDATION} films measured, weights saved. Medians of {epochs} epochs, the networks in turn; the first "
            "epoch compiles and is not counted.",
        ],
        missing=[{"what": name, "why": why} for name, why in missing.items()],
    )
    speed = {name: median(each) for name, each in rates.items()}
    found.compare(
        "images per second, default network : DenseNet169", speed.get("default network"), speed.get("DenseNet169")
    )
    rows = [[name, backbones[name], significant(speed[name]), significant(first[name])] for name in rates]
    found.table("Training, all layers.", ("", "network", "images/s", "first epoch s"), rows)
    shown = {name: significant(value) or 0 for name, value in speed.items()}
    found.plots.append(plots.bars("Images per second while training", "images/s", shown))
    found.raw = {"images_per_s": rates}
    return found

"""Films whose label can be seen at a glance, and a network that learns it in a second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mlcore.training.cache import Samples
from mlcore.training.films import Film
from mlcore.training.tasks import THREE, Task
from mlcore.training.train import Plan

SIDE = 32
PLAN = Plan(
    backbone="none", size=SIDE, weights="none", augment="none", epochs=4, per_epoch=96, batch=8, rate=0.02,
    average=0.8, dropout=0, smoothing=0,
)  # fmt: skip
#: Bright halves by their label: several may be bright at once.
HALVES = Task("halves", "Which halves are bright", ("top", "left"), False, lambda film: film.findings)


def linear(task: Task, plan: Plan) -> Any:
    """Logits straight from an 8 × 8 picture."""
    import keras

    film = keras.Input((plan.size, plan.size, 1))
    small = keras.layers.Flatten()(keras.layers.AveragePooling2D(plan.size // 8)(film))
    return keras.Model(film, keras.layers.Dense(len(task.labels), name="head")(small))


def samples(count: int = 96, draw: Callable[[int], frozenset[str]] | None = None) -> Samples:
    """Noise with a bright top ("top"), a bright left half ("left"), both or neither; two sources, two thirds train.

    For `THREE` neither is normal, "top" pneumonia and "left" effusion; both at once is no film of that task.
    """
    random = np.random.default_rng(0)
    pictures = random.integers(0, 60, (count, SIDE, SIDE)).astype(np.uint8)
    films = []
    for i in range(count):
        findings = draw(i) if draw else frozenset({0: (), 1: ("top",), 2: ("left",)}[i % 3])
        if "top" in findings:
            pictures[i, : SIDE // 2] += 120
        if "left" in findings:
            pictures[i, :, : SIDE // 2] += 70
        named = {(): "normal", ("top",): "pneumonia", ("left",): "effusion"}.get(tuple(sorted(findings)), "both")
        split, source = "train" if i < count * 2 // 3 else "val", f"source {i // 3 % 2}"
        films.append(Film(Path(f"{i}.png"), named, split, f"patient {i}", source, "maker", f"hash {i}", findings))
    return Samples(films, pictures, np.arange(count))


def several(i: int) -> frozenset[str]:
    """Every combination of the two halves."""
    return frozenset(name for bit, name in enumerate(HALVES.labels) if i >> bit & 1)


def plan(**changes: Any) -> Plan:
    return replace(PLAN, **changes)


def train_here(out: Path, **changes: Any) -> Any:
    """One run on the separable films."""
    from mlcore.training.train import train

    return train(samples(), THREE, plan(**changes), out, linear)

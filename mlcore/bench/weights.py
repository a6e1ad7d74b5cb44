"""The same made-up weights for every engine, so that their answers can be compared and not only their speed.

May import: NumPy. Both kinds of engine hold their layers in the same order: convolutions and normalisations as built.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


def made_up(shapes: Iterable[tuple[str, tuple[int, ...]]]) -> list[Array]:
    """Weights for (kind, shape in Keras's layout) in the network's order; signals keep their size from layer to layer.

    Kinds as Keras names them: kernel, gamma, beta, moving_mean, moving_variance, bias. A square matrix is the
    identity in front of the served network's bias and stays so.
    """
    random = np.random.default_rng(0)
    return [_one(random, kind, shape) for kind, shape in shapes]


def _one(random: np.random.Generator, kind: str, shape: tuple[int, ...]) -> Array:
    if kind == "kernel" and len(shape) == 2:
        return np.eye(shape[0], dtype=np.float32)
    if kind == "kernel":
        return (random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[:-1]))).astype(np.float32)
    if kind in ("gamma", "moving_variance"):
        return random.uniform(0.8, 1.2, shape).astype(np.float32)
    return random.normal(0, 0.1, shape).astype(np.float32)

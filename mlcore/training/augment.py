"""Random changes of films as Keras layers: those of the paper, and those against shortcuts of file-making.

May import: Keras and NumPy; `keras.ops` only, so every backend runs them. Every layer takes and gives films
(n, rows, columns), float32 in [0, 1], changes each film differently, and does nothing outside training. Their random
state is saved with the weights of the model that holds them.
"""

from __future__ import annotations

from math import pi, radians
from typing import Any

import keras
import numpy as np
from keras import ops

from mlcore.training.films import TrainingError


def layers(name: str) -> list[RandomChange]:
    """The layers of one of the sets "none", "paper" and "robust". Raises TrainingError."""
    sets = {"none": list, "paper": paper, "robust": robust}
    if name not in sets:
        raise TrainingError(f"There is no augmentation {name!r}; choose one of {', '.join(sets)}.")
    return list(sets[name]())


def paper() -> list[RandomChange]:
    """Zoom 0.2, shear 0.2 (as a slope), mirrored half of the time; rescaling is part of every network here."""
    return [RandomGeometry(zoom=0.2, shear=0.2)]


def robust() -> list[RandomChange]:
    """Everything that differs between the makers of files and means nothing about the patient."""
    return [
        RandomGeometry(rotation=12, zoom=0.15, stretch=0.12, shear=0.08, shift=0.07),
        RandomResolution(0.4, chance=0.5),
        RandomMarks(chance=0.4),
        RandomTone(chance=0.7),
        RandomJPEG(25, 95, chance=0.5),
        RandomNoise(0.04, chance=0.5),
    ]


class RandomChange(keras.layers.Layer):
    """Changes every film of a batch with probability `chance`, each by its own random numbers.

    A subclass says in `numbers` how many of them it needs and in `change` what they do: (n, rows, columns) and
    (n, numbers) uniform in [0, 1) → (n, rows, columns).
    """

    numbers = 0

    def __init__(self, chance: float = 1.0, **options: Any) -> None:
        super().__init__(dtype="float32", **options)
        self.chance = chance
        self.seed = keras.random.SeedGenerator()

    def call(self, films: Any, training: bool = False) -> Any:
        if not training:
            return films
        drawn = keras.random.uniform((ops.shape(films)[0], self.numbers + 1), seed=self.seed)
        changed = self.change(films, drawn[:, 1:])
        return changed if self.chance >= 1 else ops.where(_each(drawn[:, 0] < self.chance), changed, films)

    def change(self, films: Any, drawn: Any) -> Any:
        raise NotImplementedError

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape


class RandomGeometry(RandomChange):
    """Rotation (degrees), zoom and stretch (shares), shear (slope), shift (share of the side), about the centre,
    mirrored half of the time; what comes from outside the film is black."""

    numbers = 7

    def __init__(
        self, *, rotation: float = 0, zoom: float = 0, stretch: float = 0, shear: float = 0, shift: float = 0
    ) -> None:
        super().__init__()
        self.rotation, self.zoom, self.stretch, self.shear, self.shift = radians(rotation), zoom, stretch, shear, shift
        # TensorFlow's resampling kernel has no XLA version; elsewhere it is composed of operations that do.
        self.supports_jit = keras.backend.backend() != "tensorflow"

    def change(self, films: Any, drawn: Any) -> Any:
        rows, columns = films.shape[1:]
        angle, zoom, stretch, shear, right, down = (2 * drawn[:, i] - 1 for i in range(6))
        angle, zoom, stretch = angle * self.rotation, 1 + zoom * self.zoom, ops.exp(stretch * np.log1p(self.stretch))
        mirror = ops.where(drawn[:, 6] < 0.5, -1.0, 1.0)
        a, b = mirror * ops.cos(angle) / zoom / stretch, ops.sin(angle) / zoom + shear * self.shear
        d, e = -mirror * ops.sin(angle) / zoom, ops.cos(angle) / zoom * stretch
        x, y = (columns - 1) / 2, (rows - 1) / 2
        from_x, from_y = x + right * self.shift * columns, y + down * self.shift * rows
        c, f = x - a * from_x - b * from_y, y - d * from_x - e * from_y
        none = ops.zeros_like(a)
        transform = ops.stack([a, b, c, d, e, f, none, none], axis=1)
        moved = ops.image.affine_transform(
            films[..., None], transform, interpolation="bilinear", fill_mode="constant", data_format="channels_last"
        )
        return moved[..., 0]


class RandomResolution(RandomChange):
    """Down to between `smallest` and all of the side and up again, smoothly or sharply: no film is sharper for good."""

    numbers = 3

    def __init__(self, smallest: float, *, chance: float) -> None:
        super().__init__(chance)
        self.smallest = smallest

    def change(self, films: Any, drawn: Any) -> Any:
        scale = self.smallest + (1 - self.smallest) * drawn[:, 0]
        rows, columns = films.shape[1:]
        vertical = _down_and_up(rows, scale, drawn[:, 1], drawn[:, 2])
        horizontal = vertical if rows == columns else _down_and_up(columns, scale, drawn[:, 1], drawn[:, 2])
        return ops.clip(ops.matmul(ops.matmul(vertical, films), ops.swapaxes(horizontal, 1, 2)), 0, 1)


class RandomMarks(RandomChange):
    """Black or white borders on half of the films, and up to three blocks like burnt-in letters or covers."""

    numbers = 6 + 3 * 6

    def change(self, films: Any, drawn: Any) -> Any:
        rows, columns = films.shape[1:]
        y, x = ops.arange(rows, dtype="float32") / rows, ops.arange(columns, dtype="float32") / columns
        bordered = drawn[:, 0] < 0.5
        sides = 0.07 * drawn[:, 1:5] * ops.cast(bordered, "float32")[:, None]
        inside = _box(y, x, sides[:, 0], sides[:, 1], 1 - sides[:, 2], 1 - sides[:, 3])
        films = ops.where(inside, films, _each(ops.cast(drawn[:, 5] < 1 / 3, "float32")))
        for block in (drawn[:, start : start + 6] for start in (6, 12, 18)):
            height, width = 0.02 + 0.15 * block[:, 0], 0.02 + 0.15 * block[:, 1]
            top, left = block[:, 2] * (1 - height), block[:, 3] * (1 - width)
            there = ops.logical_and(_box(y, x, top, left, top + height, left + width), _each(block[:, 4] < 0.5))
            films = ops.where(there, _each(block[:, 5]), films)
        return films


class RandomTone(RandomChange):
    """Another display window and gamma."""

    numbers = 3

    def change(self, films: Any, drawn: Any) -> Any:
        low, high = 0.22 * drawn[:, 0] - 0.1, 0.85 + 0.3 * drawn[:, 1]
        stretched = ops.clip((films - _each(low)) / _each(high - low), 0, 1)
        return ops.power(stretched, _each(ops.exp(drawn[:, 2] - 0.5)))


class RandomJPEG(RandomChange):
    """The loss of a baseline grey JPEG (ITU-T T.81) of a quality, as libjpeg counts it, between `worst` and `best`."""

    numbers = 1

    def __init__(self, worst: float, best: float, *, chance: float = 1.0) -> None:
        super().__init__(chance)
        self.worst, self.best = worst, best

    def change(self, films: Any, drawn: Any) -> Any:
        return jpeg(films, ops.floor(self.worst + (self.best + 1 - self.worst) * drawn[:, 0]))


class RandomNoise(RandomChange):
    """Gaussian noise of a standard deviation up to `largest`."""

    numbers = 1

    def __init__(self, largest: float, *, chance: float) -> None:
        super().__init__(chance)
        self.largest = largest

    def change(self, films: Any, drawn: Any) -> Any:
        noise = keras.random.normal(ops.shape(films), seed=self.seed)
        return ops.clip(films + _each(self.largest * drawn[:, 0]) * noise, 0, 1)


#: Luminance table of T.81, annex K.
_LUMINANCE = np.array([
    [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56], [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99],
], np.float32)  # fmt: skip
#: Orthonormal discrete cosine transform of eight values.
_COSINES = (np.sqrt(np.where(np.arange(8) == 0, 1, 2) / 8)[:, None]
            * np.cos(np.outer(np.arange(8), np.arange(8) + 0.5) * pi / 8)).astype(np.float32)  # fmt: skip


def jpeg(films: Any, quality: Any) -> Any:
    """Films (n, rows, columns) in [0, 1] after a grey JPEG of `quality` (n,) in 1..100."""
    rows, columns = films.shape[1:]
    down, right = -rows % 8, -columns % 8
    values = ops.round(films * 255) - 128
    if down or right:
        values = ops.pad(values, [(0, 0), (0, down), (0, right)], mode="symmetric")
    quality = ops.cast(quality, "float32")
    scale = ops.where(quality < 50, 5000 / quality, 200 - 2 * quality)
    table = ops.clip(ops.floor((ops.multiply(_LUMINANCE, _each(scale)) + 50) / 100), 1, 255)[:, None, :, None, :]
    blocks = (-1, (rows + down) // 8, 8, (columns + right) // 8, 8)
    coefficients = ops.reshape(_per_block(values, _COSINES), blocks)
    kept = ops.reshape(ops.round(coefficients / table) * table, (-1, rows + down, columns + right))
    return ops.clip(ops.round(_per_block(kept, _COSINES.T) + 128), 0, 255)[:, :rows, :columns] / 255


def _per_block(values: Any, matrix: Any) -> Any:
    """`matrix` · block · `matrix`ᵀ for every 8×8 block, which stays in its place."""
    rows, columns = values.shape[1:]
    vertical = ops.matmul(matrix, ops.reshape(values, (-1, rows // 8, 8, columns)))
    both = ops.matmul(ops.reshape(vertical, (-1, rows, columns // 8, 8)), matrix.T)
    return ops.reshape(both, (-1, rows, columns))


def _down_and_up(side: int, scale: Any, down: Any, up: Any) -> Any:
    """Resampling of `side` pixels to `scale` of them and back, as one matrix per film, (n, side, side)."""
    full = ops.arange(side, dtype="float32") + 0.5
    count = ops.maximum(ops.round(side * scale), 1)
    share = _each(count / side)
    held = ops.cast(full < count[:, None], "float32")  # rows of the small picture; the others stay empty
    shrink = _normal(_kernel(full * share - full[:, None], down) * held[:, :, None])
    grow = _normal(_kernel(full[:, None] * share - full, up) * held[:, None, :])
    return ops.matmul(grow, shrink)


def _kernel(distance: Any, kind: Any) -> Any:
    """Resampling weight at a distance in pixels: from a box (`kind` 0) through trapezia to a triangle (1)."""
    soft = _each(0.05 + 0.95 * kind)
    return ops.clip(0.5 + (0.5 - ops.abs(distance)) / soft, 0, 1)


def _normal(weights: Any) -> Any:
    return weights / ops.maximum(ops.sum(weights, axis=2, keepdims=True), 1e-6)


def _box(y: Any, x: Any, top: Any, left: Any, bottom: Any, right: Any) -> Any:
    """Whether a pixel lies in the box of its film, (n, rows, columns); everything in shares of the sides."""
    vertical = ops.logical_and(y >= top[:, None], y < bottom[:, None])
    horizontal = ops.logical_and(x >= left[:, None], x < right[:, None])
    return ops.logical_and(vertical[:, :, None], horizontal[:, None, :])


def _each(values: Any) -> Any:
    """One number per film, ready to meet (n, rows, columns)."""
    return values[:, None, None]

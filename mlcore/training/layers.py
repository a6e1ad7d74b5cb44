"""The serving preprocessing as a Keras layer, so that batches of 8-bit films go into the network as they lie on disk.

May import: Keras, NumPy and `mlcore.preprocess`. `train` puts it between augmentation and network.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from mlcore.preprocess import FLAT, PreprocessingSpec, gaussian_kernel

Matrix = npt.NDArray[np.float32]


class Standardise(keras.layers.Layer):
    """`mlcore.preprocess.standardise` for a batch: (n, rows, columns) in any range → (n, rows, columns, 1) in [0, 1].

    Equal to it within 1e-4 in full float32; a GPU that multiplies matrices in TF32 is off by up to 1e-3.
    """

    def __init__(self, spec: PreprocessingSpec, **options: Any) -> None:
        super().__init__(dtype="float32", **options)
        self.spec = spec
        self._blur = [_blur_matrix(side, spec.blur) for side in spec.size]

    def call(self, films: Any) -> Any:
        vertical, horizontal = self._blur
        smooth = ops.matmul(ops.matmul(vertical, films), horizontal.T)
        rows, columns = self.spec.size
        top, left = round(rows * self.spec.margin), round(columns * self.spec.margin)
        inner = ops.reshape(
            smooth[:, top : rows - top, left : columns - left], (-1, (rows - 2 * top) * (columns - 2 * left))
        )
        low, high = _percentile(inner, self.spec.low), _percentile(inner, self.spec.high)
        spread = ops.maximum(high - low, FLAT)
        return ops.clip((smooth - low[:, None, None]) / spread[:, None, None], 0, 1)[..., None]

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*shape, 1)


def _percentile(values: Any, percent: float) -> Any:
    """As `numpy.percentile`, (n, m) → (n,), but only the nearer tail is sorted."""
    if percent > 50:
        return -_percentile(-values, 100 - percent)
    place = percent / 100 * (values.shape[1] - 1)
    below = int(place)
    smallest = -ops.top_k(-values, min(below + 2, values.shape[1]))[0]
    return smallest[:, below] + (smallest[:, min(below + 1, values.shape[1] - 1)] - smallest[:, below]) * (
        place - below
    )


def _blur_matrix(side: int, sigma: float) -> Matrix:
    """Row i holds the shares of all pixels in blurred pixel i; what lies outside repeats the edge."""
    matrix = np.zeros((side, side), np.float32)
    kernel = gaussian_kernel(sigma)
    reach = len(kernel) // 2
    for offset, weight in enumerate(kernel, start=-reach):
        np.add.at(matrix, (np.arange(side), np.clip(np.arange(side) + offset, 0, side - 1)), weight)
    return matrix

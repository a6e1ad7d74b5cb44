"""The small convolutional network of the gate, in NumPy: is it a chest film, which way up, and is it whole?

May import NumPy. Its weights are fitted by `mlcore.training.gate_fit` in Keras and lie in `bundled/quality.json`;
used by `mlcore.quality` alone.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

#: The film is judged at this size, rank-normalised: lungs, heart, spine and ribs stay, patient and device go.
SIDE = 64
#: Outputs: a film turned counter-clockwise by 0, 90, 180, 270 degrees; no film; and, for a film, whole or cut.
TURNS, OTHER, WHOLE = slice(0, 4), 4, 5
#: Channels of the convolutions (3 × 3, stride 2, zero-padded by 1), then units of the two dense layers.
CHANNELS, UNITS = (16, 24, 32, 48), (32, 6)


@dataclass(frozen=True, slots=True)
class GateNetwork:
    """Weights and biases in order: convolutions (3, 3, in, out), then dense layers (in, out)."""

    layers: tuple[tuple[Array, Array], ...]

    def __call__(self, pictures: Array) -> Array:
        """Logits (n, 6) of rank-normalised pictures (n, SIDE, SIDE)."""
        signal = np.asarray(pictures, np.float32)[..., None]
        for kernel, bias in self.layers[: len(CHANNELS)]:
            signal = np.maximum(_convolved(signal, kernel) + bias, 0)
        signal = signal.reshape(len(signal), -1)
        (hidden, hidden_bias), (final, final_bias) = self.layers[len(CHANNELS) :]
        return np.maximum(signal @ hidden + hidden_bias, 0) @ final + final_bias

    @classmethod
    def from_json(cls, stored: Sequence[Any]) -> GateNetwork:
        """From the list that `to_json` makes."""
        arrays = [
            np.frombuffer(base64.b64decode(item["float16"]), "<f2").astype(np.float32).reshape(item["shape"])
            for item in stored
        ]
        return cls(tuple(zip(arrays[::2], arrays[1::2], strict=True)))

    def to_json(self) -> list[dict[str, object]]:
        """Shapes and half-precision values of kernel, bias, kernel, bias …"""
        return [
            {"shape": list(array.shape), "float16": base64.b64encode(array.astype("<f2").tobytes()).decode()}
            for layer in self.layers
            for array in layer
        ]


def _convolved(signal: Array, kernel: Array) -> Array:
    """3 × 3 convolution with stride 2 of (n, rows, columns, in) padded by 1: (n, rows / 2, columns / 2, out)."""
    padded = np.pad(signal, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::2, ::2]
    rows = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, kernel[..., 0].size)
    return (rows @ kernel.reshape(rows.shape[1], -1)).reshape(*windows.shape[:3], -1)

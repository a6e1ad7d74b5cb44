"""From the network's maps to the picture of one finding.

May import: NumPy and Pillow, `mlcore.contracts`. `infer` stores the maps, the map view and `predict --overlay` draw.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from mlcore.contracts import ImageArray


def finding_map(maps: ImageArray, label: int) -> ImageArray:
    """Where a label is favoured over the others: (rows, columns, labels) → (rows, columns) in [0, 1].

    Only the difference between labels moves a softmax, so the mean of the other labels is taken off; what speaks
    against the label is 0 and the strongest place is 1. A film without any such place gives all zeros.
    """
    others = np.delete(maps, label, axis=-1)
    evidence = maps[..., label] - (others.mean(-1) if others.shape[-1] else 0.0)
    evidence = np.maximum(evidence, 0.0).astype(np.float32)
    peak = float(evidence.max())
    return (evidence / peak).astype(np.float32) if peak > 0 else evidence


def heat_layer(shares: ImageArray, size: tuple[int, int]) -> Image.Image:
    """The map as a transparent colour layer of `size` (width, height): blue → yellow → red, stronger is denser."""
    smooth = Image.fromarray(shares.astype(np.float32)).resize(size, Image.Resampling.BICUBIC)
    value = np.clip(np.asarray(smooth, dtype=np.float32), 0, 1)
    red = np.clip(value * 2, 0, 1)
    green = np.clip(1.4 - np.abs(value - 0.5) * 2.8, 0, 1)
    blue = np.clip(1 - value * 2, 0, 1)
    layer: npt.NDArray[np.uint8] = np.rint(np.stack([red, green, blue, value], -1) * 255).astype(np.uint8)
    return Image.fromarray(layer)


def overlay(film: ImageArray, shares: ImageArray, opacity: float = 0.45) -> Image.Image:
    """The film (rows, columns) in [0, 1] with the map laid over it, as an RGB picture of the film's size."""
    grey = Image.fromarray(np.rint(np.clip(film, 0, 1) * 255).astype(np.uint8)).convert("RGBA")
    layer = heat_layer(shares, grey.size)
    layer.putalpha(layer.getchannel("A").point([round(v * opacity) for v in range(256)]))
    return Image.alpha_composite(grey, layer).convert("RGB")

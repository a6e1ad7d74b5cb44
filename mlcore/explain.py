"""From the network's maps to the map of one finding.

May import: NumPy, `mlcore.contracts`. `infer` stores the maps; `display` draws what is chosen here.
"""

from __future__ import annotations

import numpy as np

from mlcore.contracts import ImageArray


def finding_map(maps: ImageArray, label: int, *, exclusive: bool = True) -> ImageArray:
    """Where a label is favoured: (rows, columns, labels) → (rows, columns) in [0, 1].

    Of `exclusive` labels only the difference moves the softmax, so the mean of the others is taken off; a label that
    is asked for itself has its own evidence. What speaks against the label is 0 and the strongest place is 1. A film
    without any such place gives all zeros.
    """
    evidence = maps[..., label]
    if exclusive and maps.shape[-1] > 1:
        evidence = evidence - np.delete(maps, label, axis=-1).mean(-1)
    evidence = np.maximum(evidence, 0.0).astype(np.float32)
    peak = float(evidence.max())
    return (evidence / peak).astype(np.float32) if peak > 0 else evidence

"""From the network's maps to the map of one finding.

May import: NumPy, `mlcore.contracts`. `infer` stores the maps; `display` draws what is chosen here.
"""

from __future__ import annotations

import numpy as np

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

"""What every engine offers, and the batch sizes all of them use.

May import: NumPy, `mlcore.contracts`, `mlcore.card`. `registry` returns a Predictor; `pipeline` and the infer
worker call it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np

from mlcore.card import ModelCard
from mlcore.contracts import ImageArray, ModelOutput

#: A batch is padded to the next of these, so that an engine compiles few shapes.
BATCH_SIZES = (1, 8, 16, 32)


class Predictor(Protocol):
    """A loaded model version. The same film gives the same numbers within 1e-5, whatever the batch."""

    @property
    def card(self) -> ModelCard: ...

    @property
    def engine(self) -> str:
        """What computed it, with versions: "keras-tensorflow-2.21.0-cpu", "keras-tensorflow-2.21.0-gpu-xla-float32"."""

    def predict(self, batch: ImageArray) -> ModelOutput:
        """`batch` float32 (n, rows, columns, channels) as the card's preprocessing makes it, n ≥ 1.

        Labels are the trained ones, `card.label_keys`: an output that was not trained never leaves an engine.
        Raises ValueError on another shape; InfrastructureError when the machine, not the film, is at fault.
        """


#: Errors of an engine that tell of the machine and not of the film, by name: nothing is imported to know them.
_MACHINE_ERRORS = {
    *("AbortedError", "DataLossError", "DeadlineExceededError", "FailedPreconditionError", "InternalError"),
    *("ResourceExhaustedError", "UnavailableError", "UnknownError", "JaxRuntimeError", "XlaRuntimeError"),
}
_ENGINES = ("tensorflow", "jaxlib", "jax", "keras", "openvino")


def machine_at_fault(error: BaseException) -> bool:
    """Did the GPU, its driver or the memory fail, rather than the film?"""
    kind = type(error)
    return kind.__name__ in _MACHINE_ERRORS and kind.__module__.partition(".")[0] in _ENGINES


def check_batch(batch: ImageArray, card: ModelCard) -> ImageArray:
    """`batch` as contiguous float32, or ValueError when it does not fit the card."""
    expected = (*card.preprocessing.size, 1)
    if batch.ndim != 4 or not len(batch) or batch.shape[1:] != expected:
        raise ValueError(f"expected films of shape {expected}, got {batch.shape}")
    if not np.isfinite(batch).all():
        raise ValueError("the input holds values that are not numbers")
    return np.ascontiguousarray(batch, dtype=np.float32)


def padded_chunks(batch: ImageArray, sizes: Sequence[int] = BATCH_SIZES) -> Iterator[tuple[ImageArray, int]]:
    """Cut `batch` to the largest of `sizes` and pad every piece to one of them: (padded piece, films in it)."""
    for start in range(0, len(batch), sizes[-1]):
        piece = batch[start : start + sizes[-1]]
        size = next(size for size in sizes if size >= len(piece))
        yield np.concatenate([piece, np.zeros((size - len(piece), *piece.shape[1:]), piece.dtype)]), len(piece)


def run_padded(
    batch: ImageArray,
    forward: Callable[[ImageArray], tuple[ImageArray, ImageArray]],
    sizes: Sequence[int] = BATCH_SIZES,
) -> ModelOutput:
    """Run `forward` (padded piece → probabilities, maps) over all pieces and drop the padding."""
    outputs = [(forward(piece), count) for piece, count in padded_chunks(batch, sizes)]
    return ModelOutput(
        probabilities=np.concatenate([probabilities[:count] for (probabilities, _), count in outputs]),
        maps=np.concatenate([maps[:count] for (_, maps), count in outputs]),
    )

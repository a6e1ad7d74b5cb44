"""A film's copy holds every sample, as any reader of PNG finds it, and nothing else."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from mlcore.png import grey_png


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (257, 129)])
def test_every_sample_comes_back(kind: type, shape: tuple[int, int]) -> None:
    samples = np.random.default_rng(1).integers(0, np.iinfo(kind).max, shape, dtype=kind, endpoint=True)
    data = grey_png(samples)
    read = Image.open(io.BytesIO(data), formats=("PNG",))
    read.load()
    assert read.mode == ("L" if kind is np.uint8 else "I;16")
    assert read.info == {}
    np.testing.assert_array_equal(np.asarray(read), samples)


def test_part_of_an_array_is_written_as_it_stands() -> None:
    samples = np.arange(10_000, dtype=np.uint16).reshape(100, 100)[10:60:2, ::3]
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(grey_png(samples)))), samples)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(grey_png(samples.astype(">u2"))))), samples)


@pytest.mark.parametrize(
    "samples", [np.zeros((4, 4), np.float32), np.zeros((4, 4, 3), np.uint8), np.zeros((0, 4), np.uint8)]
)
def test_anything_but_grey_samples_is_refused(samples: np.ndarray) -> None:
    with pytest.raises(ValueError, match="grey samples"):
        grey_png(samples)

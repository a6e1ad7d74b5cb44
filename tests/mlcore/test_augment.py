"""Augmentation as layers: changes every film in its own way, only in training, and compresses as JPEG does."""

from __future__ import annotations

import ast
import io
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from mlcore.preprocess import PreprocessingSpec, standardise
from mlcore.training import augment
from mlcore.training.augment import RandomChange, RandomGeometry, RandomResolution, jpeg, paper, robust
from mlcore.training.films import TrainingError
from mlcore.training.layers import Standardise
from tests.films import synthetic_film

SIZE = (48, 64)
ROBUST = [type(layer).__name__ for layer in robust()]


@pytest.fixture(scope="module")
def films() -> np.ndarray:
    """Eight times the same film, so that every difference is the layer's."""
    return np.repeat(film((64, 48))[None], 8, axis=0)


def film(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.asarray(synthetic_film(seed, size).resize(size), dtype=np.float32) / 255


def changed(layer: Any, films: np.ndarray, training: bool = True) -> np.ndarray:
    return keras.ops.convert_to_numpy(layer(films, training=training))


def layer_of(name: str) -> RandomChange:
    layer = next(layer for layer in robust() if type(layer).__name__ == name)
    layer.chance = 1.0
    return layer


@pytest.mark.parametrize("name", ROBUST)
def test_every_layer_changes_every_film_differently_and_keeps_shape_and_range(name: str, films: np.ndarray) -> None:
    keras.utils.set_random_seed(1)
    after = changed(layer_of(name), films)
    assert after.shape == films.shape
    assert after.dtype == np.float32
    assert -1e-6 <= after.min() <= after.max() <= 1 + 1e-6
    assert len({one.tobytes() for one in after}) >= 7
    assert sum(np.abs(one - films[0]).max() > 1e-3 for one in after) >= 7


@pytest.mark.parametrize("name", ROBUST)
def test_no_layer_does_anything_outside_training(name: str, films: np.ndarray) -> None:
    np.testing.assert_array_equal(changed(layer_of(name), films, training=False), films)


def test_layer_changes_as_many_films_as_its_chance_says() -> None:
    layer = augment.RandomTone(0.3)
    many = np.full((400, 8, 8), 0.5, np.float32)
    share = (np.abs(changed(layer, many) - 0.5) > 1e-4).any(axis=(1, 2)).mean()
    assert 0.22 < share < 0.38


@pytest.mark.parametrize("chain", [paper, robust])
def test_same_seed_gives_the_same_films(chain: Any, films: np.ndarray) -> None:
    def run() -> np.ndarray:
        keras.utils.set_random_seed(5)
        after = films
        for layer in chain():
            after = changed(layer, after)
        return after

    np.testing.assert_array_equal(run(), run())


def test_augmentation_that_does_not_exist_is_said_plainly() -> None:
    with pytest.raises(TrainingError, match="none, paper, robust"):
        augment.layers("heavy")


def test_geometry_of_nothing_only_mirrors(films: np.ndarray) -> None:
    keras.utils.set_random_seed(2)
    after = changed(RandomGeometry(), films)
    kinds = [any(np.allclose(one, kind, atol=1e-5) for kind in (films[0], films[0][:, ::-1])) for one in after]
    assert all(kinds)
    assert len({one.tobytes() for one in after}) == 2


def test_rotation_turns_about_the_centre() -> None:
    point = np.zeros((16, 41, 41), np.float32)
    point[:, 19:22, 19:22] = 1
    after = changed(RandomGeometry(rotation=12), point)
    assert (after[:, 20, 20] > 0.99).all()
    rows, columns = np.mgrid[:41, :41]
    mass = after.sum((1, 2))
    np.testing.assert_allclose((after * rows).sum((1, 2)) / mass, 20, atol=0.05)
    np.testing.assert_allclose((after * columns).sum((1, 2)) / mass, 20, atol=0.05)


def test_lower_resolution_loses_detail_but_neither_brightness_nor_place() -> None:
    random = np.random.default_rng(0)
    noise = random.random((8, 64, 64), dtype=np.float32)
    after = changed(RandomResolution(0.4, chance=1.0), noise)
    assert (after.std((1, 2)) < 0.8 * noise.std((1, 2))).sum() >= 6  # scales near 1 change little
    np.testing.assert_allclose(after.mean((1, 2)), noise.mean((1, 2)), atol=0.02)
    ramp = np.broadcast_to(np.linspace(0, 1, 64, dtype=np.float32), (8, 64, 64))
    np.testing.assert_allclose(
        changed(RandomResolution(0.4, chance=1.0), ramp)[:, 8:-8, 8:-8], ramp[:, 8:-8, 8:-8], atol=0.03
    )


def pillow_jpeg(film: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(np.round(film * 255).astype(np.uint8)).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer).convert("L"), dtype=np.float32)


def compressed(film: np.ndarray, quality: int) -> np.ndarray:
    return keras.ops.convert_to_numpy(jpeg(film[None], np.array([quality])))[0] * 255


@pytest.mark.parametrize("quality", [10, 25, 50, 75, 95])
@pytest.mark.parametrize("size", [(64, 48), (61, 45)])
def test_compression_is_that_of_pillow_at_the_same_quality(quality: int, size: tuple[int, int]) -> None:
    own, theirs = compressed(film(size), quality), pillow_jpeg(film(size), quality)
    whole = (slice(size[1] // 8 * 8), slice(size[0] // 8 * 8))  # how a block is filled up at the edge is free
    assert np.abs(own - theirs)[whole].mean() < 0.5
    assert np.abs(own - theirs)[whole].max() <= 16


def test_best_quality_hardly_changes_a_film_and_the_worst_leaves_blocks() -> None:
    plain = film((64, 64)) * 255
    assert np.abs(compressed(film((64, 64)), 95) - plain).mean() < 1.5
    slope = np.linspace(0, 1, 64, dtype=np.float32)
    steps = np.abs(np.diff(compressed((slope + slope[:, None]) / 2, 10), axis=1)).mean(0)
    assert steps[7::8].min() > 2 * max(steps[6::8].max(), steps[8::8].max())


@pytest.mark.parametrize("spec", [
    PreprocessingSpec(size=SIZE), PreprocessingSpec(size=SIZE, blur=0, low=0, high=100, margin=0),
    PreprocessingSpec(size=SIZE, blur=2.5, low=10, high=70, margin=0.2),
], ids=["default", "plain", "strong"])  # fmt: skip
def test_standardise_layer_is_the_serving_preprocessing(spec: PreprocessingSpec) -> None:
    random = np.random.default_rng(1)
    pictures = [film((64, 48)), film((64, 48), 1) * 0.2 + 0.3, random.random(SIZE, dtype=np.float32),
                np.full(SIZE, 0.5, np.float32), (film((64, 48)) > 0.5).astype(np.float32)]  # fmt: skip
    together = keras.ops.convert_to_numpy(Standardise(spec)(np.stack(pictures)))
    for picture, after in zip(pictures, together, strict=True):
        np.testing.assert_allclose(after, standardise(picture, spec), atol=1e-4)


@pytest.mark.parametrize("module", ["augment", "layers", "batches", "callbacks", "fit", "train"])
def test_training_names_no_backend(module: str) -> None:
    """Whatever Keras runs on: only `devices` may know."""
    tree = ast.parse((Path(augment.__file__).parent / f"{module}.py").read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not {name.split(".")[0] for name in names} & {"tensorflow", "torch", "jax"}

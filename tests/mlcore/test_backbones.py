"""Every network of the comparison can be built, scales as its makers say, and ends in maps that are its logits."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from mlcore.backbones import BACKBONES, TEN, Architecture, _scaled, build_served

FROM_KERAS = [name for name, spec in BACKBONES.items() if spec.constructor.startswith("keras.applications.")]
SIDE = 96


@pytest.fixture(autouse=True)
def _empty_session() -> Iterator[None]:
    import keras

    yield
    keras.utils.clear_session()


@pytest.mark.parametrize("name", TEN)
def test_mean_of_the_maps_and_the_bias_is_the_logit(name: str) -> None:
    served = build_served(Architecture(name, (SIDE, SIDE), 3))
    bias = np.array([0.3, -0.2, 0.1], np.float32)
    served.get_layer("bias").set_weights([np.eye(3, dtype=np.float32), bias])
    film = np.random.default_rng(0).random((1, SIDE, SIDE, 1), dtype=np.float32)
    probabilities, maps = (np.asarray(value) for value in served(film, training=False))
    powers = np.exp(maps.mean((1, 2)) + bias)
    assert maps.shape[-1] == 3
    np.testing.assert_allclose(probabilities, powers / powers.sum(), atol=1e-5)


@pytest.mark.parametrize("name", FROM_KERAS)
def test_films_are_scaled_as_the_networks_makers_say(name: str) -> None:
    import keras

    spec = BACKBONES[name]
    module, constructor = spec.constructor.rsplit(".", 1)
    home = getattr(importlib.import_module(module), constructor).__module__
    grey = np.random.default_rng(0).random((1, 4, 4, 1), dtype=np.float32)
    film = keras.Input((4, 4, 1))
    ours = np.asarray(keras.Model(film, _scaled(film, spec.scaling))(grey))
    theirs = sys.modules[home].preprocess_input(np.repeat(grey, 3, -1) * 255)
    np.testing.assert_allclose(ours, theirs, atol=2e-4)


def test_the_ten_networks_are_those_of_the_paper() -> None:
    constructors = {spec.constructor.rsplit(".", 1)[1] for spec in TEN.values()}
    assert constructors == {
        "VGG16", "VGG19", "Xception", "InceptionV3", "InceptionResNetV2", "ResNet50", "ResNet50V2", "DenseNet121",
        "DenseNet169", "NASNetMobile",
    }  # fmt: skip

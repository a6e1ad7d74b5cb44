"""AlexNet, ResNet18 and SqueezeNet are the published ones, and take weights by the order of their layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlcore.backbones import Architecture, build_member
from mlcore.training.networks import alexnet, resnet18, squeezenet

SHARED = Path(__file__).parents[3] / "shared" / "weights" / "squeezenet_imagenet_notop.h5"


@pytest.mark.parametrize(
    ("network", "parameters", "shape"),
    [
        (alexnet, 3_747_200, (None, 13, 13, 256)),
        (resnet18, 11_186_112, (None, 7, 7, 512)),
        (squeezenet, 722_496, (None, 13, 13, 512)),
    ],
)
def test_network_has_the_published_size(network, parameters: int, shape: tuple[int | None, ...]) -> None:
    built = network((224, 224, 3))
    assert built.count_params() == parameters
    assert built.output_shape == shape


def test_weights_are_taken_by_the_order_of_layers(tmp_path: Path) -> None:
    first = squeezenet((64, 64, 3))
    first.save_weights(tmp_path / "squeezenet_notop.weights.h5")
    again = squeezenet((64, 64, 3), weights=str(tmp_path / "squeezenet_notop.weights.h5"))
    for one, other in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("network", [alexnet, resnet18, squeezenet])
def test_weights_that_nobody_publishes_for_keras_are_refused(network) -> None:
    with pytest.raises(ValueError, match="give a file or none"):
        network((64, 64, 3), weights="imagenet")


@pytest.mark.skipif(not SHARED.is_file(), reason="../shared/weights/squeezenet_imagenet_notop.h5 is not here")
def test_published_squeezenet_weights_fit_layer_by_layer() -> None:
    import h5py

    member = build_member(Architecture("squeezenet", (64, 64), 2), weights=str(SHARED))
    backbone = next(layer for layer in member.layers if layer.name == "squeezenet")
    layers = [layer for layer in backbone.layers if layer.weights]
    with h5py.File(SHARED) as file:
        stored = [name.decode() for name in file.attrs["layer_names"] if len(file[name].attrs["weight_names"])]
        kernels = [file[name][file[name].attrs["weight_names"][0]][:] for name in stored]
    assert len(layers) == len(stored) == 25
    for layer, kernel in zip(layers, kernels, strict=True):
        np.testing.assert_array_equal(np.asarray(layer.kernel), kernel)

"""A published CheXNet-style DenseNet121 checkpoint of PyTorch as a network of ours, number for number.

May import: NumPy, `mlcore`; Keras inside functions. `read_checkpoint` gives the tensors, `bundle` makes the model
folder; `python -m mlcore chexnet` is the command.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mlcore.backbones import Architecture, build_member
from mlcore.training.films import TrainingError
from mlcore.training.tasks import CHESTXRAY14_LABELS

if TYPE_CHECKING:
    import keras

Array = npt.NDArray[np.float32]
_TORCH_EPSILON, _KERAS_EPSILON = 1e-5, 1.001e-5  # of batch normalisation in the two DenseNets


def state_of(checkpoint: Any) -> dict[str, Array]:
    """The weights of a checkpoint under the names of torchvision's DenseNet121: `features.…` and `classifier.…`.

    Takes a state dict or a training checkpoint that holds one, with or without `module.` and `densenet121.` before
    the names, and the names `norm.1`, `conv.2` of the first releases. Raises TrainingError when there is none.
    """
    state = checkpoint.get("state_dict", checkpoint) if isinstance(checkpoint, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(value, np.ndarray) for value in state.values()):
        raise TrainingError("The checkpoint holds no state dict: expected tensors by name, or such a dict in state_dict.")
    return {_plain_name(str(name)): value for name, value in state.items() if not str(name).endswith("_tracked")}


def chexnet_architecture(side: int = 224) -> Architecture:
    """The network such checkpoints are made for."""
    return Architecture("densenet121", (side, side), len(CHESTXRAY14_LABELS), exclusive=False)


def chexnet_member(state: Mapping[str, Array], architecture: Architecture) -> keras.Model:
    """A member with the weights of `state` (from `state_of`); its logits agree with PyTorch's within 1e-4.

    Raises TrainingError when a tensor is missing, left over or of another shape.
    """
    import keras

    member = build_member(architecture)
    backbone = next(layer for layer in member.layers if isinstance(layer, keras.Model))
    left = dict(state)
    for layer in backbone.layers:
        if layer.weights:
            _fill(layer, _normalisation if "bn" in layer.name else _convolution, _torch_name(layer.name), left)
    _fill(member.get_layer("head"), _classifier, "classifier", left)
    if left:
        raise TrainingError(f"The checkpoint is not a DenseNet121 with one linear layer: it also holds {min(left)}.")
    return member


def _plain_name(name: str) -> str:
    name = re.sub(r"^(module\.)?(densenet121\.|model\.)?(module\.)?", "", name)
    return re.sub(r"\b(norm|conv)\.(?=\d)", r"\1", name).replace("classifier.0.", "classifier.")


def _torch_name(layer: str) -> str:
    """`conv3_block4_1_bn` → `features.denseblock2.denselayer4.norm2`, `pool2_conv` → `features.transition1.conv`."""
    fixed = {"conv1_conv": "conv0", "conv1_bn": "norm0", "bn": "norm5"}
    if layer in fixed:
        return f"features.{fixed[layer]}"
    if inner := re.fullmatch(r"conv(\d)_block(\d+)_(\d)_(bn|conv)", layer):
        block, number, place, kind = inner.groups()
        part = f"norm{int(place) + 1}" if kind == "bn" else f"conv{place}"
        return f"features.denseblock{int(block) - 1}.denselayer{number}.{part}"
    stage, kind = layer.removeprefix("pool").split("_")
    return f"features.transition{int(stage) - 1}.{'norm' if kind == 'bn' else 'conv'}"


def _fill(layer: Any, arrange: Any, name: str, left: dict[str, Array]) -> None:
    """Take the tensors of `name` out of `left` and put them into `layer`."""
    own = {key: left.pop(key) for key in list(left) if key.rpartition(".")[0] == name}
    try:
        layer.set_weights(arrange({key.rpartition(".")[2]: value for key, value in own.items()}))
    except (KeyError, ValueError) as error:
        shapes = ", ".join(f"{key} {value.shape}" for key, value in own.items()) or "nothing"
        raise TrainingError(
            f"The checkpoint does not fit DenseNet121 with {len(CHESTXRAY14_LABELS)} findings: {name} holds {shapes}."
        ) from error


def _convolution(tensors: Mapping[str, Array]) -> list[Array]:
    return [tensors["weight"].transpose(2, 3, 1, 0)]


def _normalisation(tensors: Mapping[str, Array]) -> list[Array]:
    """Scale, shift, mean and variance; the variance takes up the difference of the two libraries' epsilons."""
    variance = tensors["running_var"].astype(np.float64) + (_TORCH_EPSILON - _KERAS_EPSILON)
    return [tensors["weight"], tensors["bias"], tensors["running_mean"], variance.astype(np.float32)]


def _classifier(tensors: Mapping[str, Array]) -> list[Array]:
    return [tensors["weight"].T[None, None], tensors["bias"]]

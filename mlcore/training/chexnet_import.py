"""A published CheXNet-style DenseNet121 checkpoint of PyTorch as a network of ours, number for number.

May import: NumPy, `mlcore`; Keras inside functions. `read_checkpoint` gives the tensors, `bundle` makes the model
folder; `python -m mlcore chexnet` is the command.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mlcore.backbones import Architecture, build_member
from mlcore.card import ModelCard
from mlcore.preprocess import PreprocessingSpec
from mlcore.training.films import Film, TrainingError
from mlcore.training.tasks import CHESTXRAY14, CHESTXRAY14_LABELS
from mlcore.training.texts import Texts, plain_texts
from mlcore.training.torch_file import read_checkpoint

if TYPE_CHECKING:
    import keras

Array = npt.NDArray[np.float32]
_TORCH_EPSILON, _KERAS_EPSILON = 1e-5, 1.001e-5  # of batch normalisation in the two DenseNets
_TEXTS: Texts = replace(
    plain_texts(CHESTXRAY14),
    task="Which of 14 findings a frontal chest film shows, each for itself",
    limitations=(
        "The weights come from a published checkpoint. It learned from ChestX-ray14: films of that collection may have "
        "been among its training films, and figures measured on them flatter.",
        "ChestX-ray14's labels were mined from report text and are noisy.",
        "Findings without enough validation films to set a threshold are not shown at all; their absence says nothing.",
        "Films are squashed to the input size; the published systems cropped, and some averaged ten crops.",
    ),
    credits=(
        "NIH ChestX-ray14: Wang et al., CVPR 2017; provided by the NIH Clinical Center (NIHCC).",
        "CheXNet: Rajpurkar et al. 2017, arXiv 1711.05225.",
    ),
)


def state_of(checkpoint: Any) -> dict[str, Array]:
    """The weights of a checkpoint under the names of torchvision's DenseNet121: `features.…` and `classifier.…`.

    Takes a state dict or a training checkpoint that holds one, with or without `module.` and `densenet121.` before
    the names, and the names `norm.1`, `conv.2` of the first releases. Raises TrainingError when there is none.
    """
    state = checkpoint.get("state_dict", checkpoint) if isinstance(checkpoint, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(value, np.ndarray) for value in state.values()):
        raise TrainingError(
            "The checkpoint holds no state dict: expected tensors by name, or such a dict in state_dict."
        )
    return {_plain_name(str(name)): value for name, value in state.items() if not str(name).endswith("_tracked")}


def chexnet_architecture(side: int = 224) -> Architecture:
    """The network such checkpoints are made for."""
    return Architecture("densenet121", (side, side), len(CHESTXRAY14_LABELS), exclusive=False)


def chexnet_member(state: Mapping[str, Array], architecture: Architecture) -> keras.Model:
    """A member with the weights of `state` (from `state_of`); its logits agree with PyTorch's within 1e-4."""
    member = build_member(architecture, dropout=0.1)  # as `bundle` builds it; nothing is dropped at inference
    fill_member(member, state)
    return member


def fill_member(member: keras.Model, state: Mapping[str, Array]) -> None:
    """Put every tensor of `state` in its place. Raises TrainingError when one is missing, left over or misshapen."""
    import keras

    backbone = next(layer for layer in member.layers if isinstance(layer, keras.Model))
    left = dict(state)
    for layer in backbone.layers:
        if layer.weights:
            _fill(layer, _normalisation if "bn" in layer.name else _convolution, _torch_name(layer.name), left)
    _fill(member.get_layer("head"), _classifier, "classifier", left)
    if left:
        raise TrainingError(f"The checkpoint is not a DenseNet121 with one linear layer: it also holds {min(left)}.")


def import_checkpoint(
    checkpoint: Path, folder: Path, *, films: Sequence[Film], side: int, name: str, version: str, replicates: int
) -> ModelCard:
    """Write the model folder of a checkpoint file; returns its card.

    A checkpoint brings no thresholds, and without one no probability is shown: calibration and thresholds are fitted
    on the validation films among `films`, the figures are those of their test films. Raises TrainingError.
    """
    from mlcore.training.bundle import write_model_folder

    architecture = chexnet_architecture(side)
    member = chexnet_member(state_of(read_checkpoint(checkpoint)), architecture)
    with tempfile.TemporaryDirectory(prefix="chexnet-") as private:
        weights = Path(private) / "member.weights.h5"
        member.save_weights(weights)
        return write_model_folder(
            folder,
            members=[weights],
            architecture=architecture,
            spec=PreprocessingSpec(architecture.size, blur=0, low=0, high=100, margin=0),
            films=films,
            name=name,
            version=version,
            training={"checkpoint_sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest()},
            task=CHESTXRAY14,
            texts=_TEXTS,
            replicates=replicates,
            weights_dtype="float32",
        )


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
    own = {key.rpartition(".")[2]: left.pop(key) for key in list(left) if key.rpartition(".")[0] == name}
    try:
        layer.set_weights(arrange(own))
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

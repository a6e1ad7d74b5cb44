"""ChestNet, Wang and Xia 2018: a classification branch on a residual network, and an attention branch beside it.

May import: `mlcore.training`; Keras inside functions. The attention branch looks at the features of the last stage but
one through a map per finding; what is left out with it is measured as an ablation.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mlcore.training.recipes.common import Options, Study
from mlcore.training.recipes.multilabel import keep_measured, measured_findings, protocol_of
from mlcore.training.recipes.paper import Claim, Paper, Protocol
from mlcore.training.tasks import CHESTXRAY14, Task

if TYPE_CHECKING:
    import keras

    from mlcore.training.train import Plan

HELP = "ResNet with an attention branch for 14 findings (ChestNet 2018: mean AUROC 0.781, official split, unverified)"
BOTH, ALONE = "chestnet", "classification branch alone"
#: Filters of the attention branch's convolutions.
WIDTH = 512

PAPER = Paper(
    citation="Wang H, Xia Y. ChestNet: A Deep Neural Network for Classification of Thoracic Diseases on Chest "
    "Radiography. arXiv:1807.03058, 2018",
    year=2018,
    data="ChestX-ray14 on its official lists. The figure comes from a summary; the paper itself was not at hand.",
    method="ResNet-152 with 14 sigmoids; an attention branch of six convolutions on the output of the last residual "
    "stage but one, with maps per finding weighed as in Grad-CAM; 224 × 224 pixels, no augmentation.",
    claims=(
        Claim(
            BOTH, CHESTXRAY14.key, "macro_auroc", 0.781,
            Protocol(("NIH ChestX-ray14",), CHESTXRAY14.labels, "official lists", 25596),
        ),
    ),
)  # fmt: skip

DIFFERENCES = (
    "The paper was not at hand: widths of the attention branch, the way its maps are made equal in size, and how the "
    "two branches are joined (here: the mean of their logits) follow summaries and are ours where those are silent.",
    "The share of each feature in a finding's map is learned with the rest; the paper takes it from the gradient of "
    "the classification branch.",
    "The split is ours, by patient as far as patients are known, not the official lists.",
    "The films are a selection: most show one of three conditions or nothing, so the other findings are rare.",
    "Every film gets the same blur and contrast before the network, as at serving; the epoch is that with the highest "
    "mean AUROC on the validation split.",
)


def run(options: Options) -> dict[str, Any]:
    """Both branches, and the classification branch trained alone; `options.backbone` names another residual network."""
    study = Study("chestnet2018", PAPER, options, (CHESTXRAY14,))
    labels = measured_findings(study)
    plan = _plan(options)
    for name, build in ((BOTH, chestnet), (ALONE, None)):
        if study.wants(name):
            study.trained(name, CHESTXRAY14, plan, build)
    keep_measured(study, labels)
    return study.report(
        "ChestNet: classification with and without an attention branch",
        [
            *protocol_of(study, labels),
            *([f"The residual network is {plan.backbone}, not resnet152."] if plan.backbone != "resnet152" else []),
            *(["Started from random weights, not from ImageNet."] if plan.weights == "none" else []),
            *DIFFERENCES,
        ],
        pairs=[(BOTH, ALONE)],
    )


def chestnet(task: Task, plan: Plan) -> keras.Model:
    """Film → logits (n, labels): the mean of the two branches'.

    Attention branch: three convolutions on the features of stage 4; of their output a map per finding, made a share of
    the film by a softmax over its places; three convolutions from the maps to the logits, the last as large as they.
    """
    import keras

    from mlcore.training.train import default_build

    member = default_build(task, plan)  # the classification branch; its network is opened in the middle
    backbone = next(layer for layer in member.layers if isinstance(layer, keras.Model))
    stage = [layer.name for layer in backbone.layers if re.fullmatch(r"conv4_block\d+_out", layer.name)][-1]
    opened = keras.Model(backbone.input, [backbone.get_layer(stage).output, backbone.output], name="backbone")
    middle, last = opened(member.get_layer("colour").output)
    classified = keras.layers.GlobalAveragePooling2D(name="classification")(member.get_layer("head")(last))

    layers, labels = keras.layers, len(task.labels)
    features = middle
    for number, side in enumerate((1, 3, 1), start=1):
        features = _convolution(features, WIDTH, side, f"attention_{number}")
    maps = layers.Conv2D(labels, 1, use_bias=False, name="maps")(features)
    rows, columns = maps.shape[1:3]
    shares = layers.Softmax(axis=1)(layers.Reshape((rows * columns, labels))(maps))
    attention = layers.Rescaling(float(rows * columns))(layers.Reshape((rows, columns, labels))(shares))
    seen = _convolution(attention, labels, 1, "attention_4")
    seen = _convolution(seen, WIDTH, 1, "attention_5")
    attended = layers.Flatten(name="attention")(layers.Conv2D(labels, (rows, columns), name="attention_6")(seen))
    return keras.Model(member.input, layers.Average(name="logits")([classified, attended]), name="chestnet")


def _convolution(features: Any, filters: int, side: int, name: str) -> Any:
    import keras

    layers = keras.layers
    features = layers.Conv2D(filters, side, padding="same", use_bias=False, name=name)(features)
    return layers.ReLU()(layers.BatchNormalization(name=f"{name}_norm")(features))


def _plan(options: Options) -> Plan:
    from mlcore.training.films import TrainingError
    from mlcore.training.train import Plan

    name = options.backbone or "resnet152"
    if name not in ("resnet50", "resnet152"):
        raise TrainingError(f"ChestNet is built on a residual network: resnet50 or resnet152, not {name}.")
    return Plan(
        backbone=name, size=options.size or 224, weights=options.weights_of(name), augment="none",
        epochs=options.epochs or 20, per_epoch=0, balance="none", batch=16, rate=3e-4, decay=0.0, dropout=0.0,
        smoothing=0.0, average=0.0, prior_floor=1.0, seed=options.seed,
    )  # fmt: skip

"""Rahman et al. 2020: four pretrained networks fine-tuned on children's films, asked three questions.

May import: `mlcore.training`; Keras inside functions. AlexNet, ResNet18 and SqueezeNet are those of `networks`.
"""

from __future__ import annotations

from typing import Any

from mlcore.training.recipes.common import Options, Study
from mlcore.training.recipes.paper import Claim, Paper, Protocol
from mlcore.training.tasks import BACTERIAL_VIRAL, CHILDREN_PNEUMONIA, CHILDREN_THREE

HELP = "AlexNet, ResNet18, SqueezeNet, DenseNet201 on children's pneumonia (Rahman 2020: 98.0, 95.0, 93.3 %)"
NETWORKS = ("alexnet", "resnet18", "squeezenet", "densenet201")
#: Networks whose ImageNet weights Keras cannot fetch.
_NOT_FETCHED = ("alexnet", "resnet18", "squeezenet")
TASKS = (CHILDREN_PNEUMONIA, BACTERIAL_VIRAL, CHILDREN_THREE)

PAPER = Paper(
    citation="Rahman T, Chowdhury MEH, Khandakar A, et al. Transfer Learning with Deep Convolutional Neural Network "
    "(CNN) for Pneumonia Detection Using Chest X-ray. Applied Sciences 2020;10(9):3233. doi:10.3390/app10093233",
    year=2020,
    data="5,247 films of children (Kermany et al.): normal, bacterial and viral pneumonia. The number tested and the "
    "split are not at hand; the accuracies are those of the abstract.",
    method="AlexNet, ResNet18, DenseNet201 and SqueezeNet pretrained on ImageNet and fine-tuned, with augmentation.",
    claims=tuple(
        Claim(
            "densenet201", task.key, "accuracy", value, Protocol(("Kermany pediatric",), task.labels, None, None), True
        )
        for task, value in zip(TASKS, (0.98, 0.95, 0.933), strict=True)
    ),
)

DIFFERENCES = (
    "Patients are in one split only here. The paper's split is not at hand; with several films of a child on both "
    "sides of a split, a network is paid for knowing the child.",
    "Other films are tested: ours, not the paper's, and in another number.",
    "AlexNet has neither response normalisation nor its two dense layers; every network ends in the same pooled head.",
    "Every film gets the same blur and contrast before the network, as at serving.",
    "The changes of the films while training are zoom, shear and flip; the optimiser is AdamW, its weights averaged.",
    "The epoch is chosen by the area under the curve on the validation split.",
)


def run(options: Options) -> dict[str, Any]:
    """Every wanted network on every task."""
    study = Study("rahman2020", PAPER, options, TASKS)
    for name in NETWORKS:
        for task in TASKS:
            if study.wants(name):
                study.trained(name, task, _plan(options, name))
    bare = list(dict.fromkeys(s.name for s in study.systems if s.facts["plan"]["weights"] == "none"))
    return study.report(
        "Four networks on children's pneumonia",
        [*DIFFERENCES, *([f"Started from random weights, not from ImageNet: {', '.join(bare)}."] if bare else [])],
        pairs=[("densenet201", name) for name in NETWORKS if name != "densenet201"],
    )


def _plan(options: Options, name: str) -> Any:
    """All layers fine-tuned; films as they come."""
    from mlcore.training.train import Plan

    weights = options.weights_of(name)
    if weights == "imagenet" and name in _NOT_FETCHED:
        weights = "none"
    return Plan(
        backbone=name, size=options.size or 224, weights=weights, augment="paper", epochs=options.epochs or 15,
        per_epoch=0, balance="none", smoothing=0.0, average=0.99, prior_floor=1.0, seed=options.seed,
    )  # fmt: skip

"""The study this project follows: ten pretrained networks, a new head on each, normal against effusion and pneumonia.

May import: `mlcore.backbones` and `mlcore.training`; no Keras of its own. Its figure is validation accuracy of all
films pooled, so the source-only baseline stands beside it: that baseline sees no pixel.
"""

from __future__ import annotations

from typing import Any

from mlcore.backbones import BACKBONES, TEN
from mlcore.training.recipes.common import Options, Study
from mlcore.training.recipes.paper import Claim, Paper, Protocol
from mlcore.training.tasks import THREE

HELP = "Ten networks by transfer learning, the study behind this project: DenseNet169, 95.56 % on validation"

PAPER = Paper(
    citation="The transfer-learning study of ten networks that this project follows (its text is not at hand).",
    year=None,
    data="Chest films of three classes: normal, pleural effusion, pneumonia. Counts and sources are not at hand.",
    method="Ten networks pretrained on ImageNet, a new head trained on each; zoom 0.2, shear 0.2, horizontal flip, "
    "rescaling. DenseNet169 had the highest validation accuracy.",
    claims=(
        Claim("densenet169", "three", "accuracy", 0.9556, Protocol(None, THREE.labels, None, None)),
    ),
)  # fmt: skip

DIFFERENCES = (
    "Accuracy is of the films that also chose the epoch and, in the paper, the network: both figures are flattered.",
    "Pooled accuracy is no measure of skill where the classes come from different hospitals: knowing the hospital then "
    "names the class most of the time. The baselines without pixels, in the tables below, say how often here; "
    "what counts are the figures within a source.",
    "Patients known to us are in one split only; whether the paper kept them apart is not known.",
    "Every film gets the same blur and contrast before the network, as at serving; the paper only rescales.",
    "The test split stays closed here; the comparison of networks opens it once, by a rule written down before.",
)


def run(options: Options) -> dict[str, Any]:
    """Train every wanted network and report on the validation split, which is the paper's measure."""
    study = Study("transfer_study", PAPER, options, [THREE], split="val")
    extra = [name for name in options.only if name in BACKBONES and name not in TEN]
    for name in [*TEN, *extra]:
        if study.wants(name):
            study.trained(name, THREE, _plan(options, name))
    return study.report(
        "Ten networks by transfer learning",
        [*DIFFERENCES, *_beginnings(study)],
        notes=["A validation figure: early choice of the epoch saw these films."],
    )


def _plan(options: Options, name: str) -> Any:
    """Head only, on pretrained weights. A network without them is trained whole: chance features carry no head."""
    from mlcore.training.train import Plan

    weights, epochs = options.weights_of(name), options.epochs or 10
    frozen = weights != "none"
    return Plan(
        backbone=name, size=options.size or 224, weights=weights, augment="paper",
        head_epochs=epochs if frozen else 0, epochs=0 if frozen else epochs, per_epoch=0, balance="none",
        smoothing=0.0, average=0.0, prior_floor=1.0, seed=options.seed,
    )  # fmt: skip


def _beginnings(study: Study) -> list[str]:
    """Which networks did not start from ImageNet."""
    bare = [system.name for system in study.systems if system.facts["plan"]["weights"] == "none"]
    return [
        f"Trained whole from random weights, not by transfer, for want of ImageNet weights: {', '.join(bare)}."
    ] * bool(bare)

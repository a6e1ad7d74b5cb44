"""CheXNet, Rajpurkar et al. 2017: DenseNet121 for the 14 findings of ChestX-ray14, each with its own sigmoid.

May import: `mlcore.training`; Keras inside functions. The network is `build_member`'s: global pooling and one linear
layer, so that the class-activation maps of the paper come from the same forward pass as the probabilities.
"""

from __future__ import annotations

from typing import Any

from mlcore.training.recipes.common import Options, Study
from mlcore.training.recipes.multilabel import keep_measured, measured_findings, protocol_of
from mlcore.training.recipes.paper import Claim, Paper, Protocol
from mlcore.training.tasks import CHESTXRAY14

HELP = "DenseNet121 for 14 findings (CheXNet 2017: mean AUROC 0.841 on its own split)"
NETWORK = "densenet121"

_PROTOCOL = Protocol(("NIH ChestX-ray14",), CHESTXRAY14.labels, "theirs, random; by patient unverified", None)
_AUROC = {
    "atelectasis": 0.8094, "cardiomegaly": 0.9248, "effusion": 0.8638, "infiltration": 0.7345, "mass": 0.8676,
    "nodule": 0.7802, "pneumonia": 0.7680, "pneumothorax": 0.8887, "consolidation": 0.7901, "edema": 0.8878,
    "emphysema": 0.9371, "fibrosis": 0.8047, "pleural_thickening": 0.8062, "hernia": 0.9164,
}  # fmt: skip
PAPER = Paper(
    citation="Rajpurkar P, Irvin J, Zhu K, et al. CheXNet: Radiologist-Level Pneumonia Detection on Chest X-Rays with "
    "Deep Learning. arXiv:1711.05225, 2017",
    year=2017,
    data="112,120 frontal films of ChestX-ray14 on a random split of its own, not the official lists. The figures are "
    "those that a public reproduction quotes; the paper itself was not at hand.",
    method="DenseNet121 started from ImageNet, 224 × 224 pixels, the sum of 14 unweighted binary cross-entropies, Adam "
    "at 0.001 reduced on plateaus, batches of 16, horizontal flips; class-activation maps to explain.",
    claims=(
        Claim(NETWORK, CHESTXRAY14.key, "macro_auroc", 0.841, _PROTOCOL),
        *(Claim(NETWORK, CHESTXRAY14.key, f"auroc.{label}", value, _PROTOCOL) for label, value in _AUROC.items()),
    ),
)

DIFFERENCES = (
    "The split is ours, by patient as far as patients are known; the paper's is its own, and the official lists are a "
    "third one.",
    "The films are a selection: most show one of three conditions or nothing, so the other findings are rare.",
    "The learning rate rises and falls on a cosine instead of falling on plateaus; the epoch is that with the highest "
    "mean AUROC on the validation split. The films' changes while training are zoom, shear and flip.",
    "Every film gets the same blur and contrast before the network, as at serving.",
    "The comparison with four radiologists on 420 films cannot be repeated: those films are not public.",
)


def run(options: Options) -> dict[str, Any]:
    """DenseNet121, and beside it the network named by `options.backbone`, if any, trained alike."""
    study = Study("chexnet2017", PAPER, options, (CHESTXRAY14,))
    labels = measured_findings(study)
    for name in dict.fromkeys((NETWORK, *([options.backbone] if options.backbone else []))):
        if study.wants(name):
            study.trained(name, CHESTXRAY14, _plan(options, name))
    keep_measured(study, labels)
    bare = [s.name for s in study.systems if s.facts["plan"]["weights"] == "none"]
    return study.report(
        "CheXNet: one DenseNet121 for 14 findings",
        [
            *protocol_of(study, labels),
            *([f"Started from random weights, not from ImageNet: {', '.join(bare)}."] if bare else []),
            *([f"{options.backbone} is no part of the paper; it learned at 0.0003."] if options.backbone else []),
            *DIFFERENCES,
        ],
        pairs=[(NETWORK, options.backbone)] if options.backbone else [],
    )


def _plan(options: Options, name: str) -> Any:
    """The paper's training as far as the engine has it; without decay AdamW is Adam."""
    from mlcore.training.train import Plan

    return Plan(
        backbone=name, size=options.size or 224, weights=options.weights_of(name), augment="paper",
        epochs=options.epochs or 20, per_epoch=0, balance="none", batch=16, rate=1e-3 if name == NETWORK else 3e-4,
        decay=0.0, dropout=0.0, smoothing=0.0, average=0.0, prior_floor=1.0, seed=options.seed,
    )  # fmt: skip

"""A model folder with the 14 findings of ChestX-ray14 on the tiny network, two of them never trained."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from mlcore.backbones import Architecture, build_served
from mlcore.card import CARD_FILE, WEIGHTS_FILE, Calibration, load_card
from mlcore.registry import bundled_folder, file_sha256
from mlcore.training.findings import label_specs
from mlcore.training.tasks import CHESTXRAY14_LABELS
from tests.mlcore.conftest import TINY_SPEC

UNTRAINED = ("mass", "hernia")
TRAINED = tuple(label for label in CHESTXRAY14_LABELS if label not in UNTRAINED)


def fourteen_folder(folder: Path) -> Path:
    """Card and real weights; the thresholds rise from 0.30 in steps of 0.02, the biases from −1 in steps of 0.1."""
    import keras

    keras.utils.set_random_seed(14)
    architecture = Architecture("tiny", TINY_SPEC.size, len(CHESTXRAY14_LABELS), exclusive=False)
    folder.mkdir(parents=True)
    build_served(architecture).save_weights(folder / WEIGHTS_FILE)
    with (folder / WEIGHTS_FILE).open("rb") as weights:
        sha256 = file_sha256(weights)
    card = replace(
        load_card(bundled_folder()),
        name="fourteen",
        version="0.0.14",
        sha256=sha256,
        labels=label_specs(CHESTXRAY14_LABELS, TRAINED),
        architecture=architecture,
        preprocessing=TINY_SPEC,
        calibration=Calibration(2.0, tuple(-1 + 0.1 * k for k in range(len(TRAINED))), exclusive=False),
        operating_points={label: round(0.3 + 0.02 * k, 2) for k, label in enumerate(TRAINED)},
        metrics={},
    )
    (folder / CARD_FILE).write_text(json.dumps(card.to_json()))
    return folder

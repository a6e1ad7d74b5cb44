"""The 14 findings of ChestX-ray14 in small: a model folder with two of them never trained, and a folder of films."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace
from pathlib import Path

from mlcore.backbones import Architecture, build_served
from mlcore.card import CARD_FILE, WEIGHTS_FILE, Calibration, load_card
from mlcore.findings import label_specs
from mlcore.registry import bundled_folder, file_sha256
from mlcore.training.tasks import CHESTXRAY14_LABELS
from tests.films import synthetic_film
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
        artefacts=(),
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


def nih_folder(folder: Path, **splits: int) -> Path:
    """So many films per split in our manifest: every second has an effusion, every fourth also a mass."""
    folder.mkdir()
    columns = ("file", "label", "labels", "split", "group_id", "source_dataset", "source_repo", "sha256")
    names = [split for split, count in splits.items() for _ in range(count)]
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for number, split in enumerate(names):
            path = folder / f"{number:03d}.png"
            synthetic_film(number, (160, 160)).save(path)
            words = ("Effusion|Mass" if number % 4 == 0 else "Effusion") if number % 2 == 0 else "No Finding"
            label = "effusion" if number % 2 == 0 else "normal"
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            writer.writerow((path.name, label, words, split, f"p{number}", "NIH ChestX-ray14", "maker", sha256))
    return folder

"""From trained members to a model folder: served weights, calibration, thresholds, figures, card.

May import: NumPy, `mlcore` (not Django); Keras inside functions. What it writes is what `registry` loads.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mlcore.backbones import Architecture, build_member, build_served, copy_members
from mlcore.card import CARD_FILE, WEIGHTS_FILE, Calibration, LabelSpec, ModelCard
from mlcore.predictors.base import Predictor
from mlcore.predictors.keras import KerasPredictor
from mlcore.preprocess import PreprocessingSpec
from mlcore.registry import file_sha256
from mlcore.training.calibrate import AIM, fit_calibration, fit_thresholds, source_weights
from mlcore.training.dataset import Film, select
from mlcore.training.evaluate import REPLICATES, report, scores

LABELS = (
    LabelSpec("normal", "Normal appearance", 0.0),
    LabelSpec("pneumonia", "Pneumonia", 0.9),
    LabelSpec("effusion", "Pleural effusion", 0.8),
)
LABEL_KEYS = tuple(label.key for label in LABELS)

INTENDED_USE = (
    "Decision support on frontal chest films: an order for reading and a second look for trained staff. "
    "Not a medical device, not a diagnosis, not for use without a reader."
)
LIMITATIONS = (
    "Weak on pneumonia in adults: see the figures within NIH ChestX-ray14, which are the ones that matter for adults.",
    "Effusion was learned from adults only; no child with an effusion was among the films.",
    "In the training films the disease can be guessed from the source: most pneumonia is one children's hospital, "
    "every effusion is NIH. The pooled figures therefore flatter; compare them with the source-only baseline.",
    "The patients behind nearly all effusion films are unknown, so validation and test may share some of them "
    "with training and the effusion figures are slightly optimistic.",
    "NIH labels were mined from report text and are noisy; a film labelled normal may hold an unlabelled finding.",
    "Films with several findings, or with other findings, were not used: the model must choose among three labels "
    "and has no word for anything else.",
    "Probabilities were calibrated so that both sources count the same; where disease is rarer or more common "
    "they are too high or too low.",
    "Small films (256 pixels) were used; lateral, rotated and paediatric films other than ages 1 to 5 were not.",
)
CREDITS = (
    "NIH ChestX-ray14: Wang et al., CVPR 2017; provided by the NIH Clinical Center (NIHCC).",
    "Kermany, Zhang, Goldbaum: Labeled Optical Coherence Tomography and Chest X-Ray Images, "
    "Mendeley Data rscbjbr9sj v2, CC BY 4.0.",
    "Starting weights: MobileNetV2 trained on ImageNet, Apache-2.0.",
)


def write_model_folder(
    folder: Path,
    *,
    members: Sequence[Path],
    architecture: Architecture,
    spec: PreprocessingSpec,
    films: Sequence[Film],
    name: str,
    version: str,
    training: Mapping[str, Any],
    replicates: int = REPLICATES,
) -> ModelCard:
    """Combine trained `members` into `folder` and measure the result; returns the card that was written.

    Calibration and thresholds come from the validation split. The test split is opened here and only here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / WEIGHTS_FILE
    served = build_served(architecture)
    copy_members(served, [_load_member(path, architecture) for path in members])
    served.save_weights(weights)
    with weights.open("rb") as file:
        sha256 = file_sha256(file)
    card = _uncalibrated(name, version, sha256, architecture, spec)
    card = measured(card, KerasPredictor(card, weights), films, training, replicates)
    partial = folder / f"{CARD_FILE}.part"
    partial.write_text(
        json.dumps(card.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
    )
    os.replace(partial, folder / CARD_FILE)
    return card


def measured(
    card: ModelCard, predictor: Predictor, films: Sequence[Film], training: Mapping[str, Any], replicates: int
) -> ModelCard:
    """`card` with calibration and thresholds from validation, and the figures of validation and test."""
    train = select(films, split="train", labels=LABEL_KEYS)
    val, val_scores = scores(select(films, split="val", labels=LABEL_KEYS), predictor)
    truth = np.array([LABEL_KEYS.index(film.label) for film in val])
    sources = [film.source for film in val]
    calibration = fit_calibration(val_scores, truth, source_weights(sources))
    calibrated = calibration.apply(val_scores)
    card = replace(
        card,
        calibration=calibration,
        operating_points=fit_thresholds(calibrated, truth, sources, LABEL_KEYS),
        training={**training, "machine": f"{platform.machine()}, {os.cpu_count()} cores", "engine": predictor.engine},
    )
    test, test_scores = scores(select(films, split="test", labels=LABEL_KEYS), predictor)
    metrics = {
        "val": report(val, calibrated, card, train, replicates),
        "test": report(test, calibration.apply(test_scores), card, train, replicates),
    }
    return replace(card, metrics=metrics)


def _load_member(path: Path, architecture: Architecture) -> Any:
    member = build_member(architecture, dropout=0.1)  # any rate: the layer must exist, as in training
    member.load_weights(path)
    return member


def _uncalibrated(
    name: str, version: str, sha256: str, architecture: Architecture, spec: PreprocessingSpec
) -> ModelCard:
    return ModelCard(
        name=name,
        version=version,
        sha256=sha256,
        task="One of: normal, pneumonia, pleural effusion, on a frontal chest film",
        labels=LABELS,
        architecture=architecture,
        preprocessing=spec,
        calibration=Calibration(1.0, (0.0,) * len(LABELS)),
        operating_points=dict.fromkeys(LABEL_KEYS, 0.5),
        operating_points_aim=AIM,
        intended_use=INTENDED_USE,
        limitations=LIMITATIONS,
        credits=CREDITS,
    )

"""The model card: everything a version claims and needs, as one frozen value read from `card.json`.

May import: the standard library, NumPy and Keras-free modules of `mlcore`. The registry, the pages and the
command line read cards; only training writes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mlcore.backbones import BACKBONES, Architecture
from mlcore.contracts import ImageArray, ModelIdentity, ModelIntegrityError
from mlcore.preprocess import PreprocessingSpec

CARD_FILE = "card.json"
WEIGHTS_FILE = "served.weights.h5"
_SHA256 = re.compile(r"[0-9a-f]{64}")
#: The label that says nothing is wrong; it never counts towards urgency.
NORMAL = "normal"


@dataclass(frozen=True, slots=True)
class LabelSpec:
    """A finding the model can name: stable `key`, `title` for people, `severity` in [0, 1] for the worklist."""

    key: str
    title: str
    severity: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Scores to probabilities: softmax(log p / temperature + bias), one bias per label.

    Bias-corrected temperature scaling (Alexandari et al. 2020); fitted on the validation split.
    """

    temperature: float
    bias: tuple[float, ...]

    def apply(self, probabilities: ImageArray) -> ImageArray:
        """Softmax scores (..., labels) → calibrated probabilities of the same shape."""
        logits = np.log(np.clip(probabilities, 1e-7, 1.0)) / self.temperature + np.asarray(self.bias)
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        return (powers / powers.sum(-1, keepdims=True)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One model version. `operating_points` are thresholds on the calibrated probability, by label key.

    `metrics` is the output of `mlcore.training.evaluate`, unchanged; `training` says how to make the model again.
    """

    name: str
    version: str
    sha256: str
    task: str
    labels: tuple[LabelSpec, ...]
    architecture: Architecture
    preprocessing: PreprocessingSpec
    calibration: Calibration
    operating_points: Mapping[str, float]
    operating_points_aim: str
    intended_use: str
    limitations: tuple[str, ...]
    credits: tuple[str, ...]
    metrics: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label_keys(self) -> tuple[str, ...]:
        return tuple(label.key for label in self.labels)

    @property
    def identity(self) -> ModelIdentity:
        return ModelIdentity(self.name, self.version, self.sha256)

    def to_json(self) -> dict[str, Any]:
        """Plain values, ready for json.dumps; `card_from_json` reads them back to an equal card."""
        return {
            "name": self.name,
            "version": self.version,
            "sha256": self.sha256,
            "task": self.task,
            "labels": [asdict(label) for label in self.labels],
            "architecture": self.architecture.to_json(),
            "preprocessing": self.preprocessing.to_json(),
            "calibration": {"temperature": self.calibration.temperature, "bias": list(self.calibration.bias)},
            "operating_points": dict(self.operating_points),
            "operating_points_aim": self.operating_points_aim,
            "intended_use": self.intended_use,
            "limitations": list(self.limitations),
            "credits": list(self.credits),
            "metrics": dict(self.metrics),
            "training": dict(self.training),
        }


def load_card(folder: Path) -> ModelCard:
    """The card of a model folder. Raises ModelIntegrityError when it is missing, malformed or contradicts itself."""
    path = folder / CARD_FILE
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelIntegrityError(f"{path.name} cannot be read: {type(error).__name__}") from error
    return card_from_json(value)


def card_from_json(value: Mapping[str, Any]) -> ModelCard:
    """Build and check a card. Raises ModelIntegrityError."""
    try:
        card = _build(value)
        problems = _problems(card, value)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelIntegrityError(f"card.json is malformed: {error!r}") from error
    if problems:
        raise ModelIntegrityError("card.json contradicts itself: " + "; ".join(problems))
    return card


def _build(value: Mapping[str, Any]) -> ModelCard:
    recipe = dict(value["preprocessing"])
    recipe.pop("id")
    return ModelCard(
        name=str(value["name"]),
        version=str(value["version"]),
        sha256=str(value["sha256"]),
        task=str(value["task"]),
        labels=tuple(LabelSpec(str(v["key"]), str(v["title"]), float(v["severity"])) for v in value["labels"]),
        architecture=Architecture.from_json(value["architecture"]),
        preprocessing=PreprocessingSpec(**{**recipe, "size": tuple(recipe["size"])}),
        calibration=Calibration(
            float(value["calibration"]["temperature"]), tuple(float(v) for v in value["calibration"]["bias"])
        ),
        operating_points={str(k): float(v) for k, v in value["operating_points"].items()},
        operating_points_aim=str(value["operating_points_aim"]),
        intended_use=str(value["intended_use"]),
        limitations=_texts(value["limitations"]),
        credits=_texts(value["credits"]),
        metrics=dict(value["metrics"]),
        training=dict(value["training"]),
    )


def _texts(values: Sequence[str]) -> tuple[str, ...]:
    if isinstance(values, str):
        raise TypeError("expected a list of sentences")
    return tuple(str(value) for value in values)


def _problems(card: ModelCard, value: Mapping[str, Any]) -> list[str]:
    keys = card.label_keys
    checks = {
        "name, version and task need text": bool(card.name and card.version and card.task),
        "sha256 is not one": bool(_SHA256.fullmatch(card.sha256)),
        "label keys are missing or repeat": len(keys) == len(set(keys)) > 0,
        "severities lie in [0, 1]": all(0 <= label.severity <= 1 for label in card.labels),
        "the backbone is unknown": card.architecture.backbone in BACKBONES,
        "architecture and labels differ": card.architecture.labels == len(keys),
        "architecture and preprocessing differ in size": card.architecture.size == card.preprocessing.size,
        "the preprocessing id does not name its recipe": value["preprocessing"]["id"] == card.preprocessing.id,
        "the temperature is not positive": card.calibration.temperature > 0,
        "one calibration bias per label": len(card.calibration.bias) == len(keys),
        "one operating point in [0, 1] per label": set(card.operating_points) == set(keys)
        and all(0 <= point <= 1 for point in card.operating_points.values()),
    }
    return [problem for problem, holds in checks.items() if not holds]

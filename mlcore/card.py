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

from mlcore.artefacts import MIXED, Artefact
from mlcore.artefacts import WEIGHTS_FILE as WEIGHTS_FILE
from mlcore.backbones import BACKBONES, Architecture
from mlcore.contracts import ImageArray, ModelIdentity, ModelIntegrityError
from mlcore.preprocess import PreprocessingSpec

CARD_FILE = "card.json"
_SHA256 = re.compile(r"[0-9a-f]{64}")
#: The label that says nothing is wrong; it never counts towards urgency.
NORMAL = "normal"


@dataclass(frozen=True, slots=True)
class LabelSpec:
    """One output of the network: stable `key`, `title` for people, `severity` in [0, 1] for the worklist.

    An output that is not `trained` (too few films to learn it or to set its threshold) leaves no engine: it has no
    probability, no map and no finding anywhere.
    """

    key: str
    title: str
    severity: float
    trained: bool = True


@dataclass(frozen=True, slots=True)
class Calibration:
    """Scores to probabilities: softmax(log p / temperature + bias), one bias per trained label.

    Bias-corrected temperature scaling (Alexandari et al. 2020); fitted on the validation split. Labels that are not
    `exclusive` are calibrated each for itself: sigmoid(logit p / temperature + bias) (Platt 1999).
    """

    temperature: float
    bias: tuple[float, ...]
    exclusive: bool = True

    def apply(self, probabilities: ImageArray) -> ImageArray:
        """Scores (..., trained labels) → calibrated probabilities of the same shape."""
        likely = np.log(np.clip(probabilities, 1e-7, 1.0))
        if not self.exclusive:
            odds = likely - np.log(np.clip(1.0 - np.asarray(probabilities), 1e-7, 1.0))
            return (1 / (1 + np.exp(-(odds / self.temperature + np.asarray(self.bias))))).astype(np.float32)
        logits = likely / self.temperature + np.asarray(self.bias)
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        return (powers / powers.sum(-1, keepdims=True)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One model version. `operating_points` are thresholds on the calibrated probability, by key of trained label.

    `labels` are the outputs of the network in order; everything else speaks of the trained ones only (`label_keys`).
    `metrics` is the output of `mlcore.training.evaluate`, unchanged; `training` says how to make the model again;
    `artefacts` are the forms in which the network may be computed besides float32 in Keras.
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
    artefacts: tuple[Artefact, ...] = ()

    @property
    def label_keys(self) -> tuple[str, ...]:
        """The labels that an engine answers for, in the order of its answers: the trained ones."""
        return tuple(label.key for label in self.labels if label.trained)

    @property
    def mixed_passes(self) -> bool:
        """May a GPU compute this network in mixed precision? Only where that was measured and lost next to nothing."""
        return any(each.precision == MIXED and each.passes for each in self.artefacts)

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
            "artefacts": [artefact.to_json() for artefact in self.artefacts],
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
        raise ModelIntegrityError("card.json cannot be used: " + "; ".join(problems))
    return card


def _build(value: Mapping[str, Any]) -> ModelCard:
    recipe = dict(value["preprocessing"])
    recipe.pop("id")
    architecture = Architecture.from_json(value["architecture"])
    return ModelCard(
        name=str(value["name"]),
        version=str(value["version"]),
        sha256=str(value["sha256"]),
        task=str(value["task"]),
        labels=tuple(
            LabelSpec(str(v["key"]), str(v["title"]), float(v["severity"]), bool(v.get("trained", True)))
            for v in value["labels"]
        ),
        architecture=architecture,
        preprocessing=PreprocessingSpec(**{**recipe, "size": tuple(recipe["size"])}),
        calibration=Calibration(
            float(value["calibration"]["temperature"]),
            tuple(float(v) for v in value["calibration"]["bias"]),
            architecture.exclusive,
        ),
        operating_points={str(k): float(v) for k, v in value["operating_points"].items()},
        operating_points_aim=str(value["operating_points_aim"]),
        intended_use=str(value["intended_use"]),
        limitations=_texts(value["limitations"]),
        credits=_texts(value["credits"]),
        metrics=dict(value["metrics"]),
        training=dict(value["training"]),
        artefacts=tuple(Artefact.from_json(each) for each in value.get("artefacts", ())),
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
        "label keys are missing or repeat": len(card.labels) == len({label.key for label in card.labels}) > 0,
        "a precision stands there twice": len(card.artefacts) == len({each.precision for each in card.artefacts}),
        "mixed precision was measured on other weights": all(
            each.sha256 == (card.sha256,) for each in card.artefacts if each.precision == MIXED
        ),
        "no label is trained": len(keys) > 0,
        "exclusive labels are trained together or not at all": not card.architecture.exclusive
        or len(keys) == len(card.labels),
        "calibration and architecture differ": card.calibration.exclusive == card.architecture.exclusive,
        "severities lie in [0, 1]": all(0 <= label.severity <= 1 for label in card.labels),
        "the backbone is unknown": card.architecture.backbone in BACKBONES,
        "architecture and labels differ": card.architecture.labels == len(card.labels),
        "architecture and preprocessing differ in size": card.architecture.size == card.preprocessing.size,
        "the preprocessing id does not name its recipe": value["preprocessing"]["id"] == card.preprocessing.id,
        "the temperature is not positive": card.calibration.temperature > 0,
        "one calibration bias per trained label": len(card.calibration.bias) == len(keys),
        "no operating points: fit them on labelled films": bool(card.operating_points),
        "one operating point in [0, 1] per trained label": set(card.operating_points) == set(keys)
        and all(0 <= point <= 1 for point in card.operating_points.values()),
    }
    return [problem for problem, holds in checks.items() if not holds]

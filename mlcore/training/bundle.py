"""From trained members to a model folder: served weights, calibration, thresholds, figures, card.

May import: NumPy, `mlcore` (not Django); Keras and h5py inside functions. What it writes is what `registry` loads.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mlcore.backbones import Architecture, build_member, build_served, copy_members
from mlcore.card import CARD_FILE, WEIGHTS_FILE, Calibration, LabelSpec, ModelCard
from mlcore.findings import label_specs
from mlcore.predictors.base import Predictor
from mlcore.predictors.keras import KerasPredictor
from mlcore.preprocess import PreprocessingSpec
from mlcore.registry import file_sha256
from mlcore.training.calibrate import AIM, FEWEST, assessed, choose_calibration, fit_thresholds
from mlcore.training.evaluate import evaluation
from mlcore.training.evaluation_report import pictures, statement
from mlcore.training.films import Film, TrainingError
from mlcore.training.measure import Outputs, outputs, sweep
from mlcore.training.report import Picture, replace_text
from mlcore.training.statistics import REPLICATES
from mlcore.training.tasks import THREE, Task
from mlcore.training.texts import DEFAULT_MODEL, Texts

LABEL_KEYS = THREE.labels
FIGURES_FOLDER = "figures"
WeightsType = Literal["float16", "float32"]


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
    task: Task = THREE,
    texts: Texts = DEFAULT_MODEL,
    replicates: int = REPLICATES,
    weights_dtype: WeightsType = "float16",
) -> ModelCard:
    """Combine trained `members` into `folder` and measure the result; returns the card that was written.

    Calibration and thresholds come from the validation split. The test split is opened here and only here. Weights
    are stored as `weights_dtype` and always computed with as float32; the figures are those of the stored ones.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / WEIGHTS_FILE
    served = build_served(architecture)
    copy_members(served, [_load_member(path, architecture) for path in members])
    served.save_weights(weights)
    if weights_dtype == "float16":
        halve(weights)
    with weights.open("rb") as file:
        sha256 = file_sha256(file)
    if not task.exclusive:
        texts = replace(texts, labels=_shown(task, films))
    card = _uncalibrated(name, version, sha256, architecture, spec, texts)
    card = measured(card, KerasPredictor(card, weights), films, task, training, replicates)
    replace_text(folder / CARD_FILE, json.dumps(card.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    write_pictures(folder / FIGURES_FOLDER, pictures(card.metrics["test"], "test"))
    return card


def measured(
    card: ModelCard,
    predictor: Predictor,
    films: Sequence[Film],
    task: Task,
    training: Mapping[str, Any],
    replicates: int,
) -> ModelCard:
    """`card` with calibration and thresholds from validation, and the figures of validation and test."""
    task = replace(task, labels=card.label_keys)
    held = task.films(films)
    val = outputs([film for film in held if film.split == "val"], predictor)
    targets, sources = task.targets(val.films), [film.source for film in val.films]
    calibration, tried = choose_calibration(
        val.probabilities, targets > 0, sources, [film.group for film in val.films], task.exclusive
    )
    card = replace(
        card,
        calibration=calibration,
        operating_points=fit_thresholds(calibration.apply(val.probabilities), targets, sources, task.labels),
        training={**training, "machine": f"{platform.machine()}, {os.cpu_count()} cores", "engine": predictor.engine},
    )
    test = outputs([film for film in held if film.split == "test"], predictor)
    train = [film for film in held if film.split == "train"]
    figures = {
        split: evaluated(card, found, task, train, replicates=replicates)
        for split, found in (("val", val), ("test", test))
    }
    figures["val"]["calibration"] = tried
    figures["test"]["robustness"] = sweep(test.films, predictor, card, task)
    return replace(card, metrics=figures)


def evaluated(
    card: ModelCard,
    found: Outputs,
    task: Task,
    train: Sequence[Film],
    *,
    replicates: int,
    prevalence: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """The evaluation of one split as the card holds it: the figures of `found` under the card's calibration and
    thresholds, and what the pooled accuracy can mean."""
    result = evaluation(
        found.films,
        card.calibration.apply(found.probabilities),
        task,
        thresholds=card.operating_points,
        train_films=train,
        prevalence=prevalence,
        replicates=replicates,
        uncalibrated=found.probabilities,
        features=found.maps,
    )
    return {**result, "statement": statement(result)}


def write_pictures(folder: Path, drawn: Mapping[str, Picture]) -> None:
    """One SVG file per picture."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in drawn.items():
        replace_text(folder / f"{name}.svg", picture.svg)


def _shown(task: Task, films: Sequence[Film]) -> tuple[LabelSpec, ...]:
    """The labels of a task whose findings come each for itself; those that validation cannot carry are not trained."""
    val = [film for film in task.films(films) if film.split == "val"]
    trained = assessed(task.targets(val), task.labels)
    if not trained:
        raise TrainingError(f"No finding has the {FEWEST} validation films that its threshold needs. Give more films.")
    return label_specs(task.labels, trained)


def halve(weights: Path) -> None:
    """Store the float32 kernels of an HDF5 file as float16: half the size; Keras casts back when it loads.

    Biases and statistics stay as they are: they are small, and rounding them moves every pixel alike. Raises ValueError
    when a number would become infinite.
    """
    import h5py

    partial = weights.with_name(f"{weights.name}.{os.getpid()}.part")
    with h5py.File(weights) as source, h5py.File(partial, "w") as target:
        target.attrs.update(source.attrs)

        def copy(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                values = item[()]
                small = values.astype(np.float16) if values.dtype == np.float32 and values.ndim > 1 else values
                if not np.isfinite(small).all():
                    raise ValueError(f"{name} does not fit into float16")
                target.create_dataset(name, data=small).attrs.update(item.attrs)
            else:
                target.require_group(name).attrs.update(item.attrs)

        source.visititems(copy)
    os.replace(partial, weights)


def _load_member(path: Path, architecture: Architecture) -> Any:
    member = build_member(architecture, dropout=0.1)  # any rate: the layer must exist, as in training
    member.load_weights(path)
    return member


def _uncalibrated(
    name: str, version: str, sha256: str, architecture: Architecture, spec: PreprocessingSpec, texts: Texts
) -> ModelCard:
    trained = [label.key for label in texts.labels if label.trained]
    return ModelCard(
        name=name,
        version=version,
        sha256=sha256,
        task=texts.task,
        labels=texts.labels,
        architecture=architecture,
        preprocessing=spec,
        calibration=Calibration(1.0, (0.0,) * len(trained), architecture.exclusive),
        operating_points=dict.fromkeys(trained, 0.5),
        operating_points_aim=AIM,
        intended_use=texts.intended_use,
        limitations=texts.limitations,
        credits=texts.credits,
    )

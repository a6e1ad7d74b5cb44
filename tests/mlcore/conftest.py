"""A folder of synthetic films with a manifest, and a real but tiny Keras model trained on it."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path
from typing import Any

import pytest

from mlcore.backbones import BACKBONES, Architecture, Backbone
from mlcore.card import ModelCard
from mlcore.preprocess import PreprocessingSpec
from mlcore.training.bundle import LABEL_KEYS, write_model_folder
from mlcore.training.dataset import Film, read_films
from mlcore.training.tasks import THREE
from mlcore.training.train import Plan, load_samples, train
from tests.films import synthetic_film

TINY = Architecture("tiny", (64, 64), len(LABEL_KEYS))
TINY_SPEC = PreprocessingSpec(size=(64, 64))
TINY_PLAN = Plan(backbone="tiny", size=64, weights="none", augment="none", epochs=1, per_epoch=16, batch=8, average=0)
COLUMNS = ("file", "label", "split", "group_id", "source_dataset", "source_repo", "sha256")
HELD = {"children": ("normal", "pneumonia"), "adults": LABEL_KEYS}


def tiny_backbone(input_shape: tuple[int, ...], include_top: bool, weights: str | None) -> Any:
    """A convolutional network of a second's training, with batch normalisation as the real ones have."""
    import keras

    film = keras.Input(input_shape)
    features = film
    for filters in (8, 16):
        features = keras.layers.Conv2D(filters, 3, strides=4, padding="same")(features)
        features = keras.layers.BatchNormalization()(features)
        features = keras.layers.ReLU()(features)
    backbone = keras.Model(film, features)
    if weights is not None:
        backbone.load_weights(weights)
    return backbone


BACKBONES["tiny"] = Backbone(f"{__name__}.tiny_backbone", 64, "tf")


@pytest.fixture(scope="session")
def film_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sources, four films of each of their labels in every split."""
    folder = tmp_path_factory.mktemp("films")
    rows = []
    for split in ("train", "val", "test"):
        for source, labels in HELD.items():
            for label in labels * 4:
                number = len(rows)
                path = folder / f"{number:03d}.jpg"
                synthetic_film(number, (160, 160)).save(path, quality=90)
                sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
                rows.append((path.name, label, split, f"patient-{number}", source, f"{source}-maker", sha256))
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return folder


@pytest.fixture(scope="session")
def films(film_folder: Path) -> list[Film]:
    return read_films(film_folder)


@pytest.fixture(scope="session")
def tiny_run(films: list[Film], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one training run of one epoch."""
    out = tmp_path_factory.mktemp("run")
    samples = load_samples(films, TINY_SPEC, out / "cache")
    train(samples, THREE, TINY_PLAN, out)
    return out


@pytest.fixture(scope="session")
def tiny_folder(tiny_run: Path, films: list[Film], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder as `train` writes it."""
    folder = tmp_path_factory.mktemp("model")
    write_model_folder(
        folder,
        members=[tiny_run / "best.weights.h5"],
        architecture=TINY,
        spec=TINY_SPEC,
        films=films,
        name="tiny",
        version="0.0.1",
        training={},
        replicates=50,
    )
    return folder


@pytest.fixture(scope="session")
def tiny_card(tiny_folder: Path) -> ModelCard:
    from mlcore.card import load_card

    return load_card(tiny_folder)

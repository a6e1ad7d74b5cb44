"""A real small Keras model: trained, saved, loaded by its hash, refused when a byte flips."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from mlcore.card import WEIGHTS_FILE, ModelCard
from mlcore.contracts import ModelIntegrityError
from mlcore.registry import load_predictor, verify_weights


@pytest.fixture(scope="module")
def batch() -> np.ndarray:
    return np.random.default_rng(0).random((9, 64, 64, 1), dtype=np.float32)


def test_loaded_model_names_its_engine_and_is_loaded_once(tiny_folder: Path, tiny_card: ModelCard) -> None:
    predictor = load_predictor(tiny_folder, expected_sha256=tiny_card.sha256)
    assert predictor.engine.startswith("keras-tensorflow-2.")
    assert load_predictor(tiny_folder, expected_sha256=tiny_card.sha256) is predictor


def test_film_has_the_same_numbers_in_every_batch(tiny_folder: Path, tiny_card: ModelCard, batch: np.ndarray) -> None:
    predictor = load_predictor(tiny_folder, expected_sha256=tiny_card.sha256)
    together = predictor.predict(batch)
    for place in (0, 8):
        alone = predictor.predict(batch[place : place + 1])
        np.testing.assert_allclose(alone.probabilities[0], together.probabilities[place], atol=1e-5)
        np.testing.assert_allclose(alone.maps[0], together.maps[place], atol=1e-4)


def test_mean_of_the_map_is_the_logit_up_to_one_bias_per_label(
    tiny_folder: Path, tiny_card: ModelCard, batch: np.ndarray
) -> None:
    output = load_predictor(tiny_folder, expected_sha256=tiny_card.sha256).predict(batch)
    rest = np.log(output.probabilities) - output.maps.mean((1, 2))
    rest -= rest.mean(1, keepdims=True)
    np.testing.assert_allclose(rest, np.tile(rest[:1], (len(rest), 1)), atol=1e-4)
    assert np.ptp(output.maps.mean((1, 2)), axis=0).max() > 1e-4


def test_one_flipped_byte_is_refused(tiny_folder: Path, tiny_card: ModelCard, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    weights = bytearray((folder / WEIGHTS_FILE).read_bytes())
    weights[len(weights) // 2] ^= 1
    (folder / WEIGHTS_FILE).write_bytes(weights)
    with pytest.raises(ModelIntegrityError, match="sha256"):
        load_predictor(folder, expected_sha256=tiny_card.sha256)


def test_model_other_than_the_registered_one_is_refused(tiny_folder: Path) -> None:
    with pytest.raises(ModelIntegrityError, match="registered"):
        load_predictor(tiny_folder, expected_sha256="0" * 64)


def test_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelIntegrityError):
        verify_weights(tmp_path, "0" * 64)


def test_weights_of_another_architecture_are_refused(tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    value = json.loads((folder / "card.json").read_text())
    value["architecture"]["members"] = 2
    (folder / "card.json").write_text(json.dumps(value))
    with pytest.raises(ModelIntegrityError, match="architecture"):
        load_predictor(folder, expected_sha256=value["sha256"])

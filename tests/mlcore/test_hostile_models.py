"""A model file is never a program: whatever lies under the name of the weights, with the right hash, runs nothing."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlcore.card import CARD_FILE, WEIGHTS_FILE
from mlcore.contracts import ModelIntegrityError
from mlcore.registry import bundled_folder, file_sha256, load_predictor


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """What the hostile code would leave behind."""
    return tmp_path / "it-ran"


@pytest.fixture
def load(tmp_path: Path) -> Callable[[Path], None]:
    """Load a file as the weights of a model whose card names its hash: the hash is no help here."""

    def go(file: Path) -> None:
        folder = tmp_path / "model"
        folder.mkdir()
        shutil.copy(file, folder / WEIGHTS_FILE)
        with (folder / WEIGHTS_FILE).open("rb") as weights:
            sha256 = file_sha256(weights)
        card = json.loads((bundled_folder() / CARD_FILE).read_text()) | {"sha256": sha256}
        (folder / CARD_FILE).write_text(json.dumps(card))
        load_predictor(folder, expected_sha256=sha256, engine="keras")

    return go


def lambda_model(marker: Path) -> Any:
    """A network with a layer that is code, and does what it likes when it is built or called."""
    import keras

    def hostile(x: Any) -> Any:
        __import__("os").system(f"touch {marker}")
        return x

    return keras.Sequential([keras.Input((4,)), keras.layers.Lambda(hostile, output_shape=(4,))])


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_whole_model_with_code_in_it_is_refused_unrun(load, marker, tmp_path, ending):
    file = tmp_path / f"hostile{ending}"
    lambda_model(marker).save(file)
    marker.unlink(missing_ok=True)  # building it has run it once
    with pytest.raises(ModelIntegrityError, match="do not fit the card"):
        load(file)
    assert not marker.exists()


def test_weights_of_another_network_with_code_in_it_are_refused_unrun(load, marker, tmp_path):
    file = tmp_path / "hostile.weights.h5"
    lambda_model(marker).save_weights(file)
    marker.unlink(missing_ok=True)
    with pytest.raises(ModelIntegrityError):
        load(file)
    assert not marker.exists()


class Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


def test_a_pickle_is_refused_unrun(load, marker, tmp_path):
    file = tmp_path / "hostile.pkl"
    file.write_bytes(pickle.dumps(Bomb(marker)))
    with pytest.raises(ModelIntegrityError):
        load(file)
    assert not marker.exists()


def test_weights_that_lie_in_another_file_are_refused(load, tmp_path):
    """HDF5 can point elsewhere: the bytes that were hashed would not be the bytes that answer."""
    import h5py

    good, file = tmp_path / "good.h5", tmp_path / "pointing.h5"
    shutil.copy(bundled_folder() / WEIGHTS_FILE, good)
    with h5py.File(good) as inside, h5py.File(file, "w") as pointing:
        for name in inside:
            pointing[name] = h5py.ExternalLink(str(good), f"/{name}")
    with pytest.raises(ModelIntegrityError):
        load(file)

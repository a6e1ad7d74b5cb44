"""From a model folder to a loaded predictor: the hash is checked first, then weights go into our architecture.

May import: the standard library and Keras-free modules of `mlcore`; the engine is imported when asked for.
The infer worker and the command line load models here, once per process.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from functools import lru_cache
from io import BufferedReader
from pathlib import Path
from typing import Literal

from mlcore.card import WEIGHTS_FILE, load_card
from mlcore.contracts import ModelIntegrityError
from mlcore.predictors.base import Predictor

Engine = Literal["auto", "keras", "fake"]


def bundled_folder() -> Path:
    """The folder of the model that ships with the application."""
    return Path(__file__).resolve().parent / "bundled" / "default"


def file_sha256(file: BufferedReader) -> str:
    """Hash of an open file, read from its start; it is left at its start again."""
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    file.seek(0)
    return digest


def verify_weights(folder: Path, sha256: str) -> None:
    """Raise ModelIntegrityError unless the folder's weights have this hash."""
    with _open_weights(folder) as file:
        _require(file, sha256)


def load_predictor(folder: Path, *, expected_sha256: str, engine: Engine = "auto") -> Predictor:
    """The predictor of a model folder, loaded once per process.

    Raises ModelIntegrityError when the folder is incomplete, or when card, weights and `expected_sha256`
    do not agree.
    """
    return _load(Path(folder).resolve(), expected_sha256, "keras" if engine == "auto" else engine)


@lru_cache(maxsize=4)
def _load(folder: Path, expected_sha256: str, engine: str) -> Predictor:
    card = load_card(folder)
    if card.sha256 != expected_sha256:
        raise ModelIntegrityError("the card names other weights than those registered")
    with _open_weights(folder) as file, tempfile.TemporaryDirectory(prefix="weights-") as private:
        _require(file, expected_sha256)
        if engine == "fake":
            from mlcore.predictors.fake import FakePredictor

            return FakePredictor(card)
        if engine != "keras":
            raise ValueError(f"unknown engine {engine!r}")
        # Load a private copy of the bytes that were hashed: the folder may change in between.
        copy = Path(private) / WEIGHTS_FILE
        with copy.open("wb") as target:
            shutil.copyfileobj(file, target)
        with copy.open("rb") as copied:
            _require(copied, expected_sha256)
        from mlcore.predictors.keras import KerasPredictor

        return KerasPredictor(card, copy)


def _open_weights(folder: Path) -> BufferedReader:
    try:
        return (folder / WEIGHTS_FILE).open("rb")
    except OSError as error:
        raise ModelIntegrityError(f"{WEIGHTS_FILE} cannot be read") from error


def _require(file: BufferedReader, sha256: str) -> None:
    if file_sha256(file) != sha256:
        raise ModelIntegrityError("the weights do not have the registered sha256")

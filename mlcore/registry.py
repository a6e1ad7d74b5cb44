"""From a model folder to a loaded predictor: the hash is checked first, then weights go into our architecture.

May import: the standard library and Keras-free modules of `mlcore`; the engine is imported when asked for.
The infer worker and the command line load models here, once per process.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from functools import lru_cache
from importlib.util import find_spec
from io import BufferedReader
from pathlib import Path
from typing import Literal, get_args

from mlcore.artefacts import MIXED, PRECISIONS, WEIGHTS_FILE, artefact_choose, artefact_read
from mlcore.card import ModelCard, load_card
from mlcore.contracts import ModelIntegrityError
from mlcore.predictors.base import Predictor

#: `auto`: Keras on a GPU, in mixed precision where the card lets it pass; else OpenVINO in the fastest precision that
#: this processor has and the card lets pass; else Keras. `keras` is float32 always. A processor's precision by its name
#: is used whether it passes or not: for measuring.
Engine = Literal["auto", "keras", "openvino", "int8", "bf16", "fp32", "fake"]


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


def verify_files(folder: Path, card: ModelCard) -> None:
    """Raise ModelIntegrityError unless weights and every artefact that may answer are those of the card."""
    verify_weights(folder, card.sha256)
    for artefact in card.artefacts:
        if artefact.passes and artefact.precision != MIXED:  # whose one file is the weights
            artefact_read(folder, artefact)


def load_predictor(folder: Path, *, expected_sha256: str, engine: Engine = "auto") -> Predictor:
    """The predictor of a model folder, loaded once per process.

    Raises ModelIntegrityError when the folder is incomplete, when card, files and `expected_sha256` do not agree, or
    when this computer has no engine for the model.
    """
    return _load(Path(folder).resolve(), expected_sha256, engine)


@lru_cache(maxsize=4)
def _load(folder: Path, expected_sha256: str, engine: str) -> Predictor:
    card = load_card(folder)
    if card.sha256 != expected_sha256:
        raise ModelIntegrityError("the card names other weights than those registered")
    if engine == "fake":
        from mlcore.predictors.fake import FakePredictor

        verify_weights(folder, expected_sha256)
        return FakePredictor(card)
    if engine not in get_args(Engine):
        raise ValueError(f"unknown engine {engine!r}")
    artefact = None
    if engine in PRECISIONS:
        artefact = next((each for each in card.artefacts if each.precision == engine), None)
    elif engine == "openvino" or (engine == "auto" and not gpu_there()):
        artefact = artefact_choose(card.artefacts)
    if artefact is not None:
        from mlcore.predictors.openvino import OpenVinoPredictor

        verify_weights(folder, expected_sha256)
        return OpenVinoPredictor(card, artefact, *artefact_read(folder, artefact))
    if engine not in ("auto", "keras"):
        raise ModelIntegrityError(f"the model has no form for {engine}; `python -m mlcore export` makes one")
    if find_spec("tensorflow") is None:
        raise ModelIntegrityError(
            "the model has no form for a computer without TensorFlow; `python -m mlcore export` makes one"
        )
    return load_keras(folder, card, mixed=engine == "auto" and card.mixed_passes)


def gpu_there() -> bool:
    """Can this process see a GPU? Answered without loading anything that would use it."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1")
    return not hidden and any(Path("/dev").glob("nvidia[0-9]*"))


def load_keras(folder: Path, card: ModelCard, *, mixed: bool) -> Predictor:
    """The network itself: plain on a processor; on a GPU compiled, in float32 or, if `mixed` and the GPU can, in mixed
    precision. `mixed` is for who has seen that the card lets it pass, and for measuring whether it may.

    Raises ModelIntegrityError where the weights are not those of the card or do not fit.
    """
    with _open_weights(folder) as file, tempfile.TemporaryDirectory(prefix="weights-") as private:
        # Load a private copy of the bytes that are hashed: the folder may change in between.
        copy = Path(private) / WEIGHTS_FILE
        with copy.open("wb") as target:
            shutil.copyfileobj(file, target)
        with copy.open("rb") as copied:
            _require(copied, card.sha256)
        from mlcore.predictors.keras import KerasPredictor, policies

        return KerasPredictor(card, copy, [each for each in policies() if mixed or each != MIXED])


def _open_weights(folder: Path) -> BufferedReader:
    try:
        return (folder / WEIGHTS_FILE).open("rb")
    except OSError as error:
        raise ModelIntegrityError(f"{WEIGHTS_FILE} cannot be read") from error


def _require(file: BufferedReader, sha256: str) -> None:
    if file_sha256(file) != sha256:
        raise ModelIntegrityError("the weights do not have the registered sha256")

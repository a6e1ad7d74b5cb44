"""The predictor of the fault tests: it reads each film's id back out of the pixels and answers by it.

Named by dotted path in test settings only; no switch of the program leads here. May import: `mlcore`, `tests.films`.
"""

from __future__ import annotations

import json
import shutil
from functools import lru_cache
from pathlib import Path

from mlcore.card import WEIGHTS_FILE, load_card
from mlcore.predictors.fake import FakePredictor
from mlcore.registry import bundled_folder, file_sha256, verify_weights
from tests.films import read_film_id


def model_folder_make(folder: Path, content: bytes = b"weights of a test model", version: str = "1.0.0") -> Path:
    """A model folder as the registry wants it; the weights are only bytes with a hash."""
    folder.mkdir(parents=True)
    shutil.copy(bundled_folder() / "card.json", folder)
    (folder / WEIGHTS_FILE).write_bytes(content)
    card = json.loads((folder / "card.json").read_text())
    with (folder / WEIGHTS_FILE).open("rb") as weights:
        card |= {"name": "test-reader", "version": version, "sha256": file_sha256(weights), "artefacts": []}
    (folder / "card.json").write_text(json.dumps(card))
    return folder


@lru_cache
def load_reader(folder: Path, *, expected_sha256: str, engine: str) -> FakePredictor:
    """As `mlcore.registry.load_predictor`, hash check included."""
    verify_weights(folder, expected_sha256)
    return FakePredictor(load_card(folder), read_film_id)

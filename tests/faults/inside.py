"""What goes wrong inside the workers of a run: slow stages, films that kill, and a model whose answer names the film.

May import: `mlcore`, `tests.diagnosis`. Named in `tests.faults.settings` only.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from mlcore.card import WEIGHTS_FILE
from mlcore.predictors.fake import FakePredictor
from tests.diagnosis.predictors import load_reader
from tests.diagnosis.worker_faults import Faulty
from tests.faults.plan import answer_name
from tests.films import read_film_id


@lru_cache
def load(folder: Path, *, expected_sha256: str, engine: str) -> FakePredictor:
    """Hash check included. The answer follows from the bytes that were loaded, so a changed model gives itself away."""
    card = load_reader(folder, expected_sha256=expected_sha256, engine=engine).card
    loaded = hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest()

    def read(pixels: Any) -> str | None:
        film_id = read_film_id(pixels)
        return film_id and answer_name(film_id, loaded)

    return Faulty(card, read)

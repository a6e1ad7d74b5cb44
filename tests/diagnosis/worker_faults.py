"""What goes wrong inside the workers that tests start: every stage is slow, and a poison film kills its process.

Loaded by the worker's `--include` and named as predictor in the test's settings only.
"""

from __future__ import annotations

import os
import signal
import time
import uuid
from pathlib import Path
from typing import Any

from diagnosis.services import prepare
from mlcore.predictors.fake import FakePredictor
from tests.diagnosis.predictors import load_reader
from tests.films import KILLS_INFER, KILLS_PREPARE, read_film_id

_decode = prepare.decode


def decode(data: bytes) -> Any:
    image = _decode(data)
    time.sleep(0.1)
    _die_of(KILLS_PREPARE, image.pixels)
    return image


prepare.decode = decode


class Faulty(FakePredictor):
    def predict(self, batch: Any) -> Any:
        time.sleep(0.2)
        for film in batch:
            _die_of(KILLS_INFER, film)
        return super().predict(batch)


def load(folder: Path, *, expected_sha256: str, engine: str) -> FakePredictor:
    return Faulty(load_reader(folder, expected_sha256=expected_sha256, engine=engine).card, read_film_id)


def _die_of(poison: uuid.UUID, pixels: Any) -> None:
    if read_film_id(pixels) == poison:
        os.kill(os.getpid(), signal.SIGKILL)

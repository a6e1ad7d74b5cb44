"""What goes wrong inside the workers that tests start: every stage is slow, and some films are poison.

Loaded by the worker's `--include` and named as predictor in the test's settings only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from diagnosis.services import prepare
from mlcore.predictors.fake import FakePredictor
from tests import films as poison
from tests.diagnosis.predictors import load_reader
from tests.films import read_film_id


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _hang() -> None:
    """A decoder that not even the soft time limit gets out of."""
    while True:
        with contextlib.suppress(BaseException):
            while True:
                pass


DECODING: dict[uuid.UUID, Callable[[], object]] = {
    poison.KILLS_PREPARE: _die,
    poison.HANGS_PREPARE: _hang,
    poison.EATS_MEMORY: lambda: np.ones(3 * 1024**3, np.uint8),
}
PREDICTING: dict[uuid.UUID, Callable[[], object]] = {
    poison.KILLS_INFER: _die,
    poison.SLEEPS_IN_INFER: lambda: time.sleep(3600),
    poison.HOLDS_INTERPRETER: lambda: ctypes.PyDLL(None).sleep(3600),  # a call of C that does not let go of the GIL
    poison.SLOW_INFER: lambda: time.sleep(3),
}

_decode = prepare.decode


def decode(data: bytes) -> Any:
    image = _decode(data)
    time.sleep(0.1)
    _meet(DECODING, image.pixels)
    return image


prepare.decode = decode


class Faulty(FakePredictor):
    def predict(self, batch: Any) -> Any:
        time.sleep(0.2)
        for film in batch:
            _meet(PREDICTING, film)
        return super().predict(batch)


def load(folder: Path, *, expected_sha256: str, engine: str) -> FakePredictor:
    return Faulty(load_reader(folder, expected_sha256=expected_sha256, engine=engine).card, read_film_id)


def _meet(faults: dict[uuid.UUID, Callable[[], object]], pixels: Any) -> None:
    film_id = read_film_id(pixels)
    if film_id in faults:
        faults[film_id]()

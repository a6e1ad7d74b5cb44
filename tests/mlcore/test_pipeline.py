"""The pipeline gives what its stages give, and a refused film never reaches the model."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys

import numpy as np
import pytest

from mlcore.card import load_card
from mlcore.contracts import ImageArray, ModelOutput
from mlcore.interpret import interpret
from mlcore.pipeline import Pipeline, prepare
from mlcore.predictors.fake import FakePredictor
from mlcore.registry import bundled_folder
from tests.films import synthetic_film

CARD = load_card(bundled_folder())


def film_bytes(seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    synthetic_film(seed).save(buffer, "PNG")
    return buffer.getvalue()


class NeverAsked(FakePredictor):
    def predict(self, batch: ImageArray) -> ModelOutput:
        pytest.fail("a refused film reached the model")


def test_pipeline_and_its_stages_give_the_same_numbers() -> None:
    data = film_bytes()
    fake = FakePredictor(CARD)
    result = Pipeline(fake).run(data, "film.png")
    prepared = prepare(data, CARD.preprocessing)
    assert prepared.input.image_sha256 == hashlib.sha256(data).hexdigest()
    expected = interpret(fake.predict(prepared.input.array[None]).probabilities[0], CARD)
    assert result.state == "predicted"
    assert tuple(result.findings) == expected
    assert result.model == CARD.identity


def test_every_step_is_timed() -> None:
    result = Pipeline(FakePredictor(CARD)).run(film_bytes(), "film.png")
    assert set(result.timings_ms) == {"decode", "quality", "preprocess", "predict", "interpret"}


def test_file_that_is_no_film_is_refused_before_the_model() -> None:
    result = Pipeline(NeverAsked(CARD)).run(b"not an image", "notes.txt")
    assert (result.state, result.code) == ("rejected", "unsupported_media_type")
    assert result.message


def test_film_the_quality_gate_refuses_does_not_reach_the_model() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (300, 300)).astype(np.uint8)
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    result = Pipeline(NeverAsked(CARD)).run(buffer.getvalue(), "noise.png")
    assert (result.state, result.code[:8]) == ("rejected", "quality_")


def test_clinic_threshold_reaches_the_finding() -> None:
    result = Pipeline(FakePredictor(CARD), {"effusion": 0.77}).run(film_bytes(), "film.png")
    assert result.findings[2].threshold == 0.77


def test_nothing_before_the_model_imports_keras() -> None:
    code = (
        "import sys, mlcore.pipeline, mlcore.card, mlcore.decode, mlcore.registry, mlcore.explain, mlcore.__main__;"
        "sys.exit(any(name.split('.')[0] in ('tensorflow', 'keras', 'django') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

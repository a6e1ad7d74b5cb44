"""The fake engine follows the pixels; padding keeps every film's numbers its own."""

from __future__ import annotations

import uuid

import numpy as np
import pytest

from mlcore.card import load_card
from mlcore.contracts import DecodedImage, HeaderFacts
from mlcore.predictors.base import BATCH_SIZES, padded_chunks, run_padded
from mlcore.predictors.fake import FakePredictor
from mlcore.preprocess import model_input
from mlcore.registry import bundled_folder
from tests.films import read_film_id, synthetic_film

CARD = load_card(bundled_folder())


def prepared(seed: int, film_id: uuid.UUID | None = None) -> np.ndarray:
    pixels = np.asarray(synthetic_film(seed, film_id=film_id), np.float32) / 255
    return model_input(DecodedImage(pixels, HeaderFacts("png", 512, 512)), CARD.preprocessing, "").array


def test_fake_says_the_same_of_the_same_film_alone_and_in_a_batch() -> None:
    batch = np.stack([prepared(seed) for seed in range(3)])
    fake = FakePredictor(CARD)
    together = fake.predict(batch)
    np.testing.assert_array_equal(fake.predict(batch[1:2]).probabilities[0], together.probabilities[1])
    np.testing.assert_allclose(together.probabilities.sum(1), 1, atol=1e-6)
    assert together.maps.shape == (3, 7, 7, 3)


def test_fake_answers_by_the_film_id_written_in_the_pixels() -> None:
    film_id = uuid.uuid4()
    fake = FakePredictor(CARD, read_film_id)
    answer = fake.predict(prepared(1, film_id)[None]).probabilities[0]
    np.testing.assert_array_equal(answer, fake.film_probabilities(film_id))
    assert not np.allclose(answer, fake.film_probabilities(uuid.uuid4()), atol=1e-4)


@pytest.mark.parametrize("count", [1, 2, 8, 9, 32, 33, 70])
def test_padding_is_dropped_and_order_kept(count: int) -> None:
    batch = np.arange(count, dtype=np.float32).reshape(-1, 1, 1, 1)
    output = run_padded(batch, lambda piece: (piece[:, :, 0, 0], piece * 2))
    np.testing.assert_array_equal(output.probabilities[:, 0], np.arange(count))
    np.testing.assert_array_equal(output.maps[:, 0, 0, 0], 2 * np.arange(count))
    assert all(len(piece) in BATCH_SIZES for piece, _ in padded_chunks(batch))


@pytest.mark.parametrize("shape", [(224, 224, 1), (0, 224, 224, 1), (1, 224, 224, 3), (1, 100, 224, 1)])
def test_batch_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        FakePredictor(CARD).predict(np.zeros(shape, np.float32))


def test_input_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="not numbers"):
        FakePredictor(CARD).predict(np.full((1, 224, 224, 1), np.nan, np.float32))

"""The input is exactly what the card says, whatever the size of the film, and survives its file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mlcore.contracts import DecodedImage, HeaderFacts
from mlcore.preprocess import PreprocessingSpec, model_input, read_model_input, standardise, write_model_input
from tests.films import synthetic_film

SPEC = PreprocessingSpec()


def decoded(picture: Image.Image) -> DecodedImage:
    pixels = np.asarray(picture, dtype=np.float32) / 255
    return DecodedImage(pixels, HeaderFacts("png", *picture.size))


def test_known_film_gives_exactly_these_pixels() -> None:
    ramp = np.tile(np.linspace(0.2, 0.6, 448, dtype=np.float32), (448, 1))
    array = model_input(DecodedImage(ramp, HeaderFacts("png", 448, 448)), SPEC, "0" * 64).array
    assert array.shape == (224, 224, 1)
    assert array.dtype == np.float32
    # The inner 202 columns start at the 11th; percentiles 1 and 99 lie 2.01 and 198.99 columns further on.
    columns = np.arange(224)
    expected = np.clip((columns - 11 - 2.01) / (198.99 - 2.01), 0, 1)
    np.testing.assert_allclose(array[112, 3:-3, 0], expected[3:-3], atol=0.004)


def test_film_of_a_large_dicom_and_its_small_jpeg_give_nearly_the_same_input() -> None:
    large = synthetic_film(3, (2500, 2048))
    small = large.resize((256, 210), Image.Resampling.BOX)
    a, b = (model_input(decoded(film), SPEC, "").array for film in (large, small))
    assert float(np.abs(a - b).mean()) < 0.01


def test_brightness_and_contrast_of_the_file_do_not_change_the_input() -> None:
    film = np.asarray(synthetic_film(1, (300, 300)), dtype=np.float32) / 255
    a = standardise(film, SPEC)
    np.testing.assert_allclose(standardise(film * 0.5 + 0.2, SPEC), a, atol=1e-4)


def test_flat_film_stays_flat() -> None:
    assert not standardise(np.full((224, 224), 0.4, np.float32), SPEC).any()


@pytest.mark.parametrize("change", [{"size": (128, 128)}, {"blur": 0.5}, {"low": 2.0}, {"high": 98.0}, {"margin": 0.1}])
def test_every_choice_changes_the_id(change: dict[str, object]) -> None:
    assert replace(SPEC, **change).id != SPEC.id  # type: ignore[arg-type]


def test_input_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    value = model_input(decoded(synthetic_film(5)), SPEC, "a" * 64)
    path = tmp_path / "input"
    write_model_input(path, value)
    again = read_model_input(path)
    np.testing.assert_array_equal(again.array, value.array)
    assert (again.image_sha256, again.preprocessing) == ("a" * 64, SPEC.id)


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "input.npz"
    np.savez(path, array=np.array([{}], dtype=object), about=np.frombuffer(b"{}", np.uint8))
    with pytest.raises(ValueError, match="allow_pickle"):
        read_model_input(path)


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "input.npz"
    np.savez(path, other=np.zeros(3))
    with pytest.raises(ValueError, match="not a model input"):
        read_model_input(path)

"""Display image and overlay: right size, right grey levels, and nothing of the original file but its pixels."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from mlcore.decode import decode
from mlcore.display import display_png, holds_every_sample, overlay_picture, overlay_png
from tests.synthetic import as_dicom, as_jpeg, as_png, as_png16, bad_files, synthetic_film

FILM = decode(as_png(synthetic_film(21, (600, 400))))
HEAT = np.zeros((7, 7), np.float32)
HEAT[1, 5] = 4.0


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=("PNG",))
    image.load()
    return image


def test_display_image_is_the_film_in_eight_bit_grey():
    shown = opened(display_png(FILM))
    assert (shown.mode, shown.size) == ("L", (600, 400))
    np.testing.assert_allclose(np.asarray(shown) / 255, FILM.pixels, atol=0.5 / 255)


def test_display_image_is_reduced_to_its_longest_side_and_never_enlarged():
    assert opened(display_png(FILM, longest=300)).size == (300, 200)
    assert opened(display_png(FILM, longest=4096)).size == (600, 400)


@pytest.mark.parametrize(
    "data",
    [
        as_jpeg(synthetic_film(22), description="PATIENT DOE^JOHN"),
        as_png(synthetic_film(22), text={"PatientName": "DOE^JOHN"}),
        as_dicom(synthetic_film(22), patient_name="DOE^JOHN"),
        bad_files()["jpeg with a zip tail"].data,
        bad_files()["png with an html tail"].data,
    ],
)
def test_nothing_but_pixels_leaves_the_original_file(data):
    shown = display_png(decode(data))
    assert b"DOE" not in shown
    assert b"script" not in shown
    assert opened(shown).info == {}
    assert shown.endswith(b"IEND\xaeB`\x82")


@pytest.mark.parametrize("data", [as_jpeg(synthetic_film(25)), as_png(synthetic_film(25, (2048, 700)))])
def test_one_encoding_serves_both_copies_of_an_8_bit_picture(data):
    film = decode(data)
    assert holds_every_sample(film)
    np.testing.assert_array_equal(np.asarray(opened(display_png(film))), film.stored.samples)


@pytest.mark.parametrize(
    "data",
    [as_png(synthetic_film(25, (2049, 700))), as_png16(synthetic_film(25)), as_dicom(synthetic_film(25), bits=8)],
)
def test_reading_copy_is_its_own_where_the_display_image_shows_less_or_something_else(data):
    assert not holds_every_sample(decode(data))


def test_inverted_dicom_is_displayed_with_bright_bones():
    film = synthetic_film(23)
    shown = opened(display_png(decode(as_dicom(film, photometric="MONOCHROME1", bits=8))))
    np.testing.assert_array_equal(np.asarray(shown), np.asarray(film))


def test_overlay_has_the_aspect_of_the_film_and_is_clear_where_the_map_is_low():
    layer = opened(overlay_png(FILM, HEAT))
    assert layer.mode == "RGBA"
    assert layer.width / layer.height == pytest.approx(1.5, abs=0.01)
    opacity = np.asarray(layer)[..., 3]
    assert opacity[layer.height // 2 :].max() == 0
    row, column = np.unravel_index(opacity.argmax(), opacity.shape)
    assert (row / layer.height, column / layer.width) == pytest.approx((1.5 / 7, 5.5 / 7), abs=0.03)
    assert 0 < opacity.max() < 255


@pytest.mark.parametrize("heat", [np.zeros((7, 7)), np.full((7, 7), -3.0), np.full((7, 7), np.nan)])
def test_map_without_positive_values_gives_a_clear_layer(heat):
    assert np.asarray(opened(overlay_png(FILM, heat)))[..., 3].max() == 0


def test_blended_picture_shows_colour_only_where_the_map_is():
    picture = np.asarray(opened(overlay_picture(FILM, HEAT))).astype(int)
    spread = picture.max(axis=2) - picture.min(axis=2)
    assert picture.shape == (400, 600, 3)
    assert spread[200:].max() == 0
    assert spread.max() > 60

"""The quality gate: what passes, what is rejected, and why."""

from __future__ import annotations

import uuid

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from pydicom import dcmread
from pydicom.data import get_testdata_file

from mlcore.contracts import DecodedImage, HeaderFacts, QualityReport
from mlcore.decode import decode
from mlcore.gate_network import SIDE, GateNetwork
from mlcore.quality import answers_of, assess, gate, rank_picture
from mlcore.training.gate_fit import as_numpy, keras_network
from mlcore.training.gate_pictures import DEGRADATIONS
from tests.synthetic import as_dicom, as_gif, as_jpeg, as_png, read_film_id, synthetic_film


def report_of(pixels: np.ndarray) -> QualityReport:
    height, width = pixels.shape
    return assess(DecodedImage(np.asarray(pixels, np.float32), HeaderFacts("png", width, height)))


def film_pixels(seed: int = 0) -> np.ndarray:
    return np.asarray(synthetic_film(seed), np.float32) / 255


def codes(report: QualityReport) -> list[str]:
    return [reason.code for reason in report.reasons]


@pytest.mark.parametrize("encode", [as_jpeg, as_png, as_gif, as_dicom])
@pytest.mark.parametrize("size", [(512, 512), (256, 256), (900, 1100)])
def test_synthetic_film_passes_in_every_encoding_with_its_id(encode, size):
    film_id = uuid.uuid4()
    image = decode(encode(synthetic_film(3, size, film_id)))
    assert assess(image).verdict == "ok"
    assert read_film_id(image.pixels) == film_id


@pytest.mark.parametrize(("quarters", "degrees"), [(1, 90), (2, 180), (3, 90)])
def test_turned_film_is_rejected_and_told_the_angle(quarters, degrees):
    report = report_of(np.rot90(film_pixels(), quarters))
    assert report.verdict == "rejected"
    assert codes(report) == ["quality_rotated"]
    assert f"{degrees}°" in report.reasons[0].message


def test_inverted_film_is_accepted_with_a_warning():
    report = report_of(1 - film_pixels())
    assert (report.verdict, codes(report)) == ("warn", ["quality_inverted"])


def test_film_in_a_black_frame_passes():
    assert report_of(np.pad(film_pixels(), ((40, 120), (90, 60)))).verdict == "ok"


@pytest.mark.parametrize("gamma", [0.6, 1.0, 1.7])
def test_verdict_does_not_depend_on_the_display_window(gamma):
    assert report_of(film_pixels() ** gamma).verdict == "ok"


@pytest.mark.parametrize("pixels", [film_pixels() * 0.05, 0.98 + film_pixels() * 0.02, film_pixels() * 0.03 + 0.5])
def test_film_without_contrast_is_rejected_for_its_exposure(pixels):
    report = report_of(pixels)
    assert (report.verdict, codes(report)) == ("rejected", ["quality_exposure"])


def test_low_contrast_is_a_warning_with_value_and_limit():
    report = report_of(0.4 + film_pixels() * 0.15)
    assert (report.verdict, codes(report)) == ("warn", ["quality_low_contrast"])
    assert report.reasons[0].metric == "contrast"
    assert report.reasons[0].value < report.reasons[0].limit


def text_page() -> np.ndarray:
    page = Image.new("L", (600, 800), 255)
    text = "\n".join("The quick brown fox jumps over the lazy dog" for _ in range(28))
    ImageDraw.Draw(page).text((40, 40), text, fill=0, font=ImageFont.load_default(20))
    return np.asarray(page) / 255


Y, X = np.mgrid[0:1:400j, 0:1:400j]
NOT_CHESTS = {
    "text page": text_page(),
    "vertical gradient": Y,
    "checkerboard": ((X * 12).astype(int) + (Y * 12).astype(int)) % 2,
    "fine noise": np.random.default_rng(0).random((400, 400)),
    "disc": np.hypot(X - 0.5, Y - 0.5) < 0.35,
    "stripes": (Y * 20).astype(int) % 2,
}


@pytest.mark.parametrize("name", NOT_CHESTS)
def test_picture_that_is_no_chest_film_is_rejected(name):
    report = report_of(NOT_CHESTS[name])
    assert (report.verdict, codes(report)) == ("rejected", ["quality_not_chest"])


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "examples_palette.dcm", "693_J2KI.dcm"])
def test_other_examinations_are_rejected(name):
    samples = dcmread(get_testdata_file(name, download=False)).pixel_array.astype(np.float32)
    low, high = np.percentile(samples, (0.1, 99.9))
    assert report_of(np.clip((samples - low) / (high - low), 0, 1)).verdict == "rejected"


def test_the_same_pixels_get_the_same_answer():
    assert report_of(film_pixels(5)) == report_of(film_pixels(5))


def test_bundled_gate_orders_its_limits():
    fitted = gate()
    assert fitted.reject_below < fitted.warn_below
    assert fitted.turned_above >= 0


def test_network_survives_its_json():
    network = gate().network
    picture = rank_picture(film_pixels())[None]
    np.testing.assert_array_equal(GateNetwork.from_json(network.to_json())(picture), network(picture))


def test_network_says_in_numpy_what_it_says_in_keras():
    model = keras_network()
    pictures = np.random.default_rng(0).normal(size=(3, SIDE, SIDE)).astype(np.float32)
    np.testing.assert_allclose(as_numpy(model)(pictures), model(pictures[..., None], training=False), atol=1e-4)


def test_answers_turn_with_the_picture():
    ranks, network = rank_picture(film_pixels()), gate().network
    upright, turned = answers_of(ranks, network)[0], answers_of(np.rot90(ranks), network)[0]
    np.testing.assert_allclose(turned.turns, np.roll(upright.turns, 1), atol=1e-4)
    assert turned.film == pytest.approx(upright.film, abs=1e-4)


@pytest.mark.parametrize("name", DEGRADATIONS)
@pytest.mark.parametrize("seed", range(4))
def test_quality_score_falls_with_every_step_of_degradation(name, seed):
    spoil, strengths = DEGRADATIONS[name]
    film = film_pixels(seed)
    scores = [report_of(film).score, *(report_of(spoil(film, strength)).score for strength in strengths)]
    assert all(0 <= score <= 1 for score in scores)
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == len(scores)

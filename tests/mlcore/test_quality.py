"""The quality gate: what passes, what is rejected, and why."""

from __future__ import annotations

import csv
import uuid
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from pydicom import dcmread
from pydicom.data import get_testdata_file

from mlcore.contracts import DecodedImage, HeaderFacts, QualityReport
from mlcore.decode import decode
from mlcore.quality import assess, film_model, picture_vector, turned
from tests.synthetic import as_dicom, as_gif, as_jpeg, as_png, read_film_id, synthetic_film

REAL = Path(__file__).parents[3] / "shared" / "data"
needs_real_films = pytest.mark.skipif(not REAL.is_dir(), reason="the real films of ../shared/data are not here")


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


def test_turning_a_vector_four_times_changes_nothing():
    vector = picture_vector(film_pixels())
    np.testing.assert_array_equal(turned(vector, 4), vector)


def test_bundled_model_orders_its_limits():
    model = film_model()
    assert model.reject_below < model.warn_below
    assert model.axes.shape == (len(model.variances), len(model.mean))


@needs_real_films
def test_at_most_one_real_film_in_a_hundred_is_rejected():
    rows = list(csv.DictReader((REAL / "cxr256" / "manifest.csv").open()))
    for source in {row["source_dataset"] for row in rows}:
        held_out = [row for row in rows if row["source_dataset"] == source and row["split"] != "train"]
        chosen = held_out[:: max(1, len(held_out) // 300)]
        verdicts = [assess(decode((REAL / "cxr256" / row["file"]).read_bytes())).verdict for row in chosen]
        assert verdicts.count("rejected") <= len(verdicts) / 100, source


@needs_real_films
def test_real_turned_films_are_found_and_upright_ones_are_not():
    paths = sorted((REAL / "rotated").glob("*.jpg"))
    upright = [path for path in paths if int(path.stem.partition("_")[0]) < 2000]
    for path in paths:
        report = assess(decode(path.read_bytes()))
        assert codes(report) == ([] if path in upright else ["quality_rotated"]), path.name


@needs_real_films
def test_real_dicom_films_pass():
    names = ("cr_monochrome1_10bit", "cr_jpeg2000_15bit", "dx_nih_patient1", "dx_nih_patient2", "dx_body_part_ribcage")
    for name in names:
        assert assess(decode((REAL / "dicom" / f"{name}.dcm").read_bytes())).verdict == "ok", name

"""The reading copy holds the very values of the file, and says truly how they are shown and measured."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread, uid
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from mlcore.decode import decode
from mlcore.reading import SPREAD_PERCENTILES, reading_facts, reading_png, spread_of
from tests.synthetic import WRITABLE_SYNTAXES, as_dicom, as_gif, as_jpeg, as_png, as_png16, synthetic_film, written

REAL_DICOM = Path(__file__).parents[3] / "shared" / "data" / "dicom"
FILM = synthetic_film(41, (300, 260))


def copy_of(data: bytes) -> tuple[np.ndarray, dict[str, Any]]:
    """The values that the copy stands for, and its facts."""
    image = decode(data)
    assert image.stored is not None
    png, facts = reading_png(image.stored), reading_facts(image)
    picture = Image.open(io.BytesIO(png))
    assert picture.info == {}
    assert picture.mode == ("L" if facts["bits"] <= 8 else "I;16")
    return np.asarray(picture).astype(np.int64) + facts["lowest"], facts


def shown(values: np.ndarray, facts: dict[str, Any]) -> np.ndarray:
    """What a viewer paints of them with the first window: 0 black, 1 white."""
    window = facts["windows"][0]
    modality = values * facts["slope"] + facts["intercept"]
    light = np.clip((modality - window["centre"]) / window["width"] + 0.5, 0, 1)
    return 1 - light if facts["inverted"] else light


@pytest.mark.parametrize("syntax", WRITABLE_SYNTAXES)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_every_value_is_the_one_that_pydicom_reads(syntax, photometric):
    data = as_dicom(FILM, transfer_syntax=syntax, photometric=photometric)
    values, facts = copy_of(data)
    assert (values == dcmread(io.BytesIO(data)).pixel_array).all()
    assert (facts["photometric"], facts["inverted"]) == (photometric, photometric == "MONOCHROME1")
    assert (facts["rows"], facts["columns"]) == (260, 300)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_bits_are_kept(bits):
    data = as_dicom(FILM, bits=bits)
    values, facts = copy_of(data)
    assert (values == dcmread(io.BytesIO(data)).pixel_array).all()
    assert facts["bits"] == bits


def test_negative_values_survive():
    dataset = dcmread(io.BytesIO(as_dicom(FILM, bits=12, PixelRepresentation=1)))
    signed = np.asarray(FILM).astype(np.int16) * 16 - 2048
    dataset.PixelData = signed.tobytes()
    values, facts = copy_of(written(dataset, uid.ExplicitVRLittleEndian))
    assert (values == signed).all()
    assert facts["lowest"] == -32768


@pytest.mark.parametrize("data", [as_png(FILM), as_gif(FILM), as_jpeg(FILM)], ids=["png", "gif", "jpeg"])
def test_a_picture_of_8_bits_keeps_its_levels_and_is_shown_as_it_is(data):
    values, facts = copy_of(data)
    assert (values == np.asarray(Image.open(io.BytesIO(data)).convert("L"))).all()
    assert facts["windows"][0] == {"centre": 127.5, "width": 255.0, "of": "full"}
    assert facts["spacing"] is None


def test_a_png_of_16_bits_keeps_its_values():
    values, facts = copy_of(as_png16(FILM))
    assert (values == np.asarray(FILM).astype(int) * 16).all()
    assert facts["bits"] == 16


def _lut(kind: str) -> Sequence:
    """A device's curve, 4096 values to 8 bits, steep in the middle."""
    ramp = np.arange(4096)
    item = Dataset()
    item.LUTDescriptor = [4096, 0, 16]
    item.LUTData = (65535 / (1 + np.exp(-(ramp - 2000) / 300))).astype("<u2").tobytes()
    if kind == "ModalityLUTSequence":
        item.ModalityLUTType = "US"
    return Sequence([item])


@pytest.mark.parametrize(
    ("attributes", "of", "tolerance"),
    [
        ({"window": (2000, 3000)}, "header", 0.01),
        ({"window": (2000, 3000), "photometric": "MONOCHROME1"}, "header", 0.01),
        ({"window": (3000, 5000), "RescaleSlope": 2, "RescaleIntercept": -100}, "header", 0.01),
        ({"window": (-2000, 3000), "RescaleSlope": -1, "RescaleIntercept": 0}, "header", 0.01),
        ({"RescaleSlope": -1, "RescaleIntercept": 0}, "range", 0.01),
        ({}, "range", 0.01),
        ({"bits": 8}, "full", 0.01),
        ({"VOILUTSequence": _lut("VOILUTSequence")}, "curve", 0.12),
        ({"window": (2000, 1500), "VOILUTFunction": "SIGMOID"}, "curve", 0.12),
        ({"ModalityLUTSequence": _lut("ModalityLUTSequence"), "window": (32768, 65535)}, "curve", 0.12),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_the_first_window_shows_the_film_as_the_display_copy_does(attributes, of, tolerance):
    data = as_dicom(FILM, **attributes)
    values, facts = copy_of(data)
    assert facts["windows"][0]["of"] == of
    assert np.abs(shown(values, facts) - decode(data).pixels).max() <= tolerance


def test_padding_sets_no_range():
    film = np.asarray(FILM).astype(np.uint16) * 16
    film[:20] = 4095
    dataset = dcmread(io.BytesIO(as_dicom(FILM, bits=12, PixelPaddingValue=4095)))
    dataset.PixelData = film.tobytes()
    _, facts = copy_of(written(dataset, uid.ExplicitVRLittleEndian))
    window = facts["windows"][0]
    assert window["centre"] + window["width"] / 2 < 4000


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, None),
        ({"ImagerPixelSpacing": [0.2, 0.1]}, {"row_mm": 0.2, "column_mm": 0.1, "at": "detector"}),
        ({"ImagerPixelSpacing": [0.2, 0.1], "PixelSpacing": [0.2, 0.1]}, {"at": "detector"}),
        ({"ImagerPixelSpacing": [0.2, 0.2], "PixelSpacing": [0.17, 0.17]}, {"row_mm": 0.17, "at": "calibrated"}),
        ({"PixelSpacing": [0.17, 0.17], "PixelSpacingCalibrationType": "FIDUCIAL"}, {"at": "calibrated"}),
        ({"PixelSpacing": [0.17, 0.17]}, {"at": "unstated"}),
        ({"NominalScannedPixelSpacing": [0.1, 0.1]}, {"at": "scanned"}),
        ({"ImagerPixelSpacing": [0, 0.1]}, None),
        ({"ImagerPixelSpacing": [0.1, 0.1, 0.1]}, None),
    ],
)
def test_millimetres_say_what_they_are_of(attributes, expected):
    _, facts = copy_of(as_dicom(FILM, **attributes))
    found = facts["spacing"]
    assert found is None if expected is None else expected.items() <= found.items()


@pytest.mark.parametrize("attributes", [{"window": (100, 0)}, {"WindowCenter": 5}, {"WindowCenter": [1, 2, 3]}])
def test_a_window_that_is_none_leaves_the_films_own_range(attributes):
    _, facts = copy_of(as_dicom(FILM, **attributes))
    assert [window["of"] for window in facts["windows"]] == ["range"]


def test_free_text_of_the_header_stays_behind():
    _, facts = copy_of(as_dicom(FILM, body_part="CHEST of John", WindowCenterWidthExplanation="JOHN DOE"))
    assert facts["body_part"] == ""
    assert "JOHN" not in str(facts).upper()


@pytest.mark.skipif(not REAL_DICOM.is_dir(), reason="the real films of ../shared/data are not here")
@pytest.mark.parametrize(
    "name", ["cr_jpeg2000_15bit", "cr_monochrome1_10bit", "dx_body_part_ribcage", "dx_nih_patient1"]
)
def test_real_films_keep_every_value_and_are_shown_as_the_display_copy_shows_them(name):
    data = (REAL_DICOM / f"{name}.dcm").read_bytes()
    values, facts = copy_of(data)
    assert (values == dcmread(io.BytesIO(data)).pixel_array).all()
    assert np.abs(shown(values, facts) - decode(data).pixels).max() <= 0.01


@pytest.mark.parametrize("kind", ["u1", "i1", "<u2", "<i2", ">u2", ">i2"])
@pytest.mark.parametrize("count", [1, 2, 999, 5003])
def test_counting_finds_the_percentiles_that_sorting_finds(kind, count):
    random = np.random.default_rng(count)
    low, high = sorted(random.integers(np.iinfo(kind).min, np.iinfo(kind).max, 2))
    samples = random.integers(low, high, count, endpoint=True).astype(kind)
    assert spread_of(samples) == tuple(np.percentile(samples.astype(int), SPREAD_PERCENTILES))

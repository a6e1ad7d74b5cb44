"""Header checks and the full decode, on synthetic films, bad files and mutated bytes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset

from mlcore.contracts import IMAGE_CODES, FileIdentity, ImageRefusedError
from mlcore.decode import decode, inspect_header
from tests.synthetic import (
    WRITABLE_SYNTAXES,
    as_dicom,
    as_gif,
    as_jpeg,
    as_png,
    as_png16,
    bad_files,
    synthetic_film,
)

FILM = synthetic_film(11)
SMALL = synthetic_film(14, (160, 144))
TRUE_PIXELS = np.asarray(FILM, np.float32) / 255
REAL_DICOM = Path(__file__).parents[3] / "shared" / "data" / "dicom"


def inspect(data: bytes, name: str = "", content_type: str = ""):
    return inspect_header(io.BytesIO(data), name=name, content_type=content_type)


def refusal_of(call, *args) -> str:
    with pytest.raises(ImageRefusedError) as caught:
        call(*args)
    return caught.value.code


@pytest.mark.parametrize("name", [name for name, bad in bad_files().items() if not bad.is_late])
def test_header_check_finds_the_code_of_each_bad_file(name):
    bad = bad_files()[name]
    if bad.is_warned:
        facts, _ = inspect(*bad[:3])
        assert bad.code in [warning.code for warning in facts.warnings]
    else:
        assert refusal_of(inspect, *bad[:3]) == bad.code


@pytest.mark.parametrize("name", [name for name, bad in bad_files().items() if bad.is_late])
def test_damage_in_the_pixels_passes_the_header_check_and_fails_the_decode(name):
    bad = bad_files()[name]
    inspect(*bad[:3])
    assert refusal_of(decode, bad.data) == bad.code


@pytest.mark.parametrize("name", [name for name, bad in bad_files().items() if not bad.is_warned])
def test_decode_refuses_every_bad_file_whose_name_does_not_matter(name):
    bad = bad_files()[name]
    if bad.code == "type_mismatch":
        assert decode(bad.data).pixels.shape == (512, 512)
    else:
        assert refusal_of(decode, bad.data) in IMAGE_CODES


def test_convertible_formats_are_told_to_convert():
    with pytest.raises(ImageRefusedError, match="Convert it to PNG"):
        inspect(*bad_files()["tiff"][:3])


@pytest.mark.parametrize(
    ("name", "content_type"),
    [("IM000001", "application/octet-stream"), ("1.2.840.113619.2.5", ""), ("FILM.DCM", "application/dicom")],
)
def test_dicom_needs_no_extension(name, content_type):
    assert inspect(as_dicom(FILM), name, content_type)[0].format == "dicom"


def test_header_check_leaves_the_stream_at_its_beginning():
    stream = io.BytesIO(as_png(FILM))
    inspect_header(stream)
    assert stream.tell() == 0


def test_disk_failure_is_not_blamed_on_the_film():
    class FailingDisk(io.BytesIO):
        def read(self, *_):
            if self.tell() > 600:
                raise OSError(5, "Input/output error")
            return super().read(*_)

    with pytest.raises(OSError, match="Input/output"):
        inspect_header(FailingDisk(as_png(FILM)))


def test_header_check_reads_a_large_film_without_holding_it():
    data = as_dicom(synthetic_film(12, (3000, 2500)))
    stream = io.BytesIO(data)
    tracemalloc.start()
    inspect_header(stream)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < len(data) / 20


def test_millions_of_empty_items_are_refused_and_not_parsed():
    data = as_dicom(FILM)
    item = b"\xfe\xff\x00\xe0\x00\x00\x00\x00"
    sequence = b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff" + item * 60_000 + b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    at = data.index(b"\x10\x00\x10\x00PN")
    assert refusal_of(inspect, data[:at] + sequence + data[at:], "film.dcm") == "dicom_invalid"


def gif_comment_bomb() -> bytes:
    return as_gif(SMALL)[:-1] + b"\x21\xfe" + b"\x01x" * 100_000 + b"\0;"


def jpeg_exif_bomb() -> bytes:
    data = as_jpeg(SMALL)
    return data[:2] + (b"\xff\xe1\xff\xffExif\0\0" + b"x" * 65527) * 200 + data[2:]


@pytest.mark.parametrize("make", [gif_comment_bomb, jpeg_exif_bomb])
def test_text_that_would_keep_the_parser_busy_is_refused(make):
    assert refusal_of(inspect, make()) == "image_corrupt"


def test_header_facts_carry_no_identity():
    facts, identity = inspect(as_dicom(FILM, patient_id="MRN-0042", patient_name="DOE^JOHN"))
    assert identity == FileIdentity("MRN-0042", "DOE^JOHN", "")
    assert "MRN-0042" not in repr(facts)
    assert "DOE" not in repr(facts)
    assert facts.acquired_at == "20260503101500"


@pytest.mark.parametrize(
    ("data", "identity"),
    [
        (as_jpeg(FILM, description="PATIENT DOE^JOHN"), FileIdentity(patient_name="DOE^JOHN")),
        (as_png(FILM, text={"PatientID": "0042", "DOB": "1980-02-01"}), FileIdentity("0042", "", "19800201")),
        (as_jpeg(FILM, description="Patient Name: Jane Roe; Patient ID: A-17"), FileIdentity("A-17", "Jane Roe")),
        (as_jpeg(FILM, description="Chest PA, erect"), FileIdentity()),
        (as_dicom(FILM, patient_name="Anonymized", patient_id="7"), FileIdentity()),
        (as_dicom(FILM, PatientIdentityRemoved="YES"), FileIdentity()),
    ],
)
def test_identity_is_found_where_exporters_write_it(data, identity):
    assert inspect(data)[1] == identity


@pytest.mark.parametrize("body_part", ["CHEST", "", "RIBCAGE", "THORAX", "Lung", "PORT CHEST", "UNKNOWN"])
def test_chest_and_its_synonyms_are_accepted(body_part):
    assert inspect(as_dicom(FILM, body_part=body_part))[0].modality == "CR"


@pytest.mark.parametrize("body_part", ["HAND", "ABDOMEN", "TSPINE", "THORACIC SPINE", "SKULL"])
def test_other_body_parts_are_refused(body_part):
    assert refusal_of(inspect, as_dicom(FILM, body_part=body_part)) == "dicom_not_chest_xray"


@pytest.mark.parametrize(
    "data", [as_png(FILM), as_gif(FILM), as_png(FILM.convert("RGB")), as_png(FILM.convert("RGBA"))]
)
def test_lossless_pictures_decode_to_the_same_pixels(data):
    pixels = decode(data).pixels
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, TRUE_PIXELS, atol=1e-6)


@pytest.mark.parametrize("data", [as_jpeg(FILM, quality=95), as_jpeg(FILM.convert("RGB"), quality=95)])
def test_jpeg_of_a_grey_film_is_grey_whatever_its_channels(data):
    np.testing.assert_allclose(decode(data).pixels, TRUE_PIXELS, atol=0.04)


def test_sixteen_bit_png_is_scaled_by_its_range():
    pixels = decode(as_png16(FILM)).pixels
    assert pixels.max() == 1
    assert np.corrcoef(pixels.ravel(), TRUE_PIXELS.ravel())[0, 1] > 0.999


def test_exif_orientation_is_applied_and_reported():
    wide = synthetic_film(13, (600, 400))
    turned = decode(as_jpeg(wide.transpose(Image.Transpose.ROTATE_90), orientation=6, quality=95))
    assert (turned.facts.width, turned.facts.height) == (600, 400)
    np.testing.assert_allclose(turned.pixels, np.asarray(wide) / 255, atol=0.05)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("syntax", WRITABLE_SYNTAXES, ids=lambda syntax: uid.UID(syntax).name)
def test_every_transfer_syntax_gives_the_same_film_with_bright_bones(syntax, bits, photometric):
    if syntax == uid.JPEGBaseline8Bit:
        bits = 8
    window = (2 ** (bits - 1), 2**bits)
    data = as_dicom(FILM, transfer_syntax=syntax, photometric=photometric, bits=bits, window=window)
    difference = np.abs(decode(data).pixels - TRUE_PIXELS)
    assert difference.mean() < 0.02


def dicom_pixels(levels: np.ndarray, **attributes) -> np.ndarray:
    """Decoded 12-bit samples given as stored values."""
    data = as_dicom(FILM, Rows=levels.shape[0], Columns=levels.shape[1], PixelData=levels.tobytes(), **attributes)
    return decode(data).pixels


RAMP = np.tile(np.arange(0, 4096, 16, dtype=np.uint16), (256, 1))


def test_window_maps_its_centre_to_half_and_its_ends_to_black_and_white():
    pixels = dicom_pixels(RAMP, WindowCenter=1024, WindowWidth=512)
    assert pixels[0, RAMP[0] <= 768].max() == 0
    assert pixels[0, RAMP[0] >= 1280].min() == 1
    assert pixels[0, 64] == pytest.approx(0.5, abs=0.002)


def test_rescale_applies_before_the_window():
    pixels = dicom_pixels(RAMP, RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=1048, WindowWidth=1024)
    assert pixels[0, 64] == pytest.approx(0.5, abs=0.002)


def test_sigmoid_window_is_smooth_and_centred():
    pixels = dicom_pixels(RAMP, WindowCenter=2048, WindowWidth=1000, VOILUTFunction="SIGMOID")
    assert pixels[0, 128] == pytest.approx(0.5, abs=0.002)
    assert pixels[0, 160] == pytest.approx(1 / (1 + np.exp(-4 * 512 / 1000)), abs=0.002)


def test_voi_table_is_used_before_a_window():
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 10]
    table.LUTData = (1023 - np.arange(4096, dtype="<u2") // 4).tobytes()
    table["LUTData"].VR = "OW"
    pixels = dicom_pixels(RAMP, VOILUTSequence=[table], WindowCenter=1, WindowWidth=2)
    np.testing.assert_allclose(pixels[0], 1 - (RAMP[0] // 4) / 1023, atol=1e-6)


def test_invalid_window_is_ignored():
    pixels = dicom_pixels(RAMP, WindowCenter=100, WindowWidth=0)
    assert pixels[0, 128] == pytest.approx(0.5, abs=0.01)


def test_eight_bit_dicom_without_window_equals_the_png_of_the_same_film():
    np.testing.assert_array_equal(decode(as_dicom(FILM, bits=8)).pixels, decode(as_png(FILM)).pixels)


def test_padding_is_black_and_sets_no_scale():
    levels = RAMP // 8 + 1000
    levels[:, :40] = 4000
    pixels = dicom_pixels(levels.astype(np.uint16), PixelPaddingValue=4000)
    assert pixels[:, :40].max() == 0
    assert pixels[0, -1] == pytest.approx(1, abs=0.01)


def test_padding_of_an_inverted_film_is_black_too():
    levels = RAMP.copy()
    levels[:, :40] = 0
    pixels = dicom_pixels(levels, photometric="MONOCHROME1", PixelPaddingValue=0)
    assert pixels[:, :40].max() == 0
    assert pixels[0, 41] > pixels[0, -1]


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=600), st.text(max_size=20), st.text(max_size=20))
def test_any_bytes_under_any_name_are_refused(data, name, content_type):
    assert refusal_of(inspect, data, name, content_type) in IMAGE_CODES


def test_reading_films_imports_no_neural_network_library():
    command = (
        "import sys, mlcore.decode, mlcore.quality, mlcore.display\n"
        "print(*(name in sys.modules for name in ('keras', 'tensorflow', 'django')))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    shown = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True, env=environment)
    assert shown.stdout.split() == ["False"] * 3


@pytest.mark.skipif(not REAL_DICOM.is_dir(), reason="the real films of ../shared/data are not here")
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("cr_monochrome1_10bit.dcm", None),
        ("cr_jpeg2000_15bit.dcm", None),
        ("dx_nih_patient1.dcm", None),
        ("dx_nih_patient2.dcm", None),
        ("dx_body_part_ribcage.dcm", None),
        ("cr_no_part10_header.dcm", "dicom_invalid"),
        ("modality_ct.dcm", "dicom_not_chest_xray"),
    ],
)
def test_real_dicom_files_decode_with_bright_bones_or_get_their_code(name, code):
    data = (REAL_DICOM / name).read_bytes()
    if code:
        assert refusal_of(inspect, data, name) == code
        return
    inspect(data, name)
    pixels = decode(data).pixels
    rows, columns = pixels.shape
    spine = pixels[rows // 2 :, int(columns * 0.46) : int(columns * 0.54)].mean()
    lungs = np.r_[
        pixels[rows // 3 : rows // 2, int(columns * 0.22) : int(columns * 0.32)].ravel(),
        pixels[rows // 3 : rows // 2, int(columns * 0.68) : int(columns * 0.78)].ravel(),
    ].mean()
    assert spine > lungs + 0.1

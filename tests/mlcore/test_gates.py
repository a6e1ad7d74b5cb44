"""`python -m mlcore gates` on drawn films: fitting and measuring run to the end; rates are tested elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mlcore import quality
from mlcore.__main__ import main
from mlcore.gate_network import SIDE
from mlcore.training import gate_fit, gate_measure, gate_pictures
from mlcore.training.gate_pictures import held_out, other_pictures


@pytest.fixture
def others(tmp_path: Path) -> Path:
    """Photographs of a package that fits and of one that measures, and a file that is no picture."""
    rng = np.random.default_rng(0)
    for package in ("opencv-doc", "scikit-image"):
        folder = tmp_path / "others" / "photographs" / package
        folder.mkdir(parents=True)
        for number in range(2):
            Image.fromarray(rng.integers(0, 255, (200, 180, 3), np.uint8)).save(folder / f"{number}.png")
        (folder / "notes.txt").write_text("no picture")
    return tmp_path / "others"


@pytest.fixture
def small_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_measure, "DRAWN", 1)
    monkeypatch.setattr(gate_pictures, "installed_pictures", lambda: iter(()))
    for name, value in {"EPOCHS": 1, "PER_EPOCH": 64, "DRAWN": 2, "COPIES": 1, "PARTS": 1}.items():
        monkeypatch.setattr(gate_fit, name, value)


def test_command_writes_the_rates(film_folder: Path, others: Path, small_numbers: None, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["gates", "--data", str(film_folder), "--others", str(others), "--out", str(out)]) == 0
    document = json.loads((out / "gates.json").read_text())
    assert document["real films"]["all"]["n"] == 40
    assert document["other pictures"]["photographs"]["n"] == 2  # the other package fits
    assert document["spoiled films"]["turned by 90°"]["found"]["value"] == 1
    assert document["other pictures as they are, in colour"]["photographs"]["codes"] == {"image_colour_mode": 2}


def test_write_replaces_the_gate(
    film_folder: Path, others: Path, small_numbers: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = tmp_path / "quality.json"
    monkeypatch.setattr(quality, "PARAMETERS", parameters)
    monkeypatch.setattr(gate_fit, "PARAMETERS", parameters)
    try:
        assert main(["gates", "--data", str(film_folder), "--others", str(others), "--write"]) == 0
        assert quality.gate().network(np.zeros((1, SIDE, SIDE), np.float32)).shape == (1, 6)
    finally:
        quality.gate.cache_clear()


def test_pictures_of_a_package_fit_or_measure(others: Path) -> None:
    sides = {picture.package: held_out(picture.package) for picture in other_pictures([others])}
    assert sides == {"opencv-doc": False, "scikit-image": True}

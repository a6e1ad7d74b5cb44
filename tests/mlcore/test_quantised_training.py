"""The trial of training with quantisation: rounded, the shipped network learns to say again what it says in float."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

from bench.quantised_training import measure
from mlcore.registry import bundled_folder


def test_the_rounded_network_comes_nearer_and_openvino_holds_it_in_8_bits(film_folder: Path, tmp_path: Path) -> None:
    out, form = tmp_path / "found.json", tmp_path / "form"
    options = Namespace(model=bundled_folder(), data=film_folder, limit=None, epochs=5, rate=5e-5, form=form, out=out)
    found = measure(options)
    losses = [each["loss"] for each in found["after_epoch"]]
    assert 0 < losses[-1] < losses[0] / 2
    assert found["exported"]["films"] == 20
    assert 0 < found["exported"]["largest_difference"] < 0.3
    assert json.loads(out.read_text()) == found
    shipped = (bundled_folder() / "openvino" / "float.bin").stat().st_size
    assert (form / "openvino" / "int8.bin").stat().st_size < 0.7 * shipped

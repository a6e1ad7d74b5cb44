"""Splits do not leak, films are decoded once, draws are balanced, and augmentation keeps to its range."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlcore.training.bundle import LABEL_KEYS
from mlcore.training.dataset import Film, TrainingError, cached_films, read_manifest, select, thin
from tests.mlcore.conftest import COLUMNS


def manifest(folder: Path, *rows: tuple[str, ...]) -> Path:
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return folder


def test_missing_folder_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="--data"):
        read_manifest(tmp_path)


def test_manifest_without_a_column_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("file,label\n")
    with pytest.raises(TrainingError, match="split, group_id"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("second", [("b", "n", "test", "p1", "s", "r", "2"), ("b", "n", "test", "p2", "s", "r", "1")])
def test_patient_or_film_in_two_splits_is_refused(tmp_path: Path, second: tuple[str, ...]) -> None:
    with pytest.raises(TrainingError, match="two splits"):
        read_manifest(manifest(tmp_path, ("a", "n", "train", "p1", "s", "r", "1"), second))


def test_small_selection_holds_every_kind_of_film(films: list[Film]) -> None:
    kinds = {(film.source, film.label) for film in thin(select(films, split="val", labels=LABEL_KEYS), 5)}
    assert len(kinds) == 5


def test_films_are_decoded_once(films: list[Film], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = np.array(cached_films(films[:3], (64, 64), tmp_path))
    monkeypatch.setattr("mlcore.training.cache._decode_squashed", None)
    np.testing.assert_array_equal(cached_films(films[:3], (64, 64), tmp_path), first)
    assert first.any(axis=(1, 2)).all()


def test_film_that_intake_refuses_is_left_all_zero(films: list[Film], tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no film")
    pictures = cached_films([films[0], replace(films[1], path=broken, sha256="x")], (64, 64), tmp_path)
    assert pictures.any(axis=(1, 2)).tolist() == [True, False]

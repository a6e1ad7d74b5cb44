"""Splits do not leak, films are decoded once, draws are balanced, and augmentation keeps to its range."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlcore.training.augment import robust
from mlcore.training.bundle import LABEL_KEYS
from mlcore.training.dataset import Film, TrainingError, cached_films, read_manifest, select, thin
from mlcore.training.train import _log_priors, balanced_draw
from tests.films import synthetic_film
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


def test_draw_is_balanced_over_source_and_label_and_repeatable(films: list[Film]) -> None:
    train = select(films, split="train", labels=LABEL_KEYS)[:-3]
    drawn = balanced_draw(train, 50, np.random.default_rng(1))
    counts: dict[tuple[str, str], int] = {}
    for i in drawn:
        counts[train[i].source, train[i].label] = counts.get((train[i].source, train[i].label), 0) + 1
    assert set(counts.values()) == {10}
    np.testing.assert_array_equal(drawn, balanced_draw(train, 50, np.random.default_rng(1)))


def test_prior_of_a_source_says_which_labels_it_holds(films: list[Film]) -> None:
    priors = _log_priors(films, LABEL_KEYS, 0.02)
    np.testing.assert_allclose(np.exp(priors["adults"]), 1 / 3, atol=1e-6)
    assert np.exp(priors["children"])[2] == pytest.approx(0.02 / 2.02)


def test_augmentation_keeps_shape_and_range_and_repeats_with_its_seed() -> None:
    film = np.asarray(synthetic_film(0, (224, 224)))
    for seed in range(30):
        changed = robust(film, np.random.default_rng(seed))
        assert changed.shape == film.shape
        assert changed.dtype == np.float32
        assert 0 <= changed.min() <= changed.max() <= 1
    np.testing.assert_array_equal(robust(film, np.random.default_rng(7)), robust(film, np.random.default_rng(7)))

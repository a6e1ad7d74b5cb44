"""Films are decoded once, for all runs at a size; nothing half-made is ever read; refused films are named."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlcore.preprocess import PreprocessingSpec
from mlcore.training import cache
from mlcore.training.cache import decoded, load_samples
from mlcore.training.dataset import Film, LeftOut, TrainingError

SIZE = (64, 64)


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hashes of the films decoded so far."""
    done: list[str] = []
    squashed = cache._squashed

    def counted(film: Film, size: tuple[int, int]) -> Any:
        done.append(film.sha256)
        return squashed(film, size)

    monkeypatch.setattr(cache, "_squashed", counted)
    return done


def pictures_of(films: list[Film], folder: Path) -> np.ndarray:
    samples = decoded(films, SIZE, folder)
    return np.array(samples.pictures[samples.index])


def test_films_are_decoded_once(films: list[Film], tmp_path: Path, decodings: list[str]) -> None:
    first = pictures_of(films[:5], tmp_path)
    np.testing.assert_array_equal(pictures_of(films[:5], tmp_path), first)
    assert len(decodings) == 5
    assert first.std(axis=(1, 2)).min() > 0


def test_part_of_the_films_in_any_order_is_served_from_the_same_store(
    films: list[Film], tmp_path: Path, decodings: list[str]
) -> None:
    every = pictures_of(films[:6], tmp_path)
    np.testing.assert_array_equal(pictures_of([films[4], films[1]], tmp_path), every[[4, 1]])
    assert len(decodings) == 6


def test_each_size_has_its_own_store(films: list[Film], tmp_path: Path) -> None:
    small, large = (decoded(films[:3], (side, side), tmp_path).pictures for side in (64, 96))
    assert (small.shape, large.shape) == ((3, 64, 64), (3, 96, 96))
    assert decoded(films[:3], SIZE, tmp_path).pictures.shape == small.shape


def test_pictures_are_mapped_from_the_file_and_cannot_be_changed(films: list[Film], tmp_path: Path) -> None:
    pictures = decoded(films[:3], SIZE, tmp_path).select([True, False, True]).pictures
    assert isinstance(pictures, np.memmap)
    assert not pictures.flags.writeable


def test_two_that_start_at_once_decode_once(films: list[Film], tmp_path: Path, decodings: list[str]) -> None:
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda _: pictures_of(films[:8], tmp_path), range(2))
    np.testing.assert_array_equal(one, two)
    assert len(decodings) == 8


def test_rest_of_a_killed_run_is_not_read(films: list[Film], tmp_path: Path) -> None:
    whole = pictures_of(films[:3], tmp_path)
    (store,) = tmp_path.glob("*.npy")
    store.with_suffix(".json").unlink()
    os.truncate(store, 1000)
    store.with_suffix(".part").write_bytes(b"half of a store")
    np.testing.assert_array_equal(pictures_of(films[:3], tmp_path), whole)
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("suffix", [".npy", ".json"])
def test_damaged_store_is_made_again(films: list[Film], tmp_path: Path, suffix: str) -> None:
    whole = pictures_of(films[:3], tmp_path)
    (path,) = tmp_path.glob(f"*{suffix}")
    os.truncate(path, path.stat().st_size // 2)
    np.testing.assert_array_equal(pictures_of(films[:3], tmp_path), whole)


def test_store_of_an_older_decoder_is_not_used(
    films: list[Film], tmp_path: Path, decodings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures_of(films[:2], tmp_path)
    monkeypatch.setattr(cache, "VERSION", cache.VERSION + 1)
    pictures_of(films[:2], tmp_path)
    assert len(decodings) == 4


def test_film_that_intake_refuses_is_left_out_with_its_code(films: list[Film], tmp_path: Path) -> None:
    broken = replace(films[1], path=tmp_path / "broken.jpg", sha256="x")
    broken.path.write_bytes(b"\xff\xd8\xff no film")
    for _ in range(2):
        samples = load_samples([films[0], broken, films[2]], PreprocessingSpec(size=SIZE), tmp_path / "cache")
        assert samples.films == [films[0], films[2]]
        assert samples.left_out == [LeftOut(broken, "refused by intake", "image_corrupt")]


def test_film_that_is_not_there_is_named(films: list[Film], tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"gone.png cannot be read"):
        decoded([replace(films[0], path=tmp_path / "gone.png", sha256="x")], SIZE, tmp_path)


def test_selection_keeps_films_and_pictures_together(films: list[Film], tmp_path: Path) -> None:
    samples = decoded(films[:4], SIZE, tmp_path)
    part = samples.select([False, True, False, True])
    assert part.films == [films[1], films[3]]
    np.testing.assert_array_equal(part.pictures[part.index[1]], samples.pictures[samples.index[3]])

"""Another version of a film in another split is found and kept out of training; different films are left alone."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from mlcore.preprocess import PreprocessingSpec
from mlcore.training.cache import load_samples
from mlcore.training.dataset import Film, TrainingError
from mlcore.training.duplicates import near_copies
from tests.films import synthetic_film

SPEC = PreprocessingSpec(size=(96, 96))


def kept(folder: Path, picture: Image.Image, split: str, quality: int = 90) -> Film:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    digest = hashlib.sha256(stream.getvalue()).hexdigest()
    path = folder / f"{digest[:12]}.jpg"
    path.write_bytes(stream.getvalue())
    return Film(path, "normal", split, digest, "s", "r", digest)


def original(seed: int = 0) -> Image.Image:
    return synthetic_film(seed, (256, 256))


@pytest.mark.parametrize(
    ("change", "quality"),
    [
        (lambda film: film, 30),
        (lambda film: film.resize((150, 150)), 75),
        (lambda film: film.resize((400, 300)), 75),
        (lambda film: film.point(lambda value: 255 * (value / 255) ** 1.4), 90),
        (ImageOps.mirror, 75),
    ],
    ids=["coarser JPEG", "smaller", "other shape", "other tones", "mirrored"],
)
def test_other_version_of_a_film_of_val_is_left_out_of_train(
    tmp_path: Path, change: Callable[[Image.Image], Image.Image], quality: int
) -> None:
    films = [kept(tmp_path, original(), "val"), kept(tmp_path, change(original()), "train", quality)]
    samples = load_samples(films, SPEC, tmp_path / "cache")
    assert samples.films == films[:1]
    (left_out,) = samples.left_out
    assert (left_out.film, left_out.reason) == (films[1], "copy of a film in val")
    assert films[0].path.name in left_out.detail


def test_mirrored_copy_is_said_to_be_mirrored(tmp_path: Path) -> None:
    films = [kept(tmp_path, original(), "test"), kept(tmp_path, ImageOps.mirror(original()), "train")]
    assert load_samples(films, SPEC, tmp_path).left_out[0].detail.endswith("mirrored")


def test_different_films_are_all_kept(tmp_path: Path) -> None:
    films = [kept(tmp_path, original(seed), ("train", "val", "test")[seed % 3]) for seed in range(30)]
    assert load_samples(films, SPEC, tmp_path).films == films


def test_versions_in_the_same_split_are_kept(tmp_path: Path) -> None:
    films = [kept(tmp_path, original(), "train"), kept(tmp_path, original(), "train", 50)]
    films.append(kept(tmp_path, original(1), "val"))
    assert load_samples(films, SPEC, tmp_path).films == films


def test_versions_in_val_and_test_are_refused_with_both_films(tmp_path: Path) -> None:
    films = [kept(tmp_path, original(), "val"), kept(tmp_path, original(), "test", 50)]
    with pytest.raises(TrainingError, match=rf"{films[0].path.name} \(val.*{films[1].path.name} \(test"):
        load_samples(films, SPEC, tmp_path)


def test_copies_are_found_however_small_the_input_is(tmp_path: Path) -> None:
    films = [kept(tmp_path, original(), "val"), kept(tmp_path, original(), "train", 50)]
    films += [kept(tmp_path, original(seed), "train") for seed in range(1, 5)]
    samples = load_samples(films, PreprocessingSpec(size=(32, 32)), tmp_path)
    assert [entry.film for entry in samples.left_out] == [films[1]]
    assert samples.pictures.shape[1:] == (32, 32)


def test_search_is_done_once_for_the_same_films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    films = [kept(tmp_path, original(), "val"), kept(tmp_path, original(), "train", 50)]
    first = load_samples(films, SPEC, tmp_path).left_out
    monkeypatch.setattr("mlcore.training.cache.near_copies", None)
    assert load_samples(films, SPEC, tmp_path).left_out == first


def test_no_two_real_films_of_different_splits_are_copies(real_films: list[Film], tmp_path: Path) -> None:
    """The shared films hold no copy across splits; a film made from one of them is found among them."""
    val = [film for film in real_films if film.split == "val"][:300]
    train = [film for film in real_films if film.split == "train"][:600]
    with Image.open(val[7].path) as picture:
        copy = kept(tmp_path, picture.convert("L").resize((180, 180)), "train", 50)
    samples = load_samples([*val, *train], SPEC, tmp_path)
    assert not [entry for entry in samples.left_out if entry.reason.startswith("copy")]
    found = load_samples([*val, copy], SPEC, tmp_path).left_out
    assert [entry.film for entry in found if entry.reason.startswith("copy")] == [copy]


def test_single_split_has_no_copies_to_look_for(tmp_path: Path) -> None:
    assert near_copies([kept(tmp_path, original(), "train")] * 2, lambda i: 1 / 0) == []  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def real_films() -> list[Film]:
    from mlcore.training.dataset import DEFAULT_DATA, read_films

    if not DEFAULT_DATA.is_dir():
        pytest.skip("the real films of ../shared/data are not here")
    return read_films(DEFAULT_DATA)

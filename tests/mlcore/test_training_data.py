"""Splits do not leak, small selections hold every kind of film, and a run says which films it used."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from mlcore.training.bundle import LABEL_KEYS
from mlcore.training.dataset import Film, LeftOut, TrainingError, read_films, select, split_summary, thin
from mlcore.training.tasks import CHESTXRAY14, THREE
from tests.mlcore.conftest import COLUMNS

FIRST = ("a.png", "normal", "train", "p1", "s", "r", "1")


def manifest(folder: Path, *rows: tuple[str, ...]) -> Path:
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return folder


def film(name: str, split: str, label: str = "normal", **more: object) -> Film:
    findings = frozenset() if label == "normal" else frozenset({label})
    made = Film(Path(name), label, split, f"p-{name}", "NIH ChestX-ray14", "r", f"hash-{name}", findings)
    return replace(made, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("folder", ["empty", "absent"])
def test_folder_without_films_is_said_plainly(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainingError, match="--data"):
        read_films(tmp_path / folder)


def test_manifest_without_a_column_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("file,label\n")
    with pytest.raises(TrainingError, match="split, group_id"):
        read_films(tmp_path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("b.png", "normal", "training", "p2", "s", "r", "2"), "row 3: split is 'training'; it must be train, val"),
        (("b.png", "", "train", "p2", "s", "r", "2"), "row 3: label is empty"),
        (("b.png", "normal"), "row 3: fewer cells than columns"),
    ],
)
def test_malformed_row_is_named(tmp_path: Path, row: tuple[str, ...], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        read_films(manifest(tmp_path, FIRST, row))


def test_patient_in_two_splits_is_refused_with_both_films(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"patient group is in two splits, 1 times:\n.*a.png.*train.*b.png.*test"):
        read_films(manifest(tmp_path, FIRST, ("b.png", "normal", "test", "p1", "s", "r", "2")))


def test_file_in_two_splits_is_refused_with_both_films(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"file is in two splits, 1 times:\n.*a.png.*train.*b.png.*val"):
        read_films(manifest(tmp_path, FIRST, ("b.png", "normal", "val", "p2", "s", "r", "1")))


def test_long_list_of_leaks_is_cut(tmp_path: Path) -> None:
    rows = [(f"{i}.png", "normal", "test", "p1", "s", "r", str(i)) for i in range(2, 15)]
    with pytest.raises(TrainingError, match="and 3 more"):
        read_films(manifest(tmp_path, FIRST, *rows))


def test_small_selection_holds_every_kind_of_film(films: list[Film]) -> None:
    kinds = {(film.source, film.label) for film in thin(select(films, split="val", labels=LABEL_KEYS), 5)}
    assert len(kinds) == 5


def test_summary_counts_films_labels_and_patients_of_every_split() -> None:
    films = [
        film("a", "train"),
        film("b", "train", "pneumonia", group="p-a"),
        film("c", "train", "effusion", source="other", group_known=False),
        film("d", "test", "pneumonia"),
        film("e", "test", "hernia"),
    ]
    summary = split_summary(films, THREE)
    assert summary["films"] == 4
    assert summary["splits"]["train"] == {
        "films": 3,
        "groups": 2,
        "unknown_patients": 1,
        "labels": {"effusion": 1, "normal": 1, "pneumonia": 1},
        "sources": {"NIH ChestX-ray14": {"normal": 1, "pneumonia": 1}, "other": {"effusion": 1}},
    }
    assert summary["splits"]["test"]["labels"] == {"pneumonia": 1}
    assert summary["in_both"]["train and test"] == {"groups": 0, "files": 0}
    json.dumps(summary, allow_nan=False)


def test_summary_counts_a_film_under_each_of_its_labels() -> None:
    several = film("a", "train", findings=frozenset({"mass", "nodule"}))
    summary = split_summary([several, film("b", "train")], CHESTXRAY14)
    assert summary["splits"]["train"]["labels"] == {"mass": 1, "nodule": 1, "none": 1}


def test_flow_of_films_adds_up() -> None:
    left_out = [
        LeftOut(film("c", "train"), "refused by intake", "image_blank"),
        LeftOut(film("d", "train"), "copy of a film in val", "a.png"),
        LeftOut(film("e", "train", "hernia"), "refused by intake", "image_blank"),
    ]
    summary = split_summary([film("a", "val"), film("b", "train"), film("f", "train", "hernia")], THREE, left_out)
    assert summary["flow"] == [
        {"step": "read", "films": 6, "left_out": {"not of this task": 2}},
        {"step": "of this task", "films": 4, "left_out": {"copy of a film in val": 1, "refused by intake": 1}},
        {"step": "used", "films": 2, "left_out": {}},
    ]
    assert [entry["film"] for entry in summary["left_out"]] == ["c", "d"]


def test_hash_of_the_split_changes_with_membership_and_not_with_order() -> None:
    films = [film("a", "train"), film("b", "test")]
    own = split_summary(films, THREE)["split_sha256"]
    assert split_summary(films[::-1], THREE)["split_sha256"] == own
    assert split_summary([films[0], replace(films[1], split="val")], THREE)["split_sha256"] != own

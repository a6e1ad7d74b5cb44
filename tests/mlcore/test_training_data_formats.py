"""A folder per class and ChestX-ray14's own files are read; what is missing is named; drawn splits part no patient."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from mlcore.training.dataset import Film, TrainingError, read_films
from mlcore.training.formats import findings_of

COLUMNS = (
    "Image Index",
    "Finding Labels",
    "Follow-up #",
    "Patient ID",
    "Patient Age",
    "Patient Gender",
    "View Position",
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An empty folder of its own."""
    folder = tmp_path / "films"
    folder.mkdir()
    return folder


def put(path: Path, content: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content or str(path))


def chestxray14(
    data: Path, rows: list[tuple[str, ...]], test: tuple[str, ...] = (), columns: tuple[str, ...] = COLUMNS
) -> Path:
    """The folder as published: table, two lists, films in two of the image folders."""
    with (data / "Data_Entry_2017_v2020.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    names = [row[0] for row in rows]
    (data / "train_val_list.txt").write_text("\n".join(name for name in names if name not in test) + "\n")
    (data / "test_list.txt").write_text("\n".join(test))
    (data / "BBox_List_2017.csv").write_text("ignored\n")
    for i, name in enumerate(names):
        put(data / f"images_{i % 2:03d}" / "images" / name)
    return data


def entry(patient: int, number: int = 0, words: str = "No Finding", age: str = "58", sex: str = "F", view: str = "AP"):
    return (f"{patient:08d}_{number:03d}.png", words, str(number), str(patient), age, sex, view)


def by_name(films: list[Film]) -> dict[str, Film]:
    return {film.path.name: film for film in films}


def splits_of_groups(films: list[Film]) -> dict[str, set[str]]:
    splits: dict[str, set[str]] = {}
    for film in films:
        splits.setdefault(film.group, set()).add(film.split)
    return splits


def test_chestxray14_row_is_read_in_full(data: Path) -> None:
    films = read_films(chestxray14(data, [entry(7, 3, "Pleural_Thickening|Effusion")]))
    (film,) = films
    assert film.path == data / "images_000" / "images" / "00000007_003.png"
    assert (film.source, film.group, film.group_known) == ("NIH ChestX-ray14", "nih-00000007", True)
    assert (film.age, film.sex, film.view) == (58, "F", "AP")
    assert film.findings == {"pleural_thickening", "effusion"}
    assert len(film.sha256) == 64


def test_sex_is_read_under_either_published_name(data: Path) -> None:
    columns = tuple(name.replace("Gender", "Sex") for name in COLUMNS)
    assert read_films(chestxray14(data, [entry(1, sex="M")], columns=columns))[0].sex == "M"


@pytest.mark.parametrize(
    ("words", "label"),
    [
        ("No Finding", "normal"),
        ("Effusion", "effusion"),
        ("Infiltration|Pneumonia", "pneumonia"),
        ("Effusion|Pneumonia", "mixed_pneumonia_effusion"),
        ("Effusion|Mass", "effusion_multilabel"),
        ("Hernia", "other_finding"),
    ],
)
def test_chestxray14_findings_give_one_class(data: Path, words: str, label: str) -> None:
    assert read_films(chestxray14(data, [entry(1, 0, words)]))[0].label == label


@pytest.mark.parametrize(("text", "age"), [("058Y", 58), ("6M", 0.5), ("411", None), ("", None), ("110", 110)])
def test_age_is_read_in_years_and_impossible_ages_are_unknown(data: Path, text: str, age: float | None) -> None:
    assert read_films(chestxray14(data, [entry(1, age=text)]))[0].age == age


def test_official_test_split_is_kept_and_val_is_drawn_by_patient(data: Path) -> None:
    rows = [entry(patient, number) for patient in range(60) for number in range(3)]
    test = tuple(row[0] for row in rows if int(row[3]) >= 48)
    films = read_films(chestxray14(data, rows, test))
    assert {film.path.name for film in films if film.split == "test"} == set(test)
    assert all(len(splits) == 1 for splits in splits_of_groups(films).values())
    assert Counter(film.split for film in films) == {"train": 126, "val": 18, "test": 36}
    assert [film.split for film in read_films(data)] == [film.split for film in films]


def test_label_outside_the_fourteen_is_refused_by_name(data: Path) -> None:
    with pytest.raises(TrainingError, match=r"v2020.csv, row 3: covid is no finding"):
        read_films(chestxray14(data, [entry(1), entry(2, 0, "Mass|COVID")]))


def test_film_of_the_table_that_is_not_there_is_named_with_its_row(data: Path) -> None:
    chestxray14(data, [entry(1), entry(2)])
    (data / "images_001" / "images" / "00000002_000.png").unlink()
    with pytest.raises(TrainingError, match=r"row 3: 00000002_000.png is nowhere below"):
        read_films(data)


def test_film_in_neither_list_is_named(data: Path) -> None:
    chestxray14(data, [entry(1), entry(2)])
    (data / "train_val_list.txt").write_text("00000001_000.png\n")
    with pytest.raises(TrainingError, match=r"00000002_000.png is in neither"):
        read_films(data)


def test_missing_list_is_named(data: Path) -> None:
    chestxray14(data, [entry(1)])
    (data / "test_list.txt").unlink()
    with pytest.raises(TrainingError, match=r"No test_list.txt"):
        read_films(data)


def test_patient_number_that_is_none_is_named(data: Path) -> None:
    with pytest.raises(TrainingError, match="row 2: Patient ID is 'x'"):
        read_films(chestxray14(data, [(*entry(1)[:3], "x", *entry(1)[4:])]))


def test_class_folders_are_split_by_patient_in_the_stated_shares(data: Path) -> None:
    for person in range(100):
        for number in range(2):
            put(data / "PNEUMONIA" / f"person{person}_bacteria_{2 * person + number}.jpeg")
        put(data / "NORMAL" / f"IM-{person:04d}-0001.jpeg")
    films = read_films(data)
    assert all(len(splits) == 1 for splits in splits_of_groups(films).values())
    counts = Counter((film.label, film.split) for film in films)
    assert counts["normal", "val"] == counts["normal", "test"] == 15
    assert counts["pneumonia", "val"] == counts["pneumonia", "test"] == 30
    assert [film.split for film in read_films(data)] == [film.split for film in films]


def test_drawn_split_does_not_change_when_a_folder_is_moved(data: Path) -> None:
    for root in ("one", "two"):
        for i in range(40):
            put(data / root / "a" / f"{i}.png")
            put(data / root / "b" / f"{i}.png")
    one, two = (read_films(data / root) for root in ("one", "two"))
    assert [film.split for film in one] == [film.split for film in two]


def test_patients_and_kinds_are_read_from_known_file_names(data: Path) -> None:
    for name in ("PNEUMONIA/person12_virus_34.jpeg", "PNEUMONIA/00000181_003.png", "PNEUMONIA/x.png", "NORMAL/y.png"):
        put(data / name)
    films = by_name(read_films(data))
    child, adult, other = (films[name] for name in ("person12_virus_34.jpeg", "00000181_003.png", "x.png"))
    assert (child.group, child.group_known, child.source) == ("kermany-person12_virus", True, "Kermany pediatric")
    assert child.findings == {"pneumonia", "viral_pneumonia"}
    assert (adult.group, adult.source, adult.findings) == ("nih-00000181", "NIH ChestX-ray14", {"pneumonia"})
    assert (other.group, other.group_known) == ("PNEUMONIA/x.png", False)
    assert films["y.png"].findings == frozenset()


def test_copies_of_a_file_are_drawn_into_one_split(data: Path) -> None:
    for i in range(40):
        put(data / "a" / f"{i}.png", f"film {i % 10}")
        put(data / "b" / f"{i}.png")
    splits: dict[str, set[str]] = {}
    for film in read_films(data):
        splits.setdefault(film.sha256, set()).add(film.split)
    assert all(len(found) == 1 for found in splits.values())


def test_given_split_is_kept_and_missing_val_is_drawn_from_train(data: Path) -> None:
    for split, count in (("Train", 40), ("test", 10)):
        for label in ("normal", "pneumonia"):
            for i in range(count):
                put(data / split / label / f"{split}{i}.png")
    films = read_films(data)
    assert Counter(film.split for film in films) == {"train": 68, "val": 12, "test": 20}
    assert all(film.path.name.startswith("test") for film in films if film.split == "test")


def test_given_split_that_parts_a_patient_is_refused(data: Path) -> None:
    for name in ("train/a/00000001_000.png", "test/a/00000001_001.png", "train/b/x.png", "test/b/y.png"):
        put(data / name)
    with pytest.raises(TrainingError, match="patient group is in two splits"):
        read_films(data)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["a/x.png"], "films of 1 class"),
        (["a/x.png", "b/readme.txt"], "b holds no film"),
        (["train/a/x.png", "train/b/x.png", "extra/x.png"], "beside others .extra."),
        (["train/a/x.png", "train/b/y.png"], "only the split folder train"),
    ],
)
def test_folder_that_cannot_be_used_is_said_plainly(data: Path, files: list[str], message: str) -> None:
    for name in files:
        put(data / name)
    with pytest.raises(TrainingError, match=message):
        read_films(data)


def test_changed_file_gets_a_new_hash(data: Path) -> None:
    put(data / "a" / "x.png", "old")
    put(data / "b" / "y.png")
    old = by_name(read_films(data))
    put(data / "a" / "x.png", "newer")
    new = by_name(read_films(data))
    assert new["x.png"].sha256 != old["x.png"].sha256
    assert new["y.png"].sha256 == old["y.png"].sha256


def test_kind_of_pneumonia_implies_pneumonia() -> None:
    assert findings_of("Edema|Pneumonia (virus)") == {"edema", "pneumonia", "viral_pneumonia"}
    assert findings_of("No Finding") == findings_of("Normal") == frozenset()

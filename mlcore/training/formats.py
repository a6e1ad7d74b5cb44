"""Readers of the three layouts of a data set: our manifest, ChestX-ray14's own files, and a folder per class.

May import: `films`, `tasks` and tqdm. `dataset.read_films` chooses the reader.

Where the split is not given it is drawn by patient group: groups are ordered by a hash of seed and name, so the same
films always get the same split, and films that share a patient or a file stay together.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from mlcore.training.films import Film, TrainingError
from mlcore.training.tasks import CHESTXRAY14_LABELS

SPLITS = ("train", "val", "test")
SEED = 1
#: Shares of the films of a class that go to val and test when no split is given.
DRAWN_SHARES = {"val": 0.15, "test": 0.15}
#: ChestX-ray14's official test list is kept; of train_val this share of the films goes to val (70 : 10 : 20 in all).
CHESTXRAY14_SHARES = {"val": 0.125}
#: No patient is older; a larger number is an error of the data.
OLDEST = 110
SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".dcm", ".dicom")

#: What every row of a manifest says; labels, patient_id_known, age, sex and view may stand beside it.
MANIFEST = ("file", "label", "split", "group_id", "source_dataset", "source_repo", "sha256")
_DATA_ENTRY = ("Image Index", "Finding Labels", "Patient ID", "Patient Age", "View Position")
_SPLIT_FOLDERS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
_NIH, _KERMANY = "NIH ChestX-ray14", "Kermany pediatric"
_NIH_NAME = re.compile(r"(?<!\d)(000\d{5})_\d{3}(?!\d)")
_KERMANY_NAME = re.compile(r"(person\d+_(?:bacteria|virus))_\d+|((?:NORMAL2-)?IM-\d{4})-\d{4}")
_NO_FINDING = frozenset({"", "normal", "no_finding"})
_KINDS = {"pneumonia_(bacteria)": "bacterial_pneumonia", "pneumonia_(virus)": "viral_pneumonia"}


def read_manifest(data: Path) -> list[Film]:
    """All films of `data/manifest.csv`, in its order. Raises TrainingError."""
    manifest = data / "manifest.csv"
    if not manifest.is_file():
        raise TrainingError(f"No manifest.csv in {data}. Give the folder of the films with --data.")
    return [_manifest_film(data, row, f"{manifest}, row {number}") for number, row in _rows(manifest, MANIFEST)]


def read_chestxray14(data: Path) -> list[Film]:
    """The films of Data_Entry_2017*.csv with the official test split; val is drawn by patient from train_val.

    The films lie in folders named images…, as published. Raises TrainingError.
    """
    table = data_entry(data)
    if table is None:
        raise TrainingError(f"No Data_Entry_2017.csv in {data}. Give the folder of ChestX-ray14 with --data.")
    official = {
        name: split
        for split, listed in (("train", "train_val_list.txt"), ("test", "test_list.txt"))
        for name in _lines(data / listed)
    }
    paths = {path.name: path for path in _pictures(data)}
    films = []
    for number, row in _rows(table, _DATA_ENTRY):
        where, name = f"{table}, row {number}", row["Image Index"]
        if name not in paths:
            raise TrainingError(f"{where}: {name} is nowhere below {data}. Put it there or take its row out.")
        if name not in official:
            raise TrainingError(f"{where}: {name} is in neither train_val_list.txt nor test_list.txt.")
        films.append(_chestxray14_film(row, paths[name], official[name], where))
    return drawn(hashed(films, data), CHESTXRAY14_SHARES)


def read_class_folders(data: Path) -> list[Film]:
    """A folder per class, or such folders below train, val and test; what is missing of the split is drawn.

    Class and findings are the folder's name in lower case; patients, and the kind of pneumonia, are read from the
    file names of ChestX-ray14 and of Kermany et al.; any other file is a group of its own. Raises TrainingError.
    """
    parts = _parts(data)
    films = [film for split, part in (parts or {"": data}).items() for film in _of_classes(data, part, split)]
    classes = {film.label for film in films}
    if len(classes) < 2:
        raise TrainingError(
            f"{data} has films of {len(classes)} class{'' if len(classes) == 1 else 'es'}. Give with --data a folder "
            f"with manifest.csv, with ChestX-ray14's Data_Entry_2017.csv, or with a folder of films for each class."
        )
    films = hashed(films, data)
    if not parts:
        return drawn([replace(film, split="train") for film in films], DRAWN_SHARES)
    return films if "val" in parts else drawn(films, {"val": DRAWN_SHARES["val"]})


def _parts(data: Path) -> dict[str, Path]:
    """The folders train, val and test of `data`, whatever their spelling; none when the split is to be drawn."""
    folders = _folders(data)
    parts = {_SPLIT_FOLDERS[name]: folder for folder in folders if (name := folder.name.lower()) in _SPLIT_FOLDERS}
    if parts and len(parts) < len(folders):
        others = ", ".join(folder.name for folder in folders if folder not in parts.values())
        raise TrainingError(f"{data} has folders of a split beside others ({others}). Take the others away.")
    if parts and not parts.keys() >= {"train", "test"}:
        raise TrainingError(f"{data} has only the split folder {', '.join(parts)}; there must be train and test.")
    return parts


def data_entry(data: Path) -> Path | None:
    """ChestX-ray14's table in `data` (also as republished in 2020)."""
    return next(iter(sorted(data.glob("Data_Entry_2017*.csv"))), None)


def findings_of(words: str) -> frozenset[str]:
    """ "Edema|Pneumonia (virus)" → edema, pneumonia, viral_pneumonia; "No Finding" and "Normal" → nothing."""
    named = {word.strip().lower().replace(" ", "_") for word in words.split("|")} - _NO_FINDING
    return frozenset(_KINDS.get(word, word) for word in named) | ({"pneumonia"} if named & _KINDS.keys() else set())


def drawn(films: Sequence[Film], shares: Mapping[str, float], seed: int = SEED) -> list[Film]:
    """Films of train given away to other splits until each has its share of every label's films; groups stay whole."""
    together = _together([film for film in films if film.split == "train"])
    members: dict[str, list[Film]] = {}
    for film in films:
        if film.split == "train":
            members.setdefault(together[film.group], []).append(film)
    strata: dict[str, list[str]] = {}
    for key, group in members.items():
        strata.setdefault(min(film.label for film in group), []).append(key)
    split_of: dict[str, str] = {}
    for keys in strata.values():
        keys.sort(key=lambda key: hashlib.sha256(f"{seed} {key}".encode()).digest())
        total, given, queue = sum(len(members[key]) for key in keys), 0, list(keys)
        for split, share in shares.items():
            wanted = given + share * total
            while queue and given + len(members[queue[0]]) / 2 <= wanted:
                given += len(members[queue[0]])
                split_of[queue.pop(0)] = split
    return [
        replace(film, split=split_of.get(together[film.group], "train")) if film.split == "train" else film
        for film in films
    ]


def _together(films: Sequence[Film]) -> dict[str, str]:
    """Group → the first of all groups that it is linked with by identical files."""
    parent: dict[str, str] = {}

    def root(group: str) -> str:
        while parent.setdefault(group, group) != group:
            group = parent[group]
        return group

    owner: dict[str, str] = {}
    for film in films:
        first, own = sorted((root(owner.setdefault(film.sha256, film.group)), root(film.group)))
        parent[own] = first
    return {film.group: root(film.group) for film in films}


def hashed(films: Sequence[Film], data: Path) -> list[Film]:
    """The films with their sha256. Hashes are kept in `data` (if it may be written) by name, size and time."""
    kept = data / ".film-hashes.json"
    known: dict[str, str] = {}
    if kept.is_file():
        with suppress(ValueError):
            known = json.loads(kept.read_text())

    def sha256(film: Film) -> tuple[str, str]:
        state = film.path.stat()
        key = f"{film.path.relative_to(data)} {state.st_size} {state.st_mtime_ns}"
        return key, known.get(key) or hashlib.sha256(film.path.read_bytes()).hexdigest()

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(tqdm(pool.map(sha256, films), total=len(films), desc="hash films", unit="film", delay=2))
    if dict(found) != known:
        _write_if_allowed(kept, json.dumps(dict(found)))
    return [replace(film, sha256=digest) for film, (_, digest) in zip(films, found, strict=True)]


def _write_if_allowed(path: Path, text: str) -> None:
    partial = path.with_suffix(f".{os.getpid()}.part")
    try:
        partial.write_text(text)
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)


def _rows(table: Path, required: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV file with their line numbers. Raises TrainingError for missing columns and cells."""
    with table.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = [name for name in required if name not in (reader.fieldnames or ())]
        if missing:
            raise TrainingError(f"{table} has no column {', '.join(missing)}.")
        for row in reader:
            if any(row[name] is None for name in required):
                raise TrainingError(f"{table}, row {reader.line_num}: fewer cells than columns. Complete the row.")
            yield reader.line_num, row


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise TrainingError(
            f"No {path.name} in {path.parent}. It is published beside Data_Entry_2017.csv; put it there."
        )
    return path.read_text().split()


def _folders(folder: Path) -> list[Path]:
    """Sub-folders, without hidden ones and those that packers leave (__MACOSX)."""
    found = folder.iterdir() if folder.is_dir() else []
    return sorted(path for path in found if path.is_dir() and not path.name.startswith((".", "__")))


def _pictures(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )


def _manifest_film(data: Path, row: dict[str, str], where: str) -> Film:
    for name in MANIFEST:
        if not row[name]:
            raise TrainingError(f"{where}: {name} is empty. Fill it in or take the row out.")
    if row["split"] not in SPLITS:
        raise TrainingError(f"{where}: split is {row['split']!r}; it must be train, val or test.")
    return Film(
        path=data / row["file"],
        label=row["label"],
        split=row["split"],
        group=row["group_id"],
        source=row["source_dataset"],
        batch=row["source_repo"],
        sha256=row["sha256"],
        findings=findings_of(row.get("labels") or row["label"]),
        group_known=row.get("patient_id_known", "1") == "1",
        age=_age(row.get("age", "")),
        sex=row.get("sex", ""),
        view=row.get("view", ""),
    )


def _chestxray14_film(row: dict[str, str], path: Path, split: str, where: str) -> Film:
    findings = findings_of(row["Finding Labels"])
    strange = sorted(findings - set(CHESTXRAY14_LABELS))
    if strange:
        raise TrainingError(
            f"{where}: {', '.join(strange)} is no finding of ChestX-ray14; these are: {', '.join(CHESTXRAY14_LABELS)}."
        )
    if not row["Patient ID"].strip().isdigit():
        raise TrainingError(f"{where}: Patient ID is {row['Patient ID']!r}, not a number.")
    sex = row.get("Patient Gender") or row.get("Patient Sex")  # the name differs between the published versions
    return Film(
        path=path,
        label=class_of(findings),
        split=split,
        group=f"nih-{int(row['Patient ID']):08d}",
        source=_NIH,
        batch="NIH Clinical Center",
        sha256="",
        findings=findings,
        age=_age(row["Patient Age"]),
        sex=sex if sex in ("M", "F") else "",
        view=row["View Position"] if row["View Position"] in ("PA", "AP") else "",
    )


def class_of(findings: frozenset[str]) -> str:
    """The one class of a film with any number of findings; effusion only if it is alone."""
    if not findings:
        return "normal"
    if findings == {"effusion"}:
        return "effusion"
    if "pneumonia" in findings:
        return "mixed_pneumonia_effusion" if "effusion" in findings else "pneumonia"
    return "effusion_multilabel" if "effusion" in findings else "other_finding"


def _age(text: str) -> float | None:
    """Years from "58", "058Y" or "011M"; ranges and words ("pediatric 1-5y") and impossible ages say no number."""
    match = re.fullmatch(r"\s*(\d+)([YMD]?)\s*", text.upper())
    if match is None:
        return None
    years = int(match[1]) / {"": 1, "Y": 1, "M": 12, "D": 365.25}[match[2]]
    return years if years <= OLDEST else None


def _of_classes(data: Path, part: Path, split: str) -> Iterator[Film]:
    for folder in _folders(part):
        pictures = _pictures(folder)
        if not pictures:
            raise TrainingError(f"{folder} holds no film ({', '.join(SUFFIXES)}). Put films in or take it away.")
        label = folder.name.strip().lower().replace(" ", "_")
        yield from (_named_film(data, path, label, split) for path in pictures)


def _named_film(data: Path, path: Path, label: str, split: str) -> Film:
    """A film whose source and patient are those that its file name tells, if it tells any."""
    findings = findings_of(label)
    film = Film(path, label, split, str(path.relative_to(data)), data.name, data.name, "", findings, group_known=False)
    if nih := _NIH_NAME.search(path.stem):
        return replace(film, group=f"nih-{nih[1]}", group_known=True, source=_NIH)
    if kermany := _KERMANY_NAME.search(path.stem):
        patient = kermany[1] or kermany[2]
        if "pneumonia" in findings and kermany[1]:
            findings |= {"bacterial_pneumonia" if patient.endswith("bacteria") else "viral_pneumonia"}
        return replace(film, group=f"kermany-{patient}", group_known=True, source=_KERMANY, findings=findings)
    return film

"""The model store: one folder per version, a copy of what was registered, byte for byte.

May import: Django's settings, `diagnosis.models`, `diagnosis.card`, Keras-free modules of `mlcore`. Workers load from
here, and the card's page shows its pictures from here.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import uuid
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.db.models import Func, TextField

from diagnosis.card import PICTURES
from diagnosis.models import ModelVersion
from mlcore.artefacts import FOLDER as ARTEFACTS
from mlcore.card import CARD_FILE, WEIGHTS_FILE, ModelCard, card_from_json, load_card
from mlcore.contracts import ModelIntegrityError
from mlcore.registry import bundled_folder, verify_files

FIGURES = "figures"
#: Names of pictures, without their ending: nothing else in a folder can be asked for.
FIGURE_NAME = re.compile(rf"(?:{'|'.join(PICTURES)})(?:[-_][a-z0-9_-]{{1,60}})?")
FIGURE_BYTES = 2 * 1024 * 1024
_BUNDLED = "bundled"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


def model_folder(model: ModelVersion) -> Path:
    """Where the files of a model version lie."""
    return Path(settings.MODEL_ROOT) / model.folder


def is_bundled(model: ModelVersion) -> bool:
    """Did this version come with the program?"""
    return model.folder.startswith(f"{_BUNDLED}/")


def files_store(source: Path, card: ModelCard) -> str:
    """Copy the files of a model folder into the store and prove the copy; its name there.

    Storing again replaces card and pictures, and weights that went missing or bad. Raises ModelIntegrityError where
    the name cannot stand in a command, or the copy is not what the card says.
    """
    if not (_NAME.fullmatch(card.name) and _NAME.fullmatch(card.version)):
        raise ModelIntegrityError("name and version of a model are letters, digits, dots, dashes and underscores")
    bundled = source.resolve().is_relative_to(bundled_folder().parent.resolve())
    name = f"{_BUNDLED}/{card.name}@{card.version}" if bundled else f"{card.name}@{card.version}"
    target = Path(settings.MODEL_ROOT) / name
    if source.resolve() != target.resolve():
        _copy(source, target, card)
    files_verify(target, card)
    return name


def files_verify(folder: Path, card: ModelCard) -> None:
    """Raise ModelIntegrityError unless the folder holds these files and makes the same numbers of a film."""
    verify_files(folder, card)
    if not same_numbers(load_card(folder), card):
        raise ModelIntegrityError("the card in the model's folder differs from the registered one")


def files_fingerprint(model: ModelVersion) -> tuple[str, str]:
    """sha256 of the weights and of the card as they lie in the store now. Raises ModelIntegrityError."""
    try:
        weights, card = ((model_folder(model) / name).read_bytes() for name in (WEIGHTS_FILE, CARD_FILE))
    except OSError as error:
        raise ModelIntegrityError("files of the model cannot be read") from error
    return hashlib.sha256(weights).hexdigest(), hashlib.sha256(card).hexdigest()


def registered_card(model: ModelVersion) -> ModelCard:
    """The card as the row has it now. It is long, so it is read again only where the row was written since. Raises
    ModelIntegrityError."""
    table = ModelVersion._meta.db_table
    written = Func(template=f"({table}.xmin, {table}.ctid)::text", output_field=TextField())
    return _card(model.pk, ModelVersion.objects.values_list(written, flat=True).get(pk=model.pk))


@lru_cache(maxsize=8)
def _card(model_id: uuid.UUID, written: str) -> ModelCard:
    return card_from_json(ModelVersion.objects.values_list("card", flat=True).get(pk=model_id))


def same_numbers(one: ModelCard, other: ModelCard) -> bool:
    """Do two cards say the same of every film? Texts and metrics may differ."""

    def recipe(card: ModelCard) -> tuple[object, ...]:
        points = dict(card.operating_points)
        return card.sha256, card.labels, card.architecture, card.preprocessing, card.calibration, points, card.artefacts

    return recipe(one) == recipe(other)


def figure_names(model: ModelVersion) -> list[str]:
    """The pictures that lie in a version's folder, by name, without their ending."""
    folder = model_folder(model) / FIGURES
    return sorted(path.stem for path in folder.glob("*.svg") if _is_figure(path))


def figure_read(model: ModelVersion, name: str) -> bytes | None:
    """One picture (SVG), or None where there is none of this name."""
    if not FIGURE_NAME.fullmatch(name):
        return None
    path = model_folder(model) / FIGURES / f"{name}.svg"
    return path.read_bytes() if _is_figure(path) else None


def _is_figure(path: Path) -> bool:
    return bool(
        FIGURE_NAME.fullmatch(path.stem)
        and path.is_file()
        and not path.is_symlink()
        and path.stat().st_size <= FIGURE_BYTES
    )


def _copy(source: Path, target: Path, card: ModelCard) -> None:
    """Each file appears whole or not at all: a worker may be reading the folder."""
    figures = {f"{FIGURES}/{path.name}" for path in (source / FIGURES).glob("*.svg") if _is_figure(path)}
    (target / FIGURES).mkdir(parents=True, exist_ok=True)
    for stale in (target / FIGURES).iterdir():
        if f"{FIGURES}/{stale.name}" not in figures:
            stale.unlink()
    numbers = {WEIGHTS_FILE, *(file for artefact in card.artefacts if artefact.passes for file in artefact.files)}
    (target / ARTEFACTS).mkdir(exist_ok=True)
    names = [*sorted(figures), CARD_FILE]
    with suppress(ModelIntegrityError):
        verify_files(target, card)
        return _place(source, target, names)
    _place(source, target, [*sorted(numbers), *names])


def _place(source: Path, target: Path, names: list[str]) -> None:
    for name in names:
        draft = target / f".{uuid.uuid4().hex}"
        try:
            shutil.copyfile(source / name, draft)
            os.replace(draft, target / name)
        finally:
            draft.unlink(missing_ok=True)

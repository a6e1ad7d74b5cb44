"""Does every row have its file, as it was written? Everything is read again, nothing is changed.

May import: Django, `diagnosis.models`, `.storage`, `.services.model_files`, `mlcore`. `manage.py verify_store` and
`restore` ask here; faults name rows by their ids only.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db.models import Exists, OuterRef

from diagnosis import storage
from diagnosis.models import Job, ModelVersion, Radiograph
from diagnosis.services import model_files
from mlcore.card import card_from_json
from mlcore.contracts import ModelIntegrityError
from patients.errors import ApplicationError

#: A film whose row is not committed yet has a file already; a day later it has its row, or nobody will name it.
UNNAMED_AFTER_SECONDS = 24 * 60 * 60
_CHUNK = 500
_ASKED = (Job.State.QUEUED, Job.State.RUNNING, Job.State.SUCCEEDED)


@dataclass(frozen=True, slots=True)
class Fault:
    """A row whose file is not what was written: `original of radiograph 1b4e…: missing or damaged`."""

    what: str
    row: str
    problem: str = "missing or damaged"

    def __str__(self) -> str:
        return f"{self.what} of {self.row}: {self.problem}"


def films_count() -> int:
    """Films that have files: those whose picture expired have none."""
    return Radiograph.objects.filter(expiry__isnull=True).count()


def films_expired_verify() -> list[Fault]:
    """Films whose picture expired, and that have files all the same: after a restore, or a removal that was cut off."""
    shared = Radiograph.objects.filter(sha256=OuterRef("sha256"), expiry__isnull=True)
    films = Radiograph.objects.filter(~Exists(shared), expiry__isnull=False).order_by("created_at", "id")
    problem = "still there; `manage.py retention --apply --yes` removes them"
    return [
        Fault("files", f"expired radiograph {film.pk}", problem) for film in films if storage.film_size(film.sha256)
    ]


def films_verify() -> Iterator[list[Fault]]:
    """What is wrong with the files of each film, film by film: the original by its sha256, what the stages made from it
    by the checksums of its format, and model inputs by the film's hash inside them.

    Raises `storage_unavailable` where the disk is away as a whole.
    """
    films = Radiograph.objects.filter(expiry__isnull=True).order_by("created_at", "id")
    for film in films.prefetch_related("predictions", "jobs__model_version").iterator(chunk_size=_CHUNK):
        yield list(_film_faults(film))


def models_verify() -> list[Fault]:
    """Model versions whose folder does not hold the registered weights, or makes other numbers of a film."""
    faults = []
    for model in ModelVersion.objects.order_by("created_at"):
        try:
            model_files.files_verify(model_files.model_folder(model), card_from_json(model.card))
        except ModelIntegrityError as error:
            faults.append(Fault("files", f"model version {model.reference}", str(error)))
    return faults


def files_unnamed() -> Iterator[Path]:
    """Files older than a day that no row names: reported, never deleted here."""
    before = time.time() - UNNAMED_AFTER_SECONDS
    for path in _unnamed():
        if path.stat().st_mtime < before:
            yield path


def _film_faults(film: Radiograph) -> Iterator[Fault]:
    row = f"radiograph {film.pk}"
    if not _reads(storage.original_read, film.sha256):
        yield Fault("original", row)
    if film.display_key and not _reads(storage.derived_verify, film.display_key):
        yield Fault("display copy", row)
    own_copy = film.reading_key not in ("", film.display_key)
    if own_copy and not _reads(storage.derived_verify, film.reading_key):
        yield Fault("reading copy", row)
    for recipe in sorted(_recipes(film)):
        if not _input_is_of(film, recipe):
            yield Fault(f"model input {recipe}", row)
    for prediction in film.predictions.all():
        if prediction.map_key and not _reads(storage.derived_verify, prediction.map_key):
            yield Fault(f"map of prediction {prediction.pk}", row)


def _recipes(film: Radiograph) -> set[str]:
    """The preprocessing of every model version that was, or will be, asked about this film."""
    asked = [job for job in film.jobs.all() if job.kind == Job.Kind.INFER and job.state in _ASKED and job.model_version]
    return {card_from_json(job.model_version.card).preprocessing.id for job in asked if job.model_version}


def _input_is_of(film: Radiograph, recipe: str) -> bool:
    try:
        return storage.input_read(film.sha256, recipe).image_sha256 == film.sha256
    except ApplicationError as error:
        return _absent(error)


def _reads(read: object, key: str) -> bool:
    try:
        read(key)  # type: ignore[operator]
    except ApplicationError as error:
        return _absent(error)
    return True


def _absent(error: ApplicationError) -> bool:
    """False for a film's own damage; a disk that is away is no finding about any film."""
    if error.code != "image_integrity":
        raise error
    return False


def _unnamed() -> Iterator[Path]:
    for folder in storage.hash_folders():
        found = {path.name: path for path in folder.iterdir()}
        known = Radiograph.objects.filter(sha256__startswith=folder.name).values_list("sha256", flat=True)
        for name in sorted(found.keys() - set(known)):
            yield found[name]
    named = {model_files.model_folder(model) for model in ModelVersion.objects.all()}
    for card in sorted(Path(settings.MODEL_ROOT).glob("**/card.json")):
        if card.parent not in named:
            yield card.parent

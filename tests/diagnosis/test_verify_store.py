"""`manage.py verify_store`: one flipped byte in any file that a row names is found; what no row names is kept."""

from __future__ import annotations

import io
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from diagnosis import storage
from diagnosis.models import Job, ModelVersion, Prediction
from diagnosis.services.infer import infer_waiting
from diagnosis.services.model_files import model_folder
from mlcore.card import WEIGHTS_FILE
from tests.encodings import as_png16
from tests.films import synthetic_film

pytestmark = pytest.mark.django_db
DAY_AND_HOUR = 25 * 60 * 60


@pytest.fixture
def read_film(model: ModelVersion, prepared: Callable[..., Job]) -> Job:
    """A 16-bit film that went the whole way, and so has every kind of file."""
    job = prepared(data=as_png16(synthetic_film(1)))
    infer_waiting(worker="test")
    return Job.objects.get(pk=job.pk)


def said() -> str:
    out = io.StringIO()
    call_command("verify_store", stdout=out)
    return out.getvalue()


def faults() -> list[str]:
    """The lines of faults; the command must end with exit status 1."""
    out = io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("verify_store", stdout=out)
    assert caught.value.returncode == 1
    return out.getvalue().splitlines()


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)


def middle_of_content(path: Path) -> int:
    """Where a byte of the picture or of the numbers lies: an archive also has bytes that nobody reads."""
    if path.suffix != ".npz":
        return path.stat().st_size // 2
    with zipfile.ZipFile(path) as archive:
        member = archive.infolist()[-1]
    return member.header_offset + 30 + len(member.filename) + 20 + member.compress_size // 2


def files_of(job: Job) -> dict[str, Path]:
    film, prediction = job.radiograph, Prediction.objects.get(radiograph=job.radiograph)
    folder = storage.path_of(film.display_key).parent
    keys = {film.display_key, film.reading_key, prediction.map_key}
    (model_input,) = (path for path in folder.iterdir() if storage.derived_key(film.sha256, path.name) not in keys)
    return {
        "original": storage.path_of(storage.original_key(film.sha256)),
        "display copy": storage.path_of(film.display_key),
        "reading copy": storage.path_of(film.reading_key),
        "model input": model_input,
        "map": storage.path_of(prediction.map_key),
    }


def test_a_store_as_it_was_written_is_said_so(read_film):
    assert "1 films and every model version are stored as they were written." in said()


@pytest.mark.parametrize("kind", ["original", "display copy", "reading copy", "model input", "map"])
def test_one_flipped_byte_is_found_and_names_the_row_by_its_id(read_film, kind):
    path = files_of(read_film)[kind]
    flip(path, middle_of_content(path))
    (line,) = faults()
    assert line.startswith(kind)
    named = Prediction.objects.get().pk if kind == "map" else read_film.radiograph_id
    assert str(named) in line


@pytest.mark.parametrize("kind", ["original", "display copy", "reading copy", "model input", "map"])
def test_a_file_that_is_gone_is_found(read_film, kind):
    files_of(read_film)[kind].unlink()
    (line,) = faults()
    assert line.startswith(kind)


def test_a_flipped_byte_in_a_models_weights_is_found(read_film):
    flip(model_folder(read_film.model_version) / WEIGHTS_FILE, 3)
    (line,) = faults()
    assert "model version test-reader@1.0.0" in line
    assert "sha256" in line


def test_nothing_of_a_patient_is_printed(read_film):
    for path in files_of(read_film).values():
        path.unlink()
    patient = read_film.radiograph.study.patient
    assert not any(word in line for line in faults() for word in (patient.name, "0017"))


def test_files_that_no_row_names_are_listed_after_a_day_and_kept(read_film):
    strays = [
        storage.path_of(storage.original_key("ab" * 32)),
        storage.path_of(storage.derived_key("cd" * 32, "display.png")),
    ]
    for stray in strays:
        stray.parent.mkdir(parents=True, exist_ok=True)
        stray.write_bytes(b"")
    assert "no row names it" not in said()
    before = time.time() - DAY_AND_HOUR
    for path in [*strays, strays[1].parent]:
        os.utime(path, (before, before))
    text = said()
    assert text.count("no row names it") == 2
    assert all(stray.exists() for stray in strays)


def test_a_disk_that_is_away_is_not_called_damage(read_film, media_root):
    (media_root / storage.ORIGINALS).rename(media_root / "elsewhere")
    with pytest.raises(CommandError, match="storage cannot be read"):
        said()

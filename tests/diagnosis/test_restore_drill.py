"""The restore drill, and what backup and restore refuse: a populated site, and a second, empty database."""

from __future__ import annotations

import io
import json
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from cxrsite import backup, dumps
from cxrsite.database import as_owner
from diagnosis import storage
from diagnosis.models import Job, ModelVersion, Prediction, Radiograph
from diagnosis.services.infer import infer_waiting
from diagnosis.services.prepare import prepare_next
from diagnosis.services.queue import jobs_claim
from diagnosis.services.recovery import sweep
from patients.models import AuditEvent
from tests import factories
from tests.diagnosis.workers import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backup"


@contextmanager
def another_database() -> Iterator[None]:
    here, there = connection.settings_dict["NAME"], f"drill_{uuid.uuid4().hex[:8]}"
    with as_owner(), connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {there} TEMPLATE template0")
    connection.close()
    connection.settings_dict["NAME"] = there
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = here
        with as_owner(), connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {there} WITH (FORCE)")


@pytest.fixture
def elsewhere(settings: Any, tmp_path: Path) -> Callable[[], Any]:
    """`with elsewhere():` this process works with another, empty database and empty folders: another computer."""

    @contextmanager
    def go() -> Iterator[None]:
        kept = {name: getattr(settings, name) for name in ("MEDIA_ROOT", "MODEL_ROOT", "SENDFILE_ROOT")}
        with another_database():
            for name in ("MEDIA_ROOT", "MODEL_ROOT"):
                setattr(settings, name, tmp_path / "elsewhere" / name.lower())
            settings.SENDFILE_ROOT = str(settings.MEDIA_ROOT)
            yield
        for name, value in kept.items():
            setattr(settings, name, value)

    return go


def run(*command: object) -> str:
    out = io.StringIO()
    call_command(*map(str, command), stdout=out)
    return out.getvalue()


def refusal(*command: object) -> str:
    with pytest.raises(CommandError) as caught:
        run(*command)
    assert caught.value.returncode == 1
    return str(caught.value)


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text())


@contextmanager
def films_arriving(take_in: Callable[..., Radiograph]) -> Iterator[list[Radiograph]]:
    """Somebody goes on sending films, until the block ends."""
    sent: list[Radiograph] = []
    stop = threading.Event()

    def send() -> None:
        seed = 100
        while not stop.is_set():
            sent.append(take_in(seed))
            seed += 1
        connection.close()

    sender = threading.Thread(target=send)
    sender.start()
    try:
        wait_for(lambda: sent)
        yield sent
    finally:
        stop.set()
        sender.join()


def test_restore_drill(model, prepared, take_in, user_for, settings, folder, elsewhere):
    """F28: what was there at the backup is all there, verified; what was being worked on is finished; people work."""
    read = [prepared(seed) for seed in (1, 2, 3)]
    infer_waiting(worker="test")
    settings.JOB_LEASE_SECONDS = 0
    being_worked_on = prepared(4)
    assert jobs_claim(kind="infer", limit=1, worker="lost with the computer") == [being_worked_on]
    radiologist = user_for("radiologist")

    with films_arriving(take_in) as arriving:
        run("backup", folder)
        wait_for(lambda: len(arriving) > 3)
    late = take_in(900)

    counted = manifest(folder)["rows"]
    with elsewhere():
        said = run("restore", folder)
        assert "are stored as they were written." in said
        assert "Nothing was changed." in said
        assert Radiograph.objects.count() == counted["diagnosis_radiograph"] >= 5
        assert not Radiograph.objects.filter(pk=late.pk).exists()
        for film in Radiograph.objects.all():
            storage.original_read(film.sha256)
        assert Prediction.objects.count() == len(read)
        assert AuditEvent.objects.filter(verb="restore").count() == 1

        assert Job.objects.get(pk=being_worked_on.pk).state == "running"
        assert sweep().taken_back == 1
        while prepare_next(worker="after"):
            pass
        infer_waiting(worker="after")
        assert set(Job.objects.values_list("state", flat=True)) == {"succeeded"}

        browser = Client()
        answer = browser.post("/accounts/login/", {"login": radiologist.username, "password": factories.PASSWORD})
        assert answer.status_code == 302
        page = browser.get(f"/studies/{read[0].radiograph.study_id}/")
        assert page.status_code == 200
        assert b"pneumonia" in page.content.lower()
        assert browser.get(f"/images/{read[0].radiograph_id}/").status_code == 200


def test_the_folder_is_for_its_owner_and_checks_itself(model, prepared, folder):
    prepared(1)
    run("backup", folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    assert not [path for path in folder.rglob(".*")]
    found = manifest(folder)
    assert found["rows"]["diagnosis_radiograph"] == 1
    assert "diagnosis.0003_guards" in found["migrations"]
    assert settings_secret() not in (folder / "manifest.json").read_text()


def settings_secret() -> str:
    from django.conf import settings

    return str(settings.SECRET_KEY)


def test_only_new_films_are_copied_and_none_is_forgotten(take_in, folder):
    first = take_in(1)
    run("backup", folder)
    kept = folder / "films" / storage.original_key(first.sha256)
    before = kept.stat().st_ino
    storage.path_of(storage.original_key(first.sha256)).unlink()
    second = take_in(2)
    run("backup", folder)
    assert kept.stat().st_ino == before
    names = backup.sums_read(folder)
    assert {f"films/{storage.original_key(film.sha256)}" for film in (first, second)} <= set(names)


def test_films_can_be_linked_instead_of_copied(take_in, folder):
    film = take_in(1)
    run("backup", folder, "--link")
    key = storage.original_key(film.sha256)
    assert (folder / "films" / key).samefile(storage.path_of(key))


def test_a_film_that_rotted_in_the_store_is_said_and_left_out(take_in, folder):
    good, rotten = take_in(1), take_in(2)
    path = storage.path_of(storage.original_key(rotten.sha256))
    path.chmod(0o600)
    path.write_bytes(b"?" + path.read_bytes()[1:])
    assert "1 films are damaged" in refusal("backup", folder)
    assert manifest(folder)["left_out"] == [rotten.sha256]
    assert [name for name in backup.sums_read(folder) if "originals" in name] == [
        f"films/{storage.original_key(good.sha256)}"
    ]


def test_a_backup_that_is_cut_off_leaves_the_one_before(take_in, folder, monkeypatch, elsewhere):
    take_in(1)
    run("backup", folder)
    before = manifest(folder)
    take_in(2)
    monkeypatch.setattr(backup, "_publish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        run("backup", folder)
    monkeypatch.undo()
    assert manifest(folder) == before
    with elsewhere():
        run("restore", folder)
        assert Radiograph.objects.count() == 1


def test_a_first_backup_that_is_cut_off_is_no_backup_and_is_gone_on_with(take_in, folder, monkeypatch):
    take_in(1)
    monkeypatch.setattr(backup, "_publish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        run("backup", folder)
    monkeypatch.undo()
    assert "holds no complete backup" in refusal("restore", folder)
    run("backup", folder)
    assert manifest(folder)["rows"]["diagnosis_radiograph"] == 1


def test_a_folder_with_other_things_or_inside_the_store_is_refused(clinic, folder, media_root):
    folder.mkdir()
    (folder / "letter.txt").write_text("mine")
    assert "holds other things" in refusal("backup", folder)
    assert "lie in one another" in refusal("backup", media_root / "backup")


def test_nothing_in_use_is_ever_overwritten(take_in, folder, elsewhere):
    take_in(1)
    run("backup", folder)
    assert "empty database only" in refusal("restore", folder)
    with elsewhere():
        stranger = storage.path_of(storage.original_key("ab" * 32))
        stranger.parent.mkdir(parents=True)
        stranger.write_bytes(b"another film")
        assert "films that are not in this backup" in refusal("restore", folder)
        assert "patients_user" not in connection.introspection.table_names()


def test_a_running_site_is_not_restored_under_its_feet(take_in, folder, elsewhere):
    take_in(1)
    run("backup", folder)
    with elsewhere():
        other = connection.copy()
        other.ensure_connection()
        assert "Stop the site first" in refusal("restore", folder)
        other.close()


@pytest.mark.parametrize("name", ["database.dump", "SHA256SUMS"])
def test_one_flipped_byte_in_dump_or_list_is_refused_before_anything_changes(take_in, folder, elsewhere, name):
    take_in(1)
    run("backup", folder)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with elsewhere():
        assert "older copy" in refusal("restore", folder)
        assert dumps.tables() == {}


def test_a_film_damaged_in_the_backup_is_named_and_all_else_comes_back(take_in, folder, elsewhere):
    good, rotten = take_in(1), take_in(2)
    run("backup", folder)
    path = folder / "films" / storage.original_key(rotten.sha256)
    path.chmod(0o600)
    path.write_bytes(b"?" + path.read_bytes()[1:])
    with elsewhere():
        assert "not everything is whole" in refusal("restore", folder)
        storage.original_read(good.sha256)
        assert not storage.path_of(storage.original_key(rotten.sha256)).exists()
        assert Radiograph.objects.count() == 2


def test_a_backup_of_a_newer_program_is_refused(take_in, folder, elsewhere):
    take_in(1)
    run("backup", folder)
    found = manifest(folder)
    found["migrations"].append("diagnosis.9999_of_the_future")
    (folder / "manifest.json").write_text(json.dumps(found))
    with elsewhere():
        assert "newer program (diagnosis.9999_of_the_future)" in refusal("restore", folder)


def test_the_audit_written_anew_after_the_backup_does_not_pass(take_in, folder, elsewhere):
    """The head in the manifest is the witness: a chain of the same length with another end is found."""
    take_in(1)
    run("verify_audit", "--seal")
    run("backup", folder)
    found = manifest(folder)
    found["audit_head"] = "0" * 64 + "@" + found["audit_head"].split("@")[1]
    (folder / "manifest.json").write_text(json.dumps(found))
    with elsewhere():
        assert "audit is not what was recorded" in refusal("restore", folder)


def test_models_come_back_with_the_database(model, folder, elsewhere):
    run("backup", folder)
    with elsewhere():
        run("restore", folder)
        assert ModelVersion.objects.get().status == "active"
        run("verify_store")

"""Between the first byte and the 201: what a power cut, a kill or a full disk finds is all of a film or nothing."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from rest_framework.test import APIClient

from diagnosis import storage
from diagnosis.models import Job, Radiograph, Study
from diagnosis.monitoring import alerts_read
from diagnosis.services import intake
from diagnosis.services.prepare import prepare_next
from diagnosis.services.recovery import sweep
from patients.models import AuditEvent
from tests.api.problems import assert_problem
from tests.diagnosis.conftest import small_film

Post = Callable[..., Any]
NO_TMPFS = "a file system of this test's own cannot be mounted here (that needs root)"


@pytest.fixture
def post(api_for: Callable[..., APIClient], patient: Any) -> Post:
    """`post()` sends a new small film as an API client does."""
    client = api_for("operator")

    def send(data: bytes = b"") -> Any:
        film = SimpleUploadedFile("film.png", data or small_film(uuid.uuid4()), "image/png")
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        return client.post(
            "/api/v1/studies/", {"file": film, "patient": patient.pk}, format="multipart", headers=headers
        )

    return send


@pytest.mark.django_db(transaction=True)
def test_f2_file_then_folder_then_rows_are_on_disk_before_the_answer(post, media_root, monkeypatch):
    steps: list[str] = []
    fsync, replace, commit = os.fsync, os.replace, connection._commit

    def spied_fsync(descriptor: int) -> None:
        fsync(descriptor)
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path.parent.name == storage.DRAFTS:
            steps.append("file synced")
        elif path.parent.name == storage.ORIGINALS:
            steps.append("folder synced")

    def spied_replace(source: Path, target: Path) -> None:
        replace(source, target)
        steps.append("renamed")

    monkeypatch.setattr(storage.os, "fsync", spied_fsync)
    monkeypatch.setattr(storage.os, "replace", spied_replace)
    monkeypatch.setattr(connection, "_commit", lambda: (commit(), steps.append("committed")))
    for _ in range(10):
        steps.clear()
        assert post().status_code == 201
        first = [steps.index(step) for step in ("file synced", "renamed", "folder synced", "committed")]
        assert first == sorted(first), steps
        assert steps.count("renamed") == 1
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        assert cursor.fetchone() == ("on",)


@pytest.mark.django_db(transaction=True)
def test_f3_a_web_worker_that_dies_between_commit_and_hint_loses_no_film(
    take_in, user_for, hints, monkeypatch, settings
):
    settings.SWEEP_SECONDS = 0
    user_for("operator")
    for seed in range(10):
        connection.close()
        if (child := os.fork()) == 0:
            monkeypatch.setattr(intake, "hint_publish", lambda kind, **options: os._exit(9))
            try:
                take_in(data=small_film(uuid.UUID(int=seed + 1)))
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert Job.objects.filter(state="queued").count() == 10
    assert hints == []
    sweep()
    assert hints == ["prepare"] * 10
    while prepare_next(worker="test"):
        pass
    assert set(Radiograph.objects.values_list("state", flat=True)) == {"ready"}


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(NO_TMPFS)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("full", ["MEDIA_ROOT", "FILE_UPLOAD_TEMP_DIR"])
def test_f19_a_full_disk_refuses_the_film_keeps_nothing_and_recovers(post, settings, tiny_disk, full):
    setattr(settings, full, str(tiny_disk))
    ballast = tiny_disk / "ballast"
    free = os.statvfs(tiny_disk).f_bavail * os.statvfs(tiny_disk).f_frsize
    ballast.write_bytes(bytes(free - 24 * 1024))
    film = small_film(uuid.uuid4())
    assert len(film) > 24 * 1024, "the film does not fit"

    assert_problem(post(film), "storage_unavailable")
    assert (Study.objects.count(), Radiograph.objects.count(), Job.objects.count()) == (0, 0, 0)
    assert [path for path in tiny_disk.rglob("*") if path.is_file()] == [ballast], "no partial file"
    assert AuditEvent.objects.get(verb="upload").outcome == "storage_unavailable"

    ballast.unlink()
    assert post(film).status_code == 201
    assert storage.original_read(Radiograph.objects.get().sha256) == film


def test_f20_a_byte_that_flipped_in_the_original_is_found_by_the_worker_and_raises_the_alarm(take_in):
    for part in range(8):
        film = take_in(data=small_film(uuid.UUID(int=part + 1)))
        path = storage.path_of(storage.original_key(film.sha256))
        path.chmod(0o600)
        content = bytearray(path.read_bytes())
        content[part * len(content) // 8] ^= 0xFF
        path.write_bytes(content)
        assert prepare_next(worker="test")
    assert set(Job.objects.values_list("state", "error_code")) == {("failed", "image_integrity")}
    (damaged,) = [alert for alert in alerts_read() if alert.code == "films_damaged"]
    assert "within a day: 8." in damaged.sentence

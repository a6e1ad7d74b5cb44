"""Storage: durable, write-once, honest about damage, and nothing half written."""

from __future__ import annotations

import errno
import hashlib
import os
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diagnosis import storage
from mlcore.contracts import ModelInput
from patients.errors import ApplicationError

CONTENT = b"the bytes of a film"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "incoming" / "film.upload.png"
    path.write_bytes(CONTENT)
    return path


def code_of(call: Any, *args: Any) -> str:
    with pytest.raises(ApplicationError) as caught:
        call(*args)
    return caught.value.code


def test_an_original_reads_back_by_its_hash(source):
    storage.original_store(source, SHA256)
    source.unlink()
    assert storage.original_read(SHA256) == CONTENT
    assert [path.name for folder in storage.hash_folders() for path in folder.iterdir()] == [SHA256]


def test_file_and_folder_are_synced_around_the_rename(source, monkeypatch):
    storage.original_store(source, SHA256)
    storage.path_of(storage.original_key(SHA256)).unlink()
    steps: list[str] = []
    sync, replace = storage._sync, os.replace
    monkeypatch.setattr(storage, "_sync", lambda path: (steps.append(f"sync {path.parent.name}"), sync(path)))
    monkeypatch.setattr(os, "replace", lambda *paths: (steps.append("rename"), replace(*paths)))
    storage.original_store(source, SHA256)
    assert steps == ["sync drafts", "rename", f"sync {storage.ORIGINALS}"]


def test_a_stored_original_is_not_written_again(source):
    storage.original_store(source, SHA256)
    path = storage.path_of(storage.original_key(SHA256))
    before = path.stat()
    storage.original_store(source, SHA256)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_copy_that_rotted_is_replaced_when_the_film_comes_again(source, tmp_path):
    path = storage.path_of(storage.original_key(SHA256))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"rot")
    storage.original_store(source, SHA256)
    assert storage.original_read(SHA256) == CONTENT


def test_another_file_system_is_copied_to(source, monkeypatch):
    def refuse(*paths: Any) -> None:
        raise OSError(errno.EXDEV, "other device")

    monkeypatch.setattr(os, "link", refuse)
    storage.original_store(source, SHA256)
    assert storage.original_read(SHA256) == CONTENT


def test_a_flipped_byte_is_found(source):
    storage.original_store(source, SHA256)
    path = storage.path_of(storage.original_key(SHA256))
    path.chmod(0o600)
    path.write_bytes(b"T" + CONTENT[1:])
    assert code_of(storage.original_read, SHA256) == "image_integrity"


def test_a_lost_original_is_damage_and_a_lost_disk_is_not(source):
    assert code_of(storage.original_read, SHA256) == "storage_unavailable"
    storage.original_store(source, SHA256)
    storage.path_of(storage.original_key(SHA256)).unlink()
    assert code_of(storage.original_read, SHA256) == "image_integrity"


def test_a_full_disk_leaves_no_partial_file(media_root, monkeypatch):
    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(storage, "_sync", full)
    storage.path_of("derived/ab").mkdir(parents=True)
    storage.path_of(f"derived/{SHA256[:2]}/{SHA256}").mkdir(parents=True)
    assert code_of(storage.display_write, SHA256, b"png") == "storage_unavailable"
    assert not [path for path in media_root.rglob("*") if path.is_file()]


def test_a_model_input_carries_its_hash(media_root):
    array = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4, 1)
    storage.input_write(ModelInput(array, SHA256, "recipe-v1"))
    found = storage.input_read(SHA256, "recipe-v1")
    assert (found.image_sha256, found.preprocessing) == (SHA256, "recipe-v1")
    assert (found.array == array).all()


@pytest.mark.parametrize("damage", [b"", b"no archive", None])
def test_a_model_input_that_is_gone_or_damaged_is_said_so(media_root, damage):
    storage.input_write(ModelInput(np.zeros((3, 4, 1), np.float32), SHA256, "recipe-v1"))
    path = next(media_root.rglob("recipe-v1.npz"))
    path.unlink() if damage is None else path.write_bytes(damage)
    assert code_of(storage.input_read, SHA256, "recipe-v1") == "image_integrity"


def test_maps_read_back_with_their_labels(media_root):
    maps = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    key = storage.maps_write(SHA256, uuid.UUID(int=7), ("normal", "pneumonia", "effusion"), maps)
    labels, found = storage.maps_read(key)
    assert labels == ("normal", "pneumonia", "effusion")
    assert (found == maps).all()


def test_maps_that_are_gone_are_not_found(media_root):
    assert code_of(storage.maps_read, "derived/ab/none.npz") == "not_found"


def test_a_derived_name_cannot_leave_its_folder():
    with pytest.raises(ValueError, match="plain name"):
        storage.derived_key(SHA256, "../../secret")

"""Files of films on disk, durable before any row names them: originals by the hash of their bytes, written once, and
what the stages derive from them.

May import: NumPy, Pillow, Django's settings, `mlcore.preprocess`, `mlcore.contracts`, `patients.errors`. Layout under
MEDIA_ROOT: `originals/<sha[:2]>/<sha>`, `derived/<sha[:2]>/<sha>/<name>`, and `drafts/` for what is not complete yet.
The web tier deletes nothing; `film_remove` is for retention alone.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
import uuid
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from django.conf import settings
from PIL import Image

from mlcore.contracts import ImageArray, ModelInput
from mlcore.preprocess import read_model_input, write_model_input
from patients.errors import ApplicationError

ORIGINALS, DERIVED, DRAFTS = "originals", "derived", "drafts"
_NO_HARD_LINKS = {errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK}


def path_of(key: str) -> Path:
    """Where the file of a key lies."""
    return Path(settings.MEDIA_ROOT) / key


def original_key(sha256: str) -> str:
    return f"{ORIGINALS}/{sha256[:2]}/{sha256}"


def derived_key(sha256: str, name: str) -> str:
    """The key of a file that a stage derives from the original with this hash."""
    if os.path.basename(name) != name or name.startswith("."):
        raise ValueError("a derived file has a plain name")
    return f"{DERIVED}/{sha256[:2]}/{sha256}/{name}"


# --- originals


def original_store(source: Path, sha256: str) -> None:
    """Keep the bytes of `source`, whose hash is `sha256`: on return they survive a power cut.

    What is stored stays as it is; only a copy that rotted is replaced. Raises `storage_unavailable`, and then leaves
    no partial file.
    """
    target = path_of(original_key(sha256))
    with _disk():
        _make_folder(target.parent)
        if not (target.exists() and _file_sha256(target) == sha256):
            with _draft(target) as draft:
                _link_or_copy(source, draft)
                os.chmod(draft, 0o440)
                _sync(draft)
        _sync(target.parent)


def original_read(sha256: str) -> bytes:
    """The stored bytes. Raises `image_integrity` when they are gone or no longer have this hash, and
    `storage_unavailable` when the disk itself is."""
    path = path_of(original_key(sha256))
    with _disk():
        if not path.exists() and path_of(ORIGINALS).is_dir():
            raise ApplicationError("image_integrity")
        content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ApplicationError("image_integrity")
    return content


def film_size(sha256: str) -> int:
    """How many bytes the original and everything made from it take; 0 where nothing is left."""
    with _disk():
        return sum(path.stat().st_size for path in _files_of(sha256))


def film_remove(sha256: str) -> None:
    """Remove the original and everything made from it, for good. Called by `diagnosis.services.retention` alone."""
    with _disk():
        for path in _files_of(sha256):
            path.unlink()
        folder = path_of(derived_key(sha256, "any")).parent
        if folder.is_dir():
            folder.rmdir()


def _files_of(sha256: str) -> list[Path]:
    original, derived = path_of(original_key(sha256)), path_of(derived_key(sha256, "any")).parent
    return [*([original] if original.exists() else []), *(derived.iterdir() if derived.is_dir() else [])]


def hash_folders() -> Iterator[Path]:
    """Every folder whose entries are named by the hashes of films: of originals, and of what was made from them."""
    for kind in (ORIGINALS, DERIVED):
        yield from sorted(path_of(kind).glob("[0-9a-f][0-9a-f]"))


# --- what the stages derive


def display_write(sha256: str, png: bytes) -> str:
    """Store the display image; its key."""
    return _derived_write(derived_key(sha256, "display.png"), png)


def reading_write(sha256: str, png: bytes) -> str:
    """Store the reading copy, the film's own values; its key."""
    return _derived_write(derived_key(sha256, "reading.png"), png)


def input_write(value: ModelInput) -> None:
    """Store a model input beside its original, by its preprocessing."""
    buffer = io.BytesIO()
    write_model_input(buffer, value)
    _derived_write(_input_key(value.image_sha256, value.preprocessing), buffer.getvalue())


def input_read(sha256: str, preprocessing: str) -> ModelInput:
    """The model input of an original. Its `image_sha256` is the one found inside the file.

    Raises `image_integrity` when it is gone or damaged, `storage_unavailable` when the disk is.
    """
    with _disk():
        try:
            content = path_of(_input_key(sha256, preprocessing)).read_bytes()
        except FileNotFoundError as error:
            raise ApplicationError("image_integrity") from error
    try:
        return read_model_input(io.BytesIO(content))
    except Exception as error:  # zip and NumPy raise many things on damaged bytes
        raise ApplicationError("image_integrity") from error


def maps_write(sha256: str, model_id: uuid.UUID, labels: Sequence[str], maps: ImageArray) -> str:
    """Store the class-activation maps (rows, columns, labels) of one film by one model; their key."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, labels=np.array(labels), maps=maps.astype(np.float16))
    return _derived_write(derived_key(sha256, f"maps-{model_id.hex}.npz"), buffer.getvalue())


def maps_read(key: str) -> tuple[tuple[str, ...], ImageArray]:
    """The labels and their maps, float32 (rows, columns, labels), as `maps_write` stored them.

    Raises `not_found` when there are none, `storage_unavailable` when the disk is away.
    """
    with _disk():
        try:
            content = path_of(key).read_bytes()
        except FileNotFoundError as error:
            raise ApplicationError("not_found") from error
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        return tuple(str(label) for label in stored["labels"]), stored["maps"].astype(np.float32)


def derived_verify(key: str) -> None:
    """Read a derived file again by the checksums that its format carries.

    Raises `image_integrity` when it is gone or damaged, `storage_unavailable` when the disk is.
    """
    with _disk():
        path = path_of(key)
        if not path.exists() and path_of(DERIVED).is_dir():
            raise ApplicationError("image_integrity")
        content = io.BytesIO(path.read_bytes())
    try:
        if key.endswith(".npz"):
            with zipfile.ZipFile(content) as archive:
                whole = archive.testzip() is None
        else:
            with Image.open(content, formats=["PNG"]) as picture:
                picture.verify()
                whole = True
    except Exception as error:  # zip and Pillow raise many things on damaged bytes
        raise ApplicationError("image_integrity") from error
    if not whole:
        raise ApplicationError("image_integrity")


def _input_key(sha256: str, preprocessing: str) -> str:
    return derived_key(sha256, f"{preprocessing}.npz")


def _derived_write(key: str, content: bytes) -> str:
    """Written aside, then renamed: a reader sees the old file or the new one. Raises `storage_unavailable`."""
    target = path_of(key)
    with _disk():
        _make_folder(target.parent)
        with _draft(target) as draft:
            draft.write_bytes(content)
            os.chmod(draft, 0o644)  # the web server sends display images
            _sync(draft)
        _sync(target.parent)
    return key


# --- the disk


@contextmanager
def _disk() -> Iterator[None]:
    """Whatever the disk refuses is `storage_unavailable`."""
    try:
        yield
    except OSError as error:
        raise ApplicationError("storage_unavailable") from error


@contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """A file to be written and synced, which then takes the place of `target`; removed when that fails."""
    draft = path_of(DRAFTS) / uuid.uuid4().hex
    draft.parent.mkdir(exist_ok=True)
    try:
        yield draft
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        shutil.copyfile(source, target)


def _make_folder(folder: Path) -> None:
    """Make a folder and its parents so that they survive a power cut too."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync(folder.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

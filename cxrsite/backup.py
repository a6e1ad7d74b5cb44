"""A backup: one folder with stable names, to be kept by restic, a USB disk or anything that copies folders.

    manifest.json     written last: a folder without it is no backup
    SHA256SUMS        every file below with its hash, as `sha256sum --check` reads it
    database.dump     for pg_restore
    films/ models/    the film storage and the model store, file by file

The database goes first and the films second, so every row has its file. Films are written once: only new ones are
copied, and a backup never forgets a film. May import: Django, `cxrsite.dumps`, `diagnosis.storage`, `patients.sealing`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from tqdm import tqdm

from cxrsite import dumps
from diagnosis import storage
from patients.sealing import audit_head

FORMAT = 1
MANIFEST, SUMS, DUMP, FRESH = "manifest.json", "SHA256SUMS", "database.dump", ".fresh"
FILMS, MODELS = "films", "models"
_BLOCK = 1024 * 1024


class BackupError(RuntimeError):
    """A backup could not be made, or this folder is none; the message is a sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds. `rows` counts every table at the moment of the dump; `audit_head` is the seal that
    `verify_audit --head` takes; `left_out` names films that were damaged in the store already."""

    made_at: str
    postgresql: str
    migrations: list[str]
    rows: dict[str, int]
    audit_head: str
    files: int
    bytes: int
    sha256: dict[str, str]
    left_out: list[str] = field(default_factory=list)
    format: int = FORMAT

    @property
    def films(self) -> int:
        return self.rows.get("diagnosis_radiograph", 0)


def stores() -> dict[str, Path]:
    """The two folders that are kept beside the database."""
    return {FILMS: Path(settings.MEDIA_ROOT), MODELS: Path(settings.MODEL_ROOT)}


def backup_make(folder: Path, *, link: bool = False, say: Callable[[str], None] = print) -> Manifest:
    """Bring the backup in `folder` up to date; the site may run. An interrupted run leaves the backup of before.

    With `link` films are hard-linked, which costs no room and protects from nothing until the folder is copied
    elsewhere. Raises BackupError, and DumpError where PostgreSQL refuses.
    """
    with _alone(folder):
        fresh = folder / FRESH
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        say("1/3 database")
        with dumps.snapshot() as moment:
            rows, head, migrations = dumps.tables(), audit_head(), sorted(migrations_applied())
            dumps.database_dump(fresh / DUMP, moment=moment)
        say("2/3 films and models")
        copies = _Copies(folder, fresh, link=link)
        copies.copy_all()
        say("3/3 manifest")
        sums = copies.sums | {DUMP: sha256_of(fresh / DUMP)}
        text = "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(sums.items()))
        manifest = Manifest(
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            postgresql=dumps.server_version(),
            migrations=migrations,
            rows=rows,
            audit_head=str(head or ""),
            files=len(sums),
            bytes=sum(_there(folder, fresh, name).stat().st_size for name in sums),
            sha256={SUMS: hashlib.sha256(text.encode()).hexdigest(), DUMP: sums[DUMP]},
            left_out=copies.damaged,
        )
        (fresh / SUMS).write_text(text)
        _publish(folder, fresh, manifest)
    return manifest


def manifest_read(folder: Path) -> Manifest:
    """The manifest of a backup. Raises BackupError where there is none, or one of a program that is newer."""
    try:
        found = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise BackupError(f"{folder} holds no complete backup: {MANIFEST} cannot be read.") from error
    if found.get("format") != FORMAT:
        raise BackupError("This backup was made by another version of the program. Install that version to restore it.")
    return Manifest(**found)


def sums_read(folder: Path, manifest: Manifest | None = None) -> dict[str, str]:
    """Name → sha256 of every file of a backup. Raises BackupError where the list is not the manifest's."""
    try:
        text = (folder / SUMS).read_text()
    except OSError as error:
        raise BackupError(f"{SUMS} of the backup cannot be read.") from error
    if manifest and hashlib.sha256(text.encode()).hexdigest() != manifest.sha256[SUMS]:
        raise BackupError(f"{SUMS} is not the one that the backup was made with. Take an older copy of the backup.")
    pairs = (line.split("  ", 1) for line in text.splitlines())
    return {name: sha256 for sha256, name in pairs}


def migrations_applied() -> set[str]:
    return {f"{app}.{name}" for app, name in MigrationRecorder(connection).applied_migrations()}


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy_hashed(source: Path, target: Path) -> str:
    """Copy a file with its times; the sha256 of the bytes that were written. `target` appears whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part, digest = target.with_name(f".{target.name}.part"), hashlib.sha256()
    try:
        with source.open("rb") as reader, part.open("wb") as writer:
            while block := reader.read(_BLOCK):
                digest.update(block)
                writer.write(block)
            was = os.fstat(reader.fileno())
        os.utime(part, ns=(was.st_atime_ns, was.st_mtime_ns))
        part.chmod(was.st_mode & 0o777)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return digest.hexdigest()


class _Copies:
    """Copies what is new or changed, and knows the hash of everything. `sums` grows from the backup before."""

    def __init__(self, folder: Path, fresh: Path, *, link: bool) -> None:
        self.folder, self.fresh, self.link = folder, fresh, link
        self.sums = {name: sha256 for name, sha256 in _sums_before(folder).items() if name != DUMP}
        self.damaged: list[str] = []

    def copy_all(self) -> None:
        files = [(f"{kind}/{path.relative_to(root)}", path) for kind, root in stores().items() for path in _files(root)]
        for name, source in tqdm(files, unit=" files", disable=None):
            try:
                self._copy(name, source)
            except FileNotFoundError:  # written anew or cleared away meanwhile
                continue

    def _copy(self, name: str, source: Path) -> None:
        target, original = self.folder / name, name.startswith(f"{FILMS}/{storage.ORIGINALS}/")
        if name in self.sums and target.exists() and (original or _same_state(source, target)):
            return
        # What the manifest of before names stays until the new one takes its place.
        place = self.fresh / name if name in self.sums else target
        sha256 = self._place(source, place)
        if original and sha256 != source.name:
            place.unlink()
            self.damaged.append(source.name)
        else:
            self.sums[name] = sha256

    def _place(self, source: Path, place: Path) -> str:
        if not self.link:
            return copy_hashed(source, place)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        os.link(source, place)
        return sha256_of(place)


def _publish(folder: Path, fresh: Path, manifest: Manifest) -> None:
    """Everything is on disk; now it takes the place of what was there, and the manifest comes last."""
    draft = folder / f".{MANIFEST}"
    draft.write_text(json.dumps(asdict(manifest), indent=2) + "\n")
    os.sync()
    (folder / MANIFEST).unlink(missing_ok=True)
    os.replace(fresh / SUMS, folder / SUMS)  # first: after a kill here the next run sees what was not moved
    for path in sorted(fresh.rglob("*")):
        if path.is_file():
            os.replace(path, folder / path.relative_to(fresh))
    os.sync()
    os.replace(draft, folder / MANIFEST)
    os.sync()
    shutil.rmtree(fresh)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """The folder, made for its owner alone, while no other backup writes into it. Raises BackupError."""
    for root in stores().values():
        if folder.resolve().is_relative_to(root.resolve()) or root.resolve().is_relative_to(folder.resolve()):
            raise BackupError(f"{folder} and the site's own {root} lie in one another. Choose a folder elsewhere.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()) and not any((folder / name).exists() for name in (MANIFEST, FRESH)):
        raise BackupError(f"{folder} holds other things. Choose an empty folder, or that of the last backup.")
    folder.chmod(0o700)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError(f"Another backup is being written to {folder}.") from None
        yield
    finally:
        os.close(handle)


def _files(root: Path) -> Iterator[Path]:
    """The files of a store, without those that are not complete yet."""
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root).parts
        if path.is_file() and inside[0] != storage.DRAFTS and not path.name.startswith("."):
            yield path


def _sums_before(folder: Path) -> dict[str, str]:
    return sums_read(folder) if (folder / SUMS).exists() else {}


def _same_state(one: Path, other: Path) -> bool:
    first, second = one.stat(), other.stat()
    return (first.st_size, first.st_mtime_ns) == (second.st_size, second.st_mtime_ns)


def _there(folder: Path, fresh: Path, name: str) -> Path:
    return fresh / name if (fresh / name).exists() else folder / name

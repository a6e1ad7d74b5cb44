"""Brings a backup back: into an empty database and an empty store, never over something that somebody uses.

Films first, the database last and whole or not at all: a run that was cut off leaves an empty database, and is simply
run again. May import: Django, `cxrsite.backup`, `cxrsite.dumps`, `diagnosis.storage`, `patients.audit`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db.migrations.loader import MigrationLoader
from tqdm import tqdm

from cxrsite import dumps
from cxrsite.backup import (
    DUMP,
    FILMS,
    BackupError,
    Manifest,
    copy_hashed,
    manifest_read,
    sha256_of,
    stores,
    sums_read,
)
from diagnosis import storage
from patients.audit import audit_record


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back. `damaged` names files of the backup that no longer have their hash: they were not used."""

    manifest: Manifest
    damaged: list[str] = field(default_factory=list)


def backup_restore(folder: Path, *, say: Callable[[str], None] = print) -> Restored:
    """Bring back films, models and database from `folder`. Everybody has to sign in anew afterwards.

    Raises BackupError where the backup or the place for it is not as it must be, before anything is changed, and
    DumpError where PostgreSQL refuses; then the database is empty.
    """
    say("1/4 looking at the backup")
    manifest = manifest_read(folder)
    sums = sums_read(folder, manifest)
    for reason in _refusals(manifest, sums):
        raise BackupError(reason)
    if not (folder / DUMP).exists() or sha256_of(folder / DUMP) != manifest.sha256[DUMP]:
        raise BackupError(f"{DUMP} of the backup is damaged. Nothing was changed. Take an older copy of the backup.")
    say("2/4 films and models")
    damaged = list(_files_bring(folder, sums))
    say("3/4 database")
    dumps.database_load(folder / DUMP)
    if dumps.tables() != manifest.rows:
        raise BackupError("The database does not have the rows that the manifest counts. Take an older copy.")
    say("4/4 bringing the database up to date")
    call_command("migrate", interactive=False, verbosity=0)
    Session.objects.all().delete()  # who was signed out since the backup stays signed out
    audit_record(user=None, verb="restore", changes={"backup": ["", manifest.made_at]})
    return Restored(manifest, damaged)


def _refusals(manifest: Manifest, sums: dict[str, str]) -> Iterator[str]:
    """Why this backup cannot be brought back here."""
    if dumps.in_use():
        yield "The database holds people, clinics or films. A backup is brought back into an empty database only."
    if dumps.others_connected():
        yield "Another program is connected to the database. Stop the site first."
    if strangers := [name for name in _originals_here() if name not in sums]:
        yield f"The film storage holds {len(strangers)} films that are not in this backup. Choose an empty folder."
    known = {f"{app}.{name}" for app, name in MigrationLoader(None, ignore_no_migrations=True).disk_migrations}
    if newer := [name for name in manifest.migrations if name not in known and name.split(".")[0] in _apps(known)]:
        yield f"The backup was made by a newer program ({newer[-1]}). Install that version, then restore."


def _files_bring(folder: Path, sums: dict[str, str]) -> Iterator[str]:
    """Copy every file to its place, proved by its hash; the names of those that are damaged or gone."""
    roots = stores()
    names = [name for name in sorted(sums) if name.split("/")[0] in roots]
    for name in tqdm(names, unit=" files", disable=None):
        kind, _, inside = name.partition("/")
        target = roots[kind] / inside
        if target.exists() and sha256_of(target) == sums[name]:
            continue
        try:
            good = copy_hashed(folder / name, target) == sums[name]
        except FileNotFoundError:
            good = False
        if not good:
            target.unlink(missing_ok=True)
            yield name


def _originals_here() -> Iterator[str]:
    for path in storage.path_of(storage.ORIGINALS).glob("*/*"):
        yield f"{FILMS}/{storage.ORIGINALS}/{path.parent.name}/{path.name}"


def _apps(migrations: set[str]) -> set[str]:
    return {name.split(".")[0] for name in migrations}

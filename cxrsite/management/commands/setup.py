"""`manage.py setup`: everything between installing the program and starting its processes.

Migrations and the database's second wall, as the owner; static files, start-up checks, the bundled model. Safe to
repeat. May import: `cxrsite.database`, `diagnosis.services`.
"""

from __future__ import annotations

import hashlib
from io import StringIO
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import BaseCommand, CommandError, call_command
from django.db import DEFAULT_DB_ALIAS

from cxrsite.database import application_login_prepare, as_owner
from cxrsite.management.commands.migrate import unapplied
from diagnosis.services.models import bundled_register
from mlcore.contracts import ModelIntegrityError


class Command(BaseCommand):
    help = "Bring database, static files and model up to date. Safe to repeat."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        with as_owner():
            self._check()
            count = unapplied()
            if not count:
                application_login_prepare()
        if count:
            self._step(f"Bringing the database up to date ({count} migrations) …")
            call_command("migrate", interactive=False, verbosity=0)
        self._check()
        self._collect_static()
        try:
            model = bundled_register()
        except ModelIntegrityError as error:
            raise CommandError(f"The bundled model cannot be used: {error}. Install the program again.") from error
        if model:
            self._step(f"Model: {model}")

    def _check(self) -> None:
        with StringIO() as nothing_found:
            call_command("check", databases=[DEFAULT_DB_ALIAS], stdout=nothing_found)

    def _collect_static(self) -> None:
        """Collect when a file has changed since the last time; compressing them all takes seconds."""
        collected = Path(settings.STATIC_ROOT) / ".collected"
        sources = _fingerprint()
        if not collected.exists() or collected.read_text() != sources:
            self._step("Collecting static files …")
            call_command("collectstatic", interactive=False, verbosity=0)
            collected.write_text(sources)

    def _step(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _fingerprint() -> str:
    """Changes when any static file of any app is added, removed or written."""
    digest = hashlib.sha256()
    for finder in get_finders():
        for name, storage in finder.list([]):
            state = Path(storage.path(name)).stat()
            digest.update(f"{name} {state.st_size} {state.st_mtime_ns}\n".encode())
    return digest.hexdigest()

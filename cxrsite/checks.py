"""Start-up checks: what would otherwise fail at the first film is said before the first request, in a sentence.

Run by `manage.py check`, `setup`, `up` and by every worker before it works. May import: Django.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError, connections

OLDEST_POSTGRESQL = 150_000


@register(Tags.files)
def folders_can_be_written(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Films, uploads on their way, and models each need a folder of ours."""
    folders = {
        "MEDIA_DIR": Path(settings.MEDIA_ROOT),
        "VAR_DIR": Path(settings.FILE_UPLOAD_TEMP_DIR),
        "MODEL_DIR": Path(settings.MODEL_ROOT),
    }
    return [
        Error(
            f"{folder} does not exist or cannot be written.",
            hint=f"Make the folder and give it to the user that runs the site, or set {name} to another one.",
            id="cxr.E001",
        )
        for name, folder in folders.items()
        if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK))
    ]


@register(Tags.models)
def bundled_model_is_whole(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The model that ships with the program must be there; its hash is proved by whoever loads it."""
    folder = settings.BASE_DIR / "mlcore" / "bundled" / "default"
    if (folder / "card.json").is_file():
        return []
    return [
        Warning(
            f"The bundled model is missing: {folder} has no card.json.",
            hint="Films are taken in but not read. The installation is incomplete; install it again.",
            id="cxr.W001",
        )
    ]


@register(Tags.database)
def postgresql_is_recent(app_configs: Any, databases: Iterable[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """The guards in the database need PostgreSQL 15 (unique constraints over empty values)."""
    errors: list[CheckMessage] = []
    for alias in databases or ():
        connection = connections[alias]
        try:
            connection.ensure_connection()
            version = connection.connection.server_version
        except DatabaseError as error:
            reason = str(error).strip().splitlines()[0]
            errors.append(Error(f"PostgreSQL cannot be reached: {reason}", hint="Check DATABASE_URL.", id="cxr.E002"))
            continue
        if version < OLDEST_POSTGRESQL:
            errors.append(
                Error(f"PostgreSQL {version // 10_000} is too old.", hint="Use PostgreSQL 15 or later.", id="cxr.E003")
            )
    return errors

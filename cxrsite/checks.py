"""Start-up checks: what would otherwise fail at the first film is said before the first request, in a sentence.

Run by `manage.py check`, `setup`, `up`; by every worker before it works, those of `OF_WORKERS`. May import: Django.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, connections

OLDEST_POSTGRESQL = 150_000
#: What a worker proves when it starts: all that it works with. It serves no page, and pages take a second to load.
OF_WORKERS = (Tags.files, Tags.security, Tags.models, Tags.database)


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


@register(Tags.security)
def scanner_can_be_addressed(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A mistyped address would leave every film waiting for a scanner that nobody finds."""
    address = urlsplit(settings.CLAMAV_URL)
    if not settings.CLAMAV_URL or (address.scheme == "clamd" and (address.hostname or address.path)):
        return []
    hint = "Write clamd://host:3310, or clamd:///run/clamav/clamd.ctl for a socket on this computer."
    return [Error("CLAMAV_URL is not the address of a virus scanner.", hint=hint, id="cxr.E006")]


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
def row_security_binds_us(
    app_configs: Any, databases: Iterable[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """The second wall holds only against a login that owns no table and cannot walk past it."""
    if not databases or connection.settings_dict["USER"] != settings.DATABASES[DEFAULT_DB_ALIAS]["USER"]:
        return []  # the owner's own connection, during set-up
    try:
        with connection.cursor() as cursor:
            cursor.execute(_LOGIN)
            login, unbound = cursor.fetchone()
            cursor.execute(_WALLS)
            (standing,) = cursor.fetchone()
    except DatabaseError:
        return []  # said by `postgresql_is_recent`
    kind = Warning if settings.ONE_DATABASE_LOGIN_WILL_DO else Error
    problems: list[CheckMessage] = []
    if unbound:
        problems.append(
            kind(
                f"PostgreSQL's row security does not bind {login}: it is a superuser or owns the tables.",
                hint="Give the site a login of its own in DATABASE_URL and the owner's in DATABASE_OWNER_URL.",
                id="cxr.E004",
            )
        )
    if not standing:
        hint = "Run `manage.py setup`."
        problems.append(kind("PostgreSQL's row security is not set up.", hint=hint, id="cxr.E005"))
    return problems


_LOGIN = """
SELECT current_user, rolsuper OR rolbypassrls OR pg_has_role(relowner, 'MEMBER')
  FROM pg_roles LEFT JOIN pg_class ON pg_class.oid = to_regclass('patients_patient') WHERE rolname = current_user
"""
_WALLS = """
SELECT coalesce(bool_and(relrowsecurity AND relforcerowsecurity AND EXISTS (
           SELECT FROM pg_policy WHERE polrelid = pg_class.oid AND polname = 'cxr_select')), false)
  FROM pg_class WHERE oid = to_regclass('patients_patient')
"""


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

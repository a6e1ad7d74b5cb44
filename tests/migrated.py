"""A database with every migration applied, from which each test process copies its own: migrating takes half a minute.

May import: Django, `cxrsite.database`, `tests.site.prepared`.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import connection

from cxrsite.database import as_owner
from tests.site.prepared import migrations_digest

_LOCK = 20_261_127


def migrated_database() -> str:
    """Its name, which stands for the state of all migrations. Made by the first process that asks, and kept for the
    next run of the tests; those of other states are dropped."""
    name = f"migrated_{migrations_digest()}"
    with as_owner(), connection._nodb_cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, 'migrated_')")
        found = [row[0] for row in cursor.fetchall()]
        if name not in found:
            for old in found:
                cursor.execute(f"DROP DATABASE {connection.ops.quote_name(old)}")
            _make(cursor, name)
    return name


def _make(cursor: Any, name: str) -> None:
    """Under another name until it is whole."""
    own, real = connection.settings_dict, settings.DATABASES["default"]["NAME"]
    connection.settings_dict = {**own, "TEST": {**own["TEST"], "NAME": f"draft_{name}"}}
    try:
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    finally:
        connection.close()
        connection.settings_dict, settings.DATABASES["default"]["NAME"] = own, real
    cursor.execute(f"ALTER DATABASE draft_{name} RENAME TO {name}")

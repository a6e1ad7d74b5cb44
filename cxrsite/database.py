"""Two logins: the application's, which every process uses, and the owner's, for migrations, set-up, backup and restore.

The owner may change the schema, the triggers and the policies; the application's login may not, and row security binds
it. May import: Django, `patients.row_security`, `diagnosis.row_security`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.conf import settings
from django.db import IntegrityError, connection
from psycopg2.extensions import encrypt_password

from diagnosis import row_security
from patients.actor import SYSTEM, acting_as
from patients.row_security import row_security_apply, rows_by_table

#: Tables that no model tells about, without patient data.
OTHER_TABLES = ("cxrsite_cache",)
_LOGIN = ("HOST", "PORT", "USER", "PASSWORD")


@contextmanager
def as_owner() -> Iterator[None]:
    """Within the block Django's connection is the owner's, and acts as the system."""
    own = connection.settings_dict
    if own["USER"] == settings.DATABASE_OWNER["USER"]:
        with acting_as(SYSTEM):
            yield
        return
    connection.close()
    connection.settings_dict = {**own, **{key: settings.DATABASE_OWNER.get(key, "") for key in _LOGIN}}
    try:
        with acting_as(SYSTEM):
            yield
    finally:
        connection.close()
        connection.settings_dict = own


def application_login_prepare() -> None:
    """Make the application's login where it is missing, and give it its rights and its walls. Run as the owner."""
    login = settings.DATABASES["default"]["USER"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", [login])
        if cursor.fetchone() is None:
            with suppress(IntegrityError):  # another set-up at the same server was faster
                cursor.execute(f"CREATE ROLE {connection.ops.quote_name(login)} LOGIN {_password(login)}")
    tables = rows_by_table(row_security.RULES, row_security.EXEMPT) | dict.fromkeys(OTHER_TABLES)
    row_security_apply(tables=tables, append_only=row_security.APPEND_ONLY, login=login)


def _password(login: str) -> str:
    """Hashed here, so that the server's log never has it."""
    password = settings.DATABASES["default"]["PASSWORD"]
    if not password:
        return ""
    return f"PASSWORD '{encrypt_password(password, login, connection.connection, 'scram-sha-256')}'"

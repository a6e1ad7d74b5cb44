"""The database as one file: PostgreSQL's own `pg_dump` and `pg_restore`, and what must be known around them.

Run within `cxrsite.database.as_owner`. May import: Django's connection, `patients.actor`, `cxrsite.keeper` (where the
embedded server's programs lie), `cxrsite.settings.env`. `cxrsite.backup` and `cxrsite.restore` call it.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection, transaction

from cxrsite.keeper import postgres_programs
from cxrsite.settings import env
from patients.actor import SYSTEM

#: A migration that holds a table is waited for so long, then the backup gives up and says so.
LOCK_WAIT = "60s"
#: Rows in any of these mean that somebody works with the database.
SIGNS_OF_USE = ("patients_user", "patients_clinic", "diagnosis_radiograph")
#: What Django's connection knows of the way to the server → how PostgreSQL's programs are told.
_LIBPQ = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "service": "PGSERVICE",
    "passfile": "PGPASSFILE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
}


class DumpError(RuntimeError):
    """PostgreSQL's program did not do it; the message is its own last line."""


@contextmanager
def snapshot() -> Iterator[str]:
    """A moment of the database: what is read inside and what `database_dump` writes are the same rows."""
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute("SELECT pg_export_snapshot()")
        yield str(cursor.fetchone()[0])


def database_dump(target: Path, *, moment: str) -> None:
    """Write the whole database as it was at the snapshot `moment`, not compressed, so that two dumps share most bytes.

    Raises DumpError.
    """
    options = ["--format=custom", "--compress=none", f"--snapshot={moment}", f"--lock-wait-timeout={LOCK_WAIT}"]
    _run("pg_dump", *options, "--enable-row-security", f"--file={target}")


def database_load(source: Path) -> None:
    """Put a dump into the database, whole or not at all; what was there must be worth nothing. Raises DumpError."""
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    name = connection.settings_dict["NAME"]
    _run(
        "pg_restore",
        "--single-transaction",
        "--exit-on-error",
        "--no-owner",
        "--no-acl",
        f"--dbname={name}",
        str(source),
    )


def tables() -> dict[str, int]:
    """Every table of the database with how many rows it has."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
        names = [name for (name,) in cursor.fetchall()]
        counts = {}
        for name in names:
            cursor.execute(f"SELECT count(*) FROM {connection.ops.quote_name(name)}")  # noqa: S608  # nosec B608
            counts[name] = int(cursor.fetchone()[0])
    return counts


def in_use() -> bool:
    """Does the database hold people, clinics or films?"""
    known = set(connection.introspection.table_names())
    with connection.cursor() as cursor:
        for name in known & set(SIGNS_OF_USE):
            cursor.execute(f"SELECT EXISTS (SELECT FROM {connection.ops.quote_name(name)})")  # noqa: S608  # nosec B608
            if cursor.fetchone()[0]:
                return True
    return False


def others_connected() -> int:
    """How many other programs are connected to this database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename IS NOT NULL"
        )
        return int(cursor.fetchone()[0])


def server_version() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        return str(cursor.fetchone()[0])


def _run(program: str, *options: str) -> None:
    """Run one of PostgreSQL's programs against our database. The password is not on the command line."""
    login = connection.get_connection_params()
    variables = {variable: str(login[name]) for name, variable in _LIBPQ.items() if login.get(name)}
    command = [_path(program), *options]
    variables["PGOPTIONS"] = f"-c cxr.actor={SYSTEM}"  # row security binds an owner who is no superuser
    done = subprocess.run(command, env={"LC_ALL": "C", **variables}, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
        raise DumpError(f"{program}: {said[-1].strip()}")


def _path(program: str) -> str:
    """A server of one's own comes with programs of its version; the embedded one has its own, never older than it."""
    return (env.DATABASE_URL and shutil.which(program)) or str(postgres_programs() / program)

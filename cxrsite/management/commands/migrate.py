"""`manage.py migrate`, as the owner of the tables, never waiting long for one; at the end the second wall stands.

May import: Django, psycopg2's errors, `cxrsite.database`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from psycopg2.errors import LockNotAvailable

from cxrsite.database import application_login_prepare, as_owner

#: Whoever waits for a table makes everybody behind them wait too, readers included: rather give up and try again.
LOCK_TIMEOUT = "2s"
TRIES, PAUSE_SECONDS = 10, 5.0


class Command(migrate.Command):
    def execute(self, *args: Any, **options: Any) -> str | None:
        """The checks too: on a new server the application's login is made at the end only."""
        with as_owner():
            return super().execute(*args, **options)

    def handle(self, *args: Any, **options: Any) -> None:
        with lock_waits_limited():
            for tries_left in reversed(range(TRIES)):
                try:
                    super().handle(*args, **options)
                    break
                except OperationalError as error:
                    self._again(error, tries_left)
            if not (options["plan"] or options["check_unapplied"] or unapplied()):
                application_login_prepare()

    def _again(self, error: OperationalError, tries_left: int) -> None:
        """Wait before the next try, where a table was in use. What was applied stays applied."""
        if not isinstance(error.__cause__, LockNotAvailable):
            raise error
        if not tries_left:
            raise CommandError(
                "A table is in use for longer than a migration may wait for it. The site goes on as before. "
                "Try again when less is going on, or look for a long query: SELECT * FROM pg_stat_activity."
            ) from error
        self.stderr.write(f"A table is in use. Trying again in {PAUSE_SECONDS:g} s …")
        time.sleep(PAUSE_SECONDS)


@contextmanager
def lock_waits_limited() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = %s", [LOCK_TIMEOUT])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")


def unapplied() -> int:
    """How many migrations the database lacks."""
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))

"""A migration does not make the site wait: it gives up after two seconds, tries again, and says so in the end."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.core.management.commands import migrate as djangos
from django.db import connection

from cxrsite.management.commands import migrate

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def reader() -> Any:
    """Somebody whose transaction has read the table of clinics and goes on."""
    other = connection.copy()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM patients_clinic")
    yield other
    other.close()


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Django's own `migrate` changes the table of clinics here; each try is noted with the time limit that it had."""
    noted: list[str] = []

    def handle(self: Any, *args: Any, **options: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            noted.append(cursor.fetchone()[0])
            cursor.execute("ALTER TABLE patients_clinic ALTER COLUMN name DROP DEFAULT")

    monkeypatch.setattr(djangos.Command, "handle", handle)
    monkeypatch.setattr(migrate, "TRIES", 2)
    monkeypatch.setattr(migrate, "PAUSE_SECONDS", 0)
    return noted


def test_f25_a_table_that_stays_in_use_ends_the_migration_in_words(reader, tries):
    with pytest.raises(CommandError, match="in use for longer than a migration may wait"):
        call_command("migrate", verbosity=0)
    assert tries == ["2s", "2s"]


def test_f25_a_table_that_becomes_free_is_changed_at_the_next_try(reader, tries, monkeypatch):
    monkeypatch.setattr(migrate.time, "sleep", lambda seconds: reader.rollback())
    call_command("migrate", verbosity=0)
    assert len(tries) == 2
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone()[0] == "0"


def test_f25_who_reads_meanwhile_waits_no_longer_than_the_migration_may(reader, tries, monkeypatch):
    monkeypatch.setattr(migrate, "TRIES", 100)
    monkeypatch.setattr(migrate, "PAUSE_SECONDS", 0.1)

    def run() -> None:
        call_command("migrate", verbosity=0)
        connection.close()

    migration = threading.Thread(target=run)
    migration.start()
    longest = 0.0
    while len(tries) < 3:
        begun = time.monotonic()
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM patients_clinic")
        longest = max(longest, time.monotonic() - begun)
    assert migration.is_alive(), "it still waits for its turn"
    reader.rollback()
    migration.join(60)
    assert not migration.is_alive()
    assert longest < 2 + 2, "behind the change that waits, and then the read itself"

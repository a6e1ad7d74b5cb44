"""Locks held in PostgreSQL until the transaction ends.

May import: Django.
"""

from __future__ import annotations

import hashlib

from django.db import connection


def lock_wait(name: str) -> None:
    """Hold the lock `name` until the caller's transaction ends, waiting for whoever holds it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_number(name)])


def lock_try(name: str) -> bool:
    """As `lock_wait`, but False at once when somebody else holds it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_number(name)])
        return bool(cursor.fetchone()[0])


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)

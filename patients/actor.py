"""Who acts, told to PostgreSQL: one person, an administrator in the administration, the system itself, or nobody.

Row security (`patients/row_security.py`) reads it from the session setting `cxr.actor`. A process acts as nobody until
it says otherwise: `manage.py` and the workers say `SYSTEM`, the middleware says which person asks.
May import: Django's connection, psycopg2.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import psycopg2
from django.db import OperationalError, connection
from django.db.backends.signals import connection_created
from psycopg2.extensions import TRANSACTION_STATUS_INERROR

if TYPE_CHECKING:
    from patients.models import User

#: Sees no row of any patient. Also what PostgreSQL finds where nothing was ever said.
NOBODY = ""
#: Workers, sweeper and commands: sees and changes every row.
SYSTEM = "system"

_process_actor = NOBODY
_actor: ContextVar[str | None] = ContextVar("actor", default=None)


def person(user: Any) -> str:
    """The rows of the clinics and referrals of this user; none for a visitor who has not signed in."""
    return str(user.pk) if user.is_authenticated else NOBODY


def administrator(user: User) -> str:
    """Reads every row as long as this user is an active superuser; for the administration's own pages only."""
    return f"administrator {user.pk}"


def process_acts_as(actor: str) -> None:
    """Say once, before anything is asked, on whose behalf this process and its threads work."""
    global _process_actor
    _process_actor = actor
    _tell(connection)


def act_as(actor: str) -> None:
    """From now on this actor, until the enclosing `acting_as` ends."""
    _actor.set(actor)
    _tell(connection)


@contextmanager
def acting_as(actor: str) -> Iterator[None]:
    """This actor within the block; a decorator too."""
    before = _actor.set(actor)
    try:
        _tell(connection)
        yield
    finally:
        _actor.reset(before)
        _tell(connection)


def _tell(connection: Any) -> None:
    """Past Django's own cursor, which would open a connection and count among a page's queries.

    In a transaction that has failed nothing can be said; the rollback brings back who acted before it. A connection
    that does not answer is closed, so that none is ever left with another actor; where no new one may take its place,
    in a transaction, that is an OperationalError.
    """
    raw = connection.connection
    if raw is None or raw.info.transaction_status == TRANSACTION_STATUS_INERROR:
        return
    actor = _actor.get()
    try:
        with raw.cursor() as cursor:
            cursor.execute("SELECT set_config('cxr.actor', %s, false)", [_process_actor if actor is None else actor])
    except psycopg2.Error as error:
        connection.close()
        if connection.in_atomic_block:
            raise OperationalError from error


def _on_new_connection(connection: Any, **kwargs: Any) -> None:
    """Django goes on to use what it has just opened, so it must be told when that is closed already."""
    _tell(connection)
    if connection.connection is None:
        raise OperationalError


connection_created.connect(_on_new_connection, dispatch_uid="cxr.actor")

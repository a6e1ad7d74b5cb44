"""Fixtures for every test: two clinics, a person per role, clients signed in, and a private media folder.

`user_for(role)` gives one user per role and clinic; `client_for` and `api_for` are signed in as that user, by
session and by token. Roles are those of `patients.models.Role`, and `system` for the system administrator.
"""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import time_machine
from django.conf import settings as settings_of_django
from django.core.cache import cache
from django.core.management.commands import flush
from django.db import connection
from django.db.backends.postgresql.creation import DatabaseCreation
from django.db.backends.postgresql.operations import DatabaseOperations
from django.test import Client
from knox.models import AuthToken
from rest_framework.test import APIClient
from xdist.scheduler import LoadScopeScheduling

from cxrsite.database import as_owner
from patients.actor import SYSTEM, process_acts_as
from patients.context import RequestContext, set_current_request
from patients.models import Clinic, Patient, User
from tests import factories
from tests.migrated import migrated_database

# Several test processes share the cores, where TensorFlow's own threads would only wait for one another.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1")

UserFor = Callable[..., User]


#: The longest come first, so that no process is left alone with them at the end.
_LONGEST = ("mlcore", "faults", "fuzz", "browser")


class _Together(LoadScopeScheduling):
    """What shares slow fixtures runs in one process when tests run in several: some folders as a whole, else a file."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        folder = file.split("/")[1]
        return folder if folder in _LONGEST else file


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _LONGEST.index(folder) if (folder := item.path.parent.name) in _LONGEST else 9)


def pytest_collection_finish() -> None:
    """What is loaded by now stays; the collector need not look at a million objects again for every few new ones."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return _Together(config, log)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None, django_db_blocker: Any) -> Iterator[None]:
    """Every test runs with the application's own login, so that row security holds in it; the test itself acts as the
    system, its requests as whoever is signed in. The owner alone makes, empties and drops the test database. Tests that
    commit are cleaned up by TRUNCATE, which the audit's trigger refuses; the clean-up alone may."""
    process_acts_as(SYSTEM)
    sql_flush = DatabaseOperations.sql_flush

    def past_triggers(self: DatabaseOperations, *args: Any, **kwargs: Any) -> list[str]:
        return ["SET LOCAL session_replication_role = replica;", *sql_flush(self, *args, **kwargs)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "sql_flush", past_triggers)
        for owner, name in (
            (flush.Command, "handle"),
            (DatabaseCreation, "create_test_db"),
            (DatabaseCreation, "destroy_test_db"),
        ):
            patch.setattr(owner, name, as_owner()(getattr(owner, name)))
        with django_db_blocker.unblock():
            connection.settings_dict["TEST"]["TEMPLATE"] = migrated_database()
        yield


@pytest.fixture(autouse=True)
def media_root(settings: Any, tmp_path: Path) -> Path:
    """Films, uploads on their way and models lie in fresh folders per test."""
    folder = tmp_path / "media"
    incoming = tmp_path / "incoming"
    folder.mkdir()
    incoming.mkdir()
    settings.MODEL_ROOT = tmp_path / "models"
    settings.MODEL_ROOT.mkdir()
    settings.MEDIA_ROOT = folder
    settings.SENDFILE_ROOT = str(folder)
    settings.FILE_UPLOAD_TEMP_DIR = str(incoming)
    return folder


@pytest.fixture(autouse=True)
def _throttles_start_empty() -> None:
    cache.clear()


@pytest.fixture
def one_request() -> Iterator[None]:
    """What the test asks, it asks as one request: rights are read once."""
    set_current_request(RequestContext("", None))
    yield
    set_current_request(None)


@pytest.fixture
def clinic(db: None) -> Clinic:
    return factories.clinic_make("Hill Clinic", code="hill")


@pytest.fixture
def other_clinic(db: None) -> Clinic:
    return factories.clinic_make("Lake Clinic", code="lake")


@pytest.fixture
def user_for(clinic: Clinic) -> UserFor:
    """`user_for("radiologist")`, `user_for("operator", other_clinic)`, `user_for("system")`: one user each."""
    people: dict[tuple[str, Any], User] = {}

    def get(role: str, at: Clinic | None = None) -> User:
        where = at or clinic
        key = (role, where.pk)
        if key not in people:
            people[key] = factories.system_admin_make() if role == "system" else factories.user_make(role, where)
        return people[key]

    return get


@pytest.fixture
def client_for(user_for: UserFor) -> Callable[..., Client]:
    """A browser just signed in as `role`, or as a given user; it raises nothing, so a fault is a 500.

    `client_for(who, ago=1000)` signed in so many seconds before; see `factories.sign_in`.
    """

    def get(who: str | User, at: Clinic | None = None, **how: Any) -> Client:
        client = Client(raise_request_exception=False)
        factories.sign_in(client, user_for(who, at) if isinstance(who, str) else who, **how)
        return client

    return get


@pytest.fixture
def api_for(user_for: UserFor) -> Callable[..., APIClient]:
    """An API client with a token of `role`, or of a given user."""

    def get(who: str | User, at: Clinic | None = None) -> APIClient:
        user = user_for(who, at) if isinstance(who, str) else who
        _, token = AuthToken.objects.create(user)
        client = APIClient(raise_request_exception=False)
        client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
        return client

    return get


@pytest.fixture
def anonymous(db: None) -> Client:
    return Client(raise_request_exception=False)


@pytest.fixture
def system_admin(user_for: UserFor) -> User:
    return user_for("system")


@pytest.fixture
def patient(clinic: Clinic) -> Patient:
    return factories.patient_make(clinic, "Asha Verma", mrn="0017", birth_year=1961, sex="female")


@pytest.fixture
def foreign_patient(other_clinic: Clinic) -> Patient:
    return factories.patient_make(other_clinic, "Bela Nagy", mrn="0042", birth_year=1975, sex="male")


@pytest.fixture
def database_owner(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The whole test, its own transaction included, runs as the owner: `pytest.mark.usefixtures("database_owner")`."""
    with django_db_blocker.unblock(), as_owner():
        yield


@contextlib.contextmanager
def owner_connected() -> Iterator[Any]:
    """The cursor of a connection of the owner's own, which commits at once and sees nothing that is not committed."""
    owner = {name: settings_of_django.DATABASE_OWNER[name.upper()] for name in ("user", "password")}
    with contextlib.closing(psycopg2.connect(**connection.get_connection_params() | owner)) as raw:
        raw.autocommit = True
        with raw.cursor() as cursor:
            yield cursor


@contextlib.contextmanager
def audit_refusing(owner: Any) -> Iterator[None]:
    """Within the block the database takes no event, for real."""
    login = connection.settings_dict["USER"]
    owner.execute(f"REVOKE INSERT ON patients_auditevent FROM {login}")
    try:
        yield
    finally:
        owner.execute(f"GRANT INSERT ON patients_auditevent TO {login}")


@pytest.fixture
def audit_down(db: None) -> Iterator[None]:
    """The database refuses every new audit event until the end of the test."""
    with owner_connected() as owner, audit_refusing(owner):
        yield


@pytest.fixture
def time_machine_at() -> Any:
    """Call it with a datetime: from then on it is that time in Python."""
    with contextlib.ExitStack() as stack:
        yield lambda moment: stack.enter_context(time_machine.travel(moment, tick=False))

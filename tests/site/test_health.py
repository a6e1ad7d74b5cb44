"""The two addresses for machines, and the start-up checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.db import connection
from django.test import Client, override_settings

from cxrsite import checks
from cxrsite.middleware import ForwardedAddressMiddleware


def test_livez_answers_anybody_and_asks_the_database_nothing(client: Client) -> None:
    # without the django_db mark any query would raise
    assert client.get("/livez").content == b"ok\n"


@pytest.mark.django_db
def test_readyz_says_yes_when_films_can_be_taken_in(client: Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"database": True, "storage": True}


@pytest.mark.django_db
def test_readyz_says_no_when_storage_cannot_be_written(client: Client, settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "absent"
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["storage"] is False


@pytest.mark.django_db
def test_readyz_is_not_there_for_other_computers(client: Client) -> None:
    assert client.get("/readyz", REMOTE_ADDR="203.0.113.9").status_code == 404


@pytest.mark.parametrize(("name", "variable"), [("MEDIA_ROOT", "MEDIA_DIR"), ("MODEL_ROOT", "MODEL_DIR")])
def test_missing_folder_is_a_start_up_error_that_says_what_to_do(name: str, variable: str, tmp_path: Path) -> None:
    with override_settings(**{name: tmp_path / "absent"}):
        (error,) = [message for message in run_checks() if message.id == "cxr.E001"]
    assert str(tmp_path / "absent") in error.msg
    assert variable in error.hint


@pytest.mark.django_db
def test_old_postgresql_is_a_start_up_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.postgresql_is_recent(None, databases=["default"]) == []
    monkeypatch.setattr(checks, "OLDEST_POSTGRESQL", connection.connection.server_version + 1)
    (error,) = checks.postgresql_is_recent(None, databases=["default"])
    assert error.id == "cxr.E003"


@pytest.mark.parametrize(
    ("forwarded", "seen"), [("203.0.113.9", "203.0.113.9"), ("10.0.0.1, 203.0.113.9", "203.0.113.9"), ("", "10.9.9.9")]
)
def test_client_address_is_the_one_that_our_proxy_saw(rf: Any, forwarded: str, seen: str) -> None:
    headers = {"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {}
    request = rf.get("/", REMOTE_ADDR="10.9.9.9", **headers)
    ForwardedAddressMiddleware(lambda _: None)(request)  # type: ignore[arg-type, return-value]
    assert request.META["REMOTE_ADDR"] == seen

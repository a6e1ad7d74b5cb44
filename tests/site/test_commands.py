"""The commands that a person types: tokens, demo data, set-up."""

from __future__ import annotations

import socket
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from rest_framework.test import APIClient

from cxrsite import demo
from diagnosis.models import ModelVersion, Worker
from patients.models import Clinic, Patient, Role, User
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def password_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "demo-passwords.txt"
    monkeypatch.setattr(demo, "PASSWORD_FILE", path)
    return path


def printed(command: str, *args: str) -> str:
    out = StringIO()
    call_command(command, *args, stdout=out)
    return out.getvalue()


def test_token_alone_is_printed_and_opens_the_api() -> None:
    user = factories.user_make("operator", factories.clinic_make(), username="asha")
    token = printed("issue_token", "asha").strip()
    assert token.split() == [token]
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    assert client.get("/api/v1/me/").status_code == 200
    assert user.auth_token_set.count() == 1


def test_token_of_an_unknown_user_is_refused_in_words() -> None:
    with pytest.raises(CommandError, match="There is no user named 'nobody'"):
        printed("issue_token", "nobody")


def test_token_of_a_deactivated_user_is_refused_in_words() -> None:
    User.objects.create_user("asha", is_active=False)
    with pytest.raises(CommandError, match="deactivated"):
        printed("issue_token", "asha")


def test_demo_has_one_person_per_role_two_clinics_and_the_system_administrator() -> None:
    printed("demo_data")
    first = Clinic.objects.get(code=demo.FIRST_CLINIC)
    assert dict(first.memberships.values_list("user__username", "role")) == {
        role.value: role.value for role in Role.of_people()
    }
    assert Clinic.objects.count() == 2
    assert all(clinic.patients.count() >= 3 for clinic in Clinic.objects.all())
    assert User.objects.get(username="admin").is_superuser


def test_demo_passwords_sign_in_and_are_kept_for_their_owner_only(password_file: Path) -> None:
    from django.contrib.auth.hashers import check_password

    passwords = dict(line.split() for line in printed("demo_data").splitlines())
    assert {check_password(passwords[user.username], user.password) for user in User.objects.all()} == {True}
    assert dict(demo.demo_passwords()) == passwords
    assert password_file.stat().st_mode & 0o777 == 0o600


def test_demo_patients_can_own_the_sample_dicom_files() -> None:
    printed("demo_data")
    known = Patient.objects.filter(identifiers__system="DICOM").values_list("identifiers__value", flat=True)
    assert set(known) == {"1", "2", "9RG1"}


def test_demo_data_is_refused_on_a_database_in_use() -> None:
    User.objects.create_user("asha")
    with pytest.raises(CommandError, match="in use"):
        printed("demo_data")
    assert not Clinic.objects.exists()


@pytest.mark.django_db(transaction=True)  # set-up connects anew, as the owner
def test_setup_can_be_repeated_and_registers_the_bundled_model_once(settings: Any) -> None:
    settings.STATIC_ROOT = settings.MEDIA_ROOT / "static"
    assert "Collecting" in printed("setup")
    assert "Collecting" not in printed("setup")
    assert ModelVersion.objects.filter(status="active").count() == ModelVersion.objects.count() == 1


@pytest.mark.django_db(transaction=True)  # set-up connects anew, as the owner
def test_bundled_model_whose_weights_differ_stops_the_setup_in_words(settings: Any) -> None:
    settings.STATIC_ROOT = settings.MEDIA_ROOT / "static"
    printed("setup")
    ModelVersion.objects.update(sha256="0" * 64)
    with pytest.raises(CommandError, match="bundled model cannot be used"):
        printed("setup")


@pytest.mark.parametrize(("kind", "minutes", "alive"), [("infer", 0, True), ("infer", 2, False), ("prepare", 0, False)])
def test_worker_is_alive_when_it_was_heard_of_on_this_computer(kind: str, minutes: int, alive: bool) -> None:
    seen = timezone.now() - timedelta(minutes=minutes)
    Worker.objects.create(name=f"infer@{socket.gethostname()}", kind="infer", started_at=seen, seen_at=seen)
    if alive:
        printed("worker_alive", kind)
    else:
        with pytest.raises(CommandError, match="was heard of"):
            printed("worker_alive", kind)

"""Two people let a version speak: one asks, another approves the very same files, and both stand in the record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from diagnosis.models import ModelVersion
from diagnosis.services.model_files import files_fingerprint, model_folder
from diagnosis.services.models import (
    bundled_register,
    model_activate,
    model_approve,
    model_decline,
    model_register,
    model_retire,
    model_rollback,
    model_shadow,
)
from mlcore.card import CARD_FILE, WEIGHTS_FILE
from patients.errors import ApplicationError
from patients.models import AuditEvent, User
from tests import factories
from tests.diagnosis.predictors import model_folder_make

pytestmark = pytest.mark.django_db
BY = "command line: tester"


@pytest.fixture(autouse=True)
def _two_are_needed(settings: Any) -> None:
    settings.MODEL_APPROVALS = 2


@pytest.fixture
def alice(system_admin: User) -> User:
    return system_admin


@pytest.fixture
def bob(db: None) -> User:
    return factories.system_admin_make()


@pytest.fixture
def make(tmp_path: Path) -> Any:
    def one(version: str = "1.0.0") -> ModelVersion:
        folder = model_folder_make(tmp_path / version, f"weights {version}".encode(), version)
        return model_register(folder=folder, by=BY)

    return one


@pytest.fixture
def agreed(make: Any, alice: User, bob: User) -> Any:
    """`agreed("1")`: a version that both let speak."""

    def one(version: str) -> ModelVersion:
        return model_approve(model=model_activate(model=make(version), by=alice), by=bob)

    return one


def refused(call: Any, **arguments: Any) -> str:
    with pytest.raises(ApplicationError) as caught:
        call(**arguments)
    return caught.value.code


def edit_card(model: ModelVersion) -> None:
    path = model_folder(model) / CARD_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"intended_use": "Anything at all."}))


def test_who_asks_changes_nothing_yet(make, alice):
    model = model_activate(model=make(), by=alice)
    assert (model.status, model.request.by) == ("registered", alice.username)
    assert model.request.files == files_fingerprint(model)
    assert not ModelVersion.objects.filter(status="active").exists()


def test_another_person_lets_it_speak_and_both_are_recorded(make, alice, bob):
    model = model_approve(model=model_activate(model=make(), by=alice), by=bob)
    assert model.status == "active"
    history = [(change.verb, change.user) for change in model.changes.all()]
    assert history == [("activate", bob), ("request", alice), ("register", None)]
    assert model.approval.files == files_fingerprint(model)
    event = AuditEvent.objects.get(verb="activate")
    assert event.user == bob
    assert event.changes["asked_by"] == ["", alice.username]
    assert event.changes["sha256"] == ["", model.sha256]
    assert AuditEvent.objects.get(verb="request").user == alice


def test_the_same_person_cannot_do_both_even_under_another_name(make, alice):
    model = model_activate(model=make(), by=alice)
    User.objects.filter(pk=alice.pk).update(username="alice-again")
    alice.refresh_from_db()
    assert refused(model_approve, model=model, by=alice) == "approval_same_person"
    model.refresh_from_db()
    assert model.status == "registered"


def test_a_name_from_the_command_line_is_no_person(make, bob):
    model = make()
    assert refused(model_activate, model=model, by=BY) == "approval_unnamed"
    assert refused(model_approve, model=model, by=BY) == "approval_unnamed"


@pytest.mark.parametrize("role", ["clinicadmin", "radiologist"])
def test_only_system_administrators_ask_and_approve(make, alice, user_for, role):
    model = make()
    assert refused(model_activate, model=model, by=user_for(role)) == "permission_denied"
    model_activate(model=model, by=alice)
    assert refused(model_approve, model=model, by=user_for(role)) == "permission_denied"
    assert refused(model_decline, model=model, by=user_for(role)) == "permission_denied"


def test_what_nobody_asked_for_cannot_be_approved(make, bob):
    assert refused(model_approve, model=make(), by=bob) == "approval_not_asked"


def test_asking_twice_names_who_asked(make, alice, bob):
    model = model_activate(model=make(), by=alice)
    assert refused(model_activate, model=model, by=bob) == "approval_asked"


@pytest.mark.parametrize("change", ["weights", "card", "gone"])
def test_files_that_change_in_between_void_the_request(make, alice, bob, change):
    model = model_activate(model=make(), by=alice)
    before = {name: (model_folder(model) / name).read_bytes() for name in (WEIGHTS_FILE, CARD_FILE)}
    if change == "card":
        edit_card(model)
    elif change == "weights":
        (model_folder(model) / WEIGHTS_FILE).write_bytes(b"other weights")
    else:
        (model_folder(model) / WEIGHTS_FILE).unlink()
    assert refused(model_approve, model=model, by=bob) == "approval_void"
    for name, content in before.items():  # putting them back does not bring the request back
        (model_folder(model) / name).write_bytes(content)
    assert refused(model_approve, model=model, by=bob) == "approval_not_asked"
    assert not ModelVersion.objects.filter(status="active").exists()
    assert AuditEvent.objects.filter(verb="void", user=bob).exists()


def test_a_declined_request_is_closed_and_may_be_asked_again(make, alice, bob):
    model = model_activate(model=make(), by=alice)
    model_decline(model=model, by=alice)
    assert refused(model_approve, model=model, by=bob) == "approval_not_asked"
    assert model_activate(model=model, by=bob).request.by == bob.username


def test_a_request_does_not_change_since_when_a_version_is_in_its_state(agreed, make, alice):
    first = agreed("1")
    second = make("2")
    since = ModelVersion.objects.get(pk=second.pk).since
    model_activate(model=second, by=alice)
    assert ModelVersion.objects.get(pk=second.pk).since == since
    assert ModelVersion.objects.get(pk=first.pk).status == "active"


def test_one_person_can_stop_a_model_go_back_and_begin_a_trial(agreed, make, alice, bob):
    one, two = agreed("1"), agreed("2")
    assert model_rollback(by=alice) == one
    assert model_shadow(model=make("3"), by=alice).status == "shadow"
    model_retire(model=one, by=bob)
    two.refresh_from_db()
    assert two.status == "retired"


def test_going_back_to_files_that_no_two_people_saw_is_refused(agreed, alice):
    one = agreed("1")
    agreed("2")
    edit_card(one)
    assert refused(model_rollback, by=alice) == "approval_needed"


def test_going_back_to_a_version_that_one_person_alone_activated_is_refused(make, agreed, settings, alice):
    settings.MODEL_APPROVALS = 1
    model_activate(model=make("1"), by=alice)
    settings.MODEL_APPROVALS = 2
    agreed("2")
    assert refused(model_rollback, by=alice) == "approval_needed"


def test_the_model_of_a_fresh_installation_is_approved_by_shipping():
    model = bundled_register()
    assert model.status == "active"
    assert {change.by for change in model.changes.all()} == {"shipped with the program"}


def test_going_back_to_the_shipped_model_needs_one_person(agreed, alice):
    shipped = bundled_register()
    agreed("2")
    assert model_rollback(by=alice) == shipped


def test_where_one_administrator_is_all_there_is_one_is_enough(make, alice, settings):
    settings.MODEL_APPROVALS = 1
    assert model_activate(model=make(), by=alice).status == "active"

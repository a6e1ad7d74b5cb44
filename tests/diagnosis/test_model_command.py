"""`manage.py model`: what each action does, says and refuses, and with which exit status."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from diagnosis.models import ModelVersion
from diagnosis.services.models import model_register
from patients.models import AuditEvent, User
from tests import factories
from tests.diagnosis.predictors import model_folder_make

pytestmark = pytest.mark.django_db


@pytest.fixture
def said(capsys: Any) -> Any:
    """`said("list")`: what the command prints."""

    def run(*words: object) -> str:
        call_command("model", *(str(word) for word in words))
        return capsys.readouterr().out

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    def make(version: str = "1.0.0") -> Path:
        return model_folder_make(tmp_path / version, f"weights {version}".encode(), version)

    return make


def refusal(*words: object) -> tuple[int, str]:
    with pytest.raises(CommandError) as caught:
        call_command("model", *(str(word) for word in words))
    return caught.value.returncode, str(caught.value)


def status(version: str) -> str:
    return ModelVersion.objects.get(version=version).status


def test_add_registers_and_says_that_it_reads_nothing_yet(said, folder):
    assert "It reads nothing yet: registered." in said("add", folder())
    assert status("1.0.0") == "registered"


def test_add_can_activate_or_begin_a_trial(said, folder):
    assert "test-reader@1.0.0 is active" in said("add", folder("1.0.0"), "--activate")
    assert "nobody is shown it" in said("add", folder("2.0.0"), "--shadow")
    assert (status("1.0.0"), status("2.0.0")) == ("active", "shadow")


def test_activating_another_version_names_the_one_that_retires_and_the_way_back(said, folder):
    said("add", folder("1.0.0"), "--activate")
    said("add", folder("2.0.0"))
    text = said("activate", "test-reader@2.0.0")
    assert "test-reader@1.0.0 is retired; its results stay." in text
    assert "manage.py model rollback" in text
    assert "test-reader@1.0.0 is active again." in said("rollback")
    assert (status("1.0.0"), status("2.0.0")) == ("active", "retired")


def test_retiring_the_last_version_says_what_happens_to_films(said, folder):
    said("add", folder(), "--activate")
    assert "films are checked and kept" in said("retire", "test-reader")


def test_a_version_is_named_by_reference_name_or_weights(said, folder):
    said("add", folder())
    sha256 = ModelVersion.objects.get().sha256
    for text in ("test-reader@1.0.0", "test-reader", sha256, sha256[:8].upper()):
        said("activate", text)
        said("retire", text)
    assert AuditEvent.objects.filter(verb="retire").count() == 4


def test_an_unknown_or_ambiguous_name_lists_what_there_is(said, folder):
    said("add", folder("1.0.0"))
    code, text = refusal("activate", "nobody@9")
    assert (code, "test-reader@1.0.0" in text) == (3, True)
    said("add", folder("2.0.0"))
    code, text = refusal("activate", "test-reader")
    assert code == 3
    assert "test-reader@1.0.0" in text
    assert "test-reader@2.0.0" in text


def test_what_the_site_refuses_is_said_in_its_sentence(said, folder, tmp_path):
    assert refusal("rollback") == (1, "No other version was active before this one.")
    said("add", folder(), "--activate")
    code, text = refusal("shadow", "test-reader")
    assert (code, text.startswith("The active version cannot be put on trial.")) == (1, True)
    code, text = refusal("add", tmp_path)
    assert (code, "card.json cannot be read" in text) == (1, True)


def test_who_decides_is_recorded(said, folder, system_admin, user_for):
    said("add", folder(), "--activate", "--by", system_admin.username)
    assert "approved by" in said("list")
    assert ModelVersion.objects.get().approval.by == system_admin.username
    said("retire", "test-reader")
    assert AuditEvent.objects.get(verb="retire").changes["by"][1] == f"command line: {getpass.getuser()}"
    for name in ("nobody", user_for("radiologist").username):
        assert refusal("activate", "test-reader", "--by", name)[0] == 1
    assert status("1.0.0") == "retired"


def test_the_list_has_a_line_per_version_and_a_form_for_programs(said, folder):
    assert "No model is registered" in said("list")
    said("add", folder("1.0.0"), "--activate")
    model_register(folder=folder("2.0.0"), by="test")
    lines = said("list").splitlines()
    assert lines[0].split() == [
        "name",
        "version",
        "state",
        "since",
        "approved",
        "by",
        "asked",
        "by",
        "sha256",
        "figures",
    ]
    assert ("active" in lines[1], "registered" in lines[2]) == (True, True)
    assert "test macro AUROC" in lines[1]
    rows = json.loads(said("list", "--json"))
    assert [(row["version"], row["state"]) for row in rows] == [("1.0.0", "active"), ("2.0.0", "registered")]
    assert rows[0]["sha256"] == ModelVersion.objects.get(version="1.0.0").sha256


@pytest.mark.parametrize("words", [[], ["unknown"], ["add"], ["add", "x", "--activate", "--shadow"], ["activate"]])
def test_wrong_usage_is_refused(words):
    with pytest.raises(CommandError, match="Error"):
        call_command("model", *words)


def test_help_names_every_action_and_the_exit_states(capsys):
    with pytest.raises(SystemExit):
        call_command("model", "--help")
    text = capsys.readouterr().out
    for word in ("add", "list", "activate", "shadow", "rollback", "retire", "Exit status", "NAME@VERSION"):
        assert word in text


# --- two people


@pytest.fixture
def two(settings: Any, system_admin: User) -> tuple[str, str]:
    """Two are needed, and there are two."""
    settings.MODEL_APPROVALS = 2
    return system_admin.username, factories.system_admin_make().username


def test_one_asks_and_another_approves(said, folder, two):
    said("add", folder("1.0.0"))
    text = said("activate", "test-reader", "--by", two[0])
    model = ModelVersion.objects.get()
    assert f"{two[0]} asks for test-reader@1.0.0" in text
    assert model.sha256 in text
    assert model.request.card_sha256 in text
    assert "manage.py model approve test-reader@1.0.0 --by NAME" in text
    assert (status("1.0.0"), two[0] in said("list")) == ("registered", True)
    text = said("approve", "test-reader", "--by", two[1])
    assert "test-reader@1.0.0 is active" in text
    assert model.sha256 in text


def test_nobody_approves_alone_or_without_a_name(said, folder, two):
    said("add", folder(), "--activate", "--by", two[0])
    assert "You asked for test-reader 1.0.0 yourself." in refusal("approve", "test-reader", "--by", two[0])[1]
    with pytest.raises(CommandError, match="--by"):
        call_command("model", "approve", "test-reader")
    assert "Say who you are" in refusal("activate", "test-reader")[1]
    assert status("1.0.0") == "registered"


def test_a_request_can_be_declined(said, folder, two):
    said("add", folder(), "--activate", "--by", two[0])
    assert "nothing changes" in said("decline", "test-reader", "--by", two[1])
    assert "Nobody has asked" in refusal("approve", "test-reader", "--by", two[1])[1]

"""Model versions: what is registered, which one speaks, who decided so, and what was there before."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from diagnosis.models import Job, ModelChange, ModelVersion, OperatingPoint, Prediction
from diagnosis.services import model_files
from diagnosis.services.model_files import figure_names, figure_read, model_folder
from diagnosis.services.models import (
    bundled_register,
    model_activate,
    model_before,
    model_register,
    model_retire,
    model_rollback,
    model_shadow,
)
from mlcore.card import CARD_FILE, WEIGHTS_FILE
from mlcore.contracts import ModelIntegrityError
from mlcore.registry import bundled_folder
from patients.errors import ApplicationError
from patients.models import AuditEvent
from tests import factories
from tests.diagnosis.predictors import model_folder_make

pytestmark = pytest.mark.django_db

BY = "command line: tester"


@pytest.fixture
def store(settings: Any) -> Path:
    return settings.MODEL_ROOT


@pytest.fixture
def make(tmp_path: Path) -> Any:
    """`make("2.0.0")`: a registered version with weights of its own."""

    def one(version: str = "1.0.0", **changes: Any) -> ModelVersion:
        folder = model_folder_make(tmp_path / version, f"weights {version}".encode(), version)
        edit(folder, **changes)
        return model_register(folder=folder, by=BY)

    return one


def edit(folder: Path, **changes: Any) -> None:
    card = json.loads((folder / CARD_FILE).read_text())
    (folder / CARD_FILE).write_text(json.dumps(card | changes))


def active() -> str:
    return ModelVersion.objects.get(status="active").version


def refused(call: Any, **arguments: Any) -> str:
    with pytest.raises(ApplicationError) as caught:
        call(**arguments)
    return caught.value.code


# --- registering


def test_a_new_version_waits_with_the_thresholds_of_its_card(tmp_path):
    folder = model_folder_make(tmp_path / "new")
    model = model_register(folder=folder, by=BY)
    card = json.loads((folder / CARD_FILE).read_text())
    assert (model.status, model.sha256, model.reference) == ("registered", card["sha256"], "test-reader@1.0.0")
    points = OperatingPoint.objects.filter(model_version=model, clinic=None)
    assert dict(points.values_list("label", "threshold")) == card["operating_points"]
    assert [(each.verb, each.by) for each in model.changes.all()] == [("register", BY)]


def test_the_store_holds_the_same_bytes(store, tmp_path):
    folder = model_folder_make(tmp_path / "elsewhere", bytes(range(256)) * 64)
    (folder / "figures").mkdir()
    (folder / "figures" / "roc.svg").write_text("<svg/>")
    model = model_register(folder=folder, by=BY)
    assert model_folder(model) == store / "test-reader@1.0.0"
    for name in (WEIGHTS_FILE, CARD_FILE, "figures/roc.svg"):
        assert (model_folder(model) / name).read_bytes() == (folder / name).read_bytes()


def test_registering_again_changes_nothing(tmp_path):
    folder = model_folder_make(tmp_path / "new")
    first = model_register(folder=folder, by=BY)
    assert model_register(folder=folder, by=BY) == first
    assert ModelVersion.objects.count() == ModelChange.objects.count() == 1


def test_registering_again_brings_back_files_that_went_missing(tmp_path):
    folder = model_folder_make(tmp_path / "new")
    model = model_register(folder=folder, by=BY)
    shutil.rmtree(model_folder(model))
    assert refused(model_activate, model=model, by=BY) == "model_not_usable"
    model_register(folder=folder, by=BY)
    assert model_activate(model=model, by=BY).status == "active"


def test_weights_that_do_not_match_their_card_are_refused(tmp_path):
    folder = model_folder_make(tmp_path / "a")
    (folder / WEIGHTS_FILE).write_bytes(b"other")
    with pytest.raises(ModelIntegrityError):
        model_register(folder=folder, by=BY)
    assert not ModelVersion.objects.exists()


def test_a_copy_that_differs_is_not_registered(tmp_path, monkeypatch):
    folder = model_folder_make(tmp_path / "a")
    monkeypatch.setattr(model_files.shutil, "copyfile", lambda source, target: Path(target).write_bytes(b"torn"))
    with pytest.raises(ModelIntegrityError, match="sha256"):
        model_register(folder=folder, by=BY)
    assert not ModelVersion.objects.exists()


def test_one_name_and_version_means_one_set_of_weights(tmp_path):
    model_register(folder=model_folder_make(tmp_path / "a"), by=BY)
    with pytest.raises(ModelIntegrityError, match="other weights"):
        model_register(folder=model_folder_make(tmp_path / "b", b"other weights"), by=BY)


def test_a_corrected_text_is_taken_over(tmp_path):
    folder = model_folder_make(tmp_path / "a")
    model_register(folder=folder, by=BY)
    edit(folder, intended_use="Teaching only.")
    model = model_register(folder=folder, by=BY)
    assert model.card["intended_use"] == "Teaching only."
    assert "Teaching only." in (model_folder(model) / CARD_FILE).read_text()


@pytest.mark.parametrize("change", ["calibration", "operating_points"])
def test_another_recipe_needs_another_version_and_may_share_the_weights(tmp_path, change):
    folder = model_folder_make(tmp_path / "a")
    model = model_register(folder=folder, by=BY)
    other = {"calibration": {"temperature": 9.0}, "operating_points": {"pneumonia": 0.99}}[change]
    edit(folder, **{change: model.card[change] | other})
    with pytest.raises(ModelIntegrityError, match="another recipe"):
        model_register(folder=folder, by=BY)
    edit(folder, version="1.0.1")
    second = model_register(folder=folder, by=BY)
    assert (second.sha256, second.version) == (model.sha256, "1.0.1")
    assert model_folder(second) != model_folder(model)


@pytest.mark.parametrize("name", ["../up", "a b", "a@b", ".hidden", "a/b"])
def test_a_name_that_cannot_stand_in_a_command_is_refused(tmp_path, name):
    folder = model_folder_make(tmp_path / "a")
    edit(folder, name=name)
    with pytest.raises(ModelIntegrityError, match="letters"):
        model_register(folder=folder, by=BY)


# --- pictures


def test_only_pictures_of_known_names_are_copied_and_read(tmp_path):
    folder = model_folder_make(tmp_path / "a")
    (folder / "figures").mkdir()
    for name in ("roc.svg", "reliability-within_nih.svg", "evil.svg", "roc.html", "ROC.svg"):
        (folder / "figures" / name).write_text("<svg/>")
    (folder / "figures" / "confusion.svg").symlink_to(folder / CARD_FILE)
    model = model_register(folder=folder, by=BY)
    assert figure_names(model) == ["reliability-within_nih", "roc"]
    assert figure_read(model, "roc") == b"<svg/>"
    for name in ("evil", "../card.json", "roc/../../card", "confusion", "", "roc.svg"):
        assert figure_read(model, name) is None


def test_a_picture_that_is_gone_from_the_folder_is_gone_from_the_card(tmp_path):
    folder = model_folder_make(tmp_path / "a")
    (folder / "figures").mkdir()
    (folder / "figures" / "roc.svg").write_text("<svg/>")
    model = model_register(folder=folder, by=BY)
    (folder / "figures" / "roc.svg").unlink()
    assert figure_names(model_register(folder=folder, by=BY)) == []
    assert figure_names(model) == []


# --- moves


def test_one_version_speaks_at_a_time(make):
    first, second = make("1.0.0"), make("2.0.0")
    model_activate(model=first, by=BY)
    model_activate(model=second, by=BY)
    first.refresh_from_db()
    assert (first.status, active()) == ("retired", "2.0.0")
    assert first.changes.first().verb == "replace"


def test_activating_again_records_nothing(make):
    model = model_activate(model=make(), by=BY)
    model_activate(model=model, by=BY)
    assert model.changes.count() == 2


def test_who_decided_stands_in_history_and_audit(make, system_admin):
    model = model_activate(model=make(), by=system_admin)
    assert (model.approval.by, model.approved_by) == (system_admin.username, system_admin)
    event = AuditEvent.objects.get(verb="activate")
    assert (event.user, event.object_id) == (system_admin, str(model.pk))
    assert event.changes["status"] == ["registered", "active"]
    model_retire(model=model, by=BY)
    event = AuditEvent.objects.get(verb="retire")
    assert (event.user, event.changes["by"]) == (None, ["", BY])


def test_history_cannot_be_rewritten(make):
    change = make().changes.get()
    with pytest.raises(DatabaseError), transaction.atomic():
        ModelChange.objects.filter(pk=change.pk).update(by="nobody")
    with pytest.raises(DatabaseError), transaction.atomic():
        change.delete()


@pytest.mark.parametrize("move", [model_activate, model_shadow, model_retire])
def test_only_a_system_administrator_decides(make, user_for, move):
    model = make()
    for who in (user_for("clinicadmin"), user_for("radiologist"), ""):
        assert refused(move, model=model, by=who) == "permission_denied"
        assert refused(model_rollback, by=who) == "permission_denied"


def test_the_active_version_cannot_be_put_on_trial(make):
    model = model_activate(model=make(), by=BY)
    assert refused(model_shadow, model=model, by=BY) == "model_active"


def test_damaged_files_never_become_active(make):
    model = make()
    (model_folder(model) / WEIGHTS_FILE).write_bytes(b"rot")
    assert refused(model_activate, model=model, by=BY) == "model_not_usable"
    model.refresh_from_db()
    assert model.status == "registered"


def test_going_back_follows_the_history(make):
    one, two, three = make("1"), make("2"), make("3")
    assert refused(model_rollback, by=BY) == "no_model_before"
    model_activate(model=one, by=BY)
    assert refused(model_rollback, by=BY) == "no_model_before"
    for model in (two, three):
        model_activate(model=model, by=BY)
    assert model_rollback(by=BY) == two
    assert active() == "2"
    assert model_rollback(by=BY) == one
    assert model_before() is None
    model_activate(model=three, by=BY)
    assert model_rollback(by=BY) == one


def test_after_retiring_the_active_version_going_back_finds_the_one_before(make):
    one, two = make("1"), make("2")
    model_activate(model=one, by=BY)
    model_activate(model=two, by=BY)
    model_retire(model=two, by=BY)
    assert not ModelVersion.objects.filter(status="active").exists()
    assert model_rollback(by=BY) == one


def test_a_version_whose_files_are_gone_cannot_be_gone_back_to(make):
    one, two = make("1"), make("2")
    model_activate(model=one, by=BY)
    model_activate(model=two, by=BY)
    shutil.rmtree(model_folder(one))
    assert refused(model_rollback, by=BY) == "model_not_usable"
    assert active() == "2"


def test_leaving_the_trial_cancels_what_waited_for_it(make, patient):
    model = model_shadow(model=make(), by=BY)
    film = factories.radiograph_make(factories.study_make(patient))
    job = factories.job_make(film, "infer", model_version=model, shadow=True)
    model_retire(model=model, by=BY)
    job.refresh_from_db()
    assert job.state == "cancelled"


def test_the_database_knows_one_active_version(make):
    model_activate(model=make("1"), by=BY)
    with pytest.raises(IntegrityError), transaction.atomic():
        ModelVersion.objects.filter(pk=make("2").pk).update(status="active")


# --- the bundled model


@pytest.fixture
def bundled(tmp_path, monkeypatch):
    """The bundled folder of a release; `bundled("1.1.0")` is what the next release brings."""
    folder = tmp_path / "program" / "bundled" / "default"

    def ship(version: str) -> Path:
        shutil.rmtree(folder, ignore_errors=True)
        return model_folder_make(folder, f"weights of {version}".encode(), version)

    for module in ("models", "model_files"):
        monkeypatch.setattr(f"diagnosis.services.{module}.bundled_folder", lambda: folder)
    return ship


def test_the_bundled_model_is_registered_active_with_its_thresholds():
    model = bundled_register()
    card = json.loads((bundled_folder() / CARD_FILE).read_text())
    assert (model.status, model.sha256) == ("active", card["sha256"])
    assert (model_folder(model) / WEIGHTS_FILE).read_bytes() == (bundled_folder() / WEIGHTS_FILE).read_bytes()
    points = OperatingPoint.objects.filter(model_version=model, clinic=None)
    assert dict(points.values_list("label", "threshold")) == card["operating_points"]


def test_a_new_release_brings_its_model_and_old_results_keep_theirs(bundled, patient):
    bundled("1.0.0")
    old = bundled_register()
    prediction = factories.prediction_make(factories.radiograph_make(factories.study_make(patient)), old)
    bundled("1.1.0")
    assert bundled_register().version == active() == "1.1.0"
    said_by = Prediction.objects.get(pk=prediction.pk).model_version
    assert (said_by.version, said_by.status, said_by.card["version"]) == ("1.0.0", "retired", "1.0.0")
    assert json.loads((model_folder(said_by) / CARD_FILE).read_text())["version"] == "1.0.0"
    assert model_rollback(by=BY) == old
    assert bundled_register().status == "retired"
    assert active() == "1.0.0"


def test_an_installation_of_the_first_release_upgrades(bundled):
    """There the row named the folder inside the program, whose files the new release has replaced."""
    card = json.loads((bundled("1.0.0") / CARD_FILE).read_text())
    old = factories.model_version_make("1.0.0", name="test-reader", sha256=card["sha256"], card=card,
                                       folder="bundled/default")  # fmt: skip
    bundled("1.1.0")
    bundled_register()
    old.refresh_from_db()
    assert (active(), old.status) == ("1.1.0", "retired")
    assert refused(model_activate, model=old, by=BY) == "model_not_usable"


def test_the_bundled_model_does_not_push_out_a_chosen_one(bundled, make):
    chosen = model_activate(model=make("9"), by=BY)
    bundled("1.0.0")
    assert bundled_register().status == "registered"
    chosen.refresh_from_db()
    assert chosen.status == "active"


def test_where_the_last_version_was_retired_a_new_release_does_not_begin_by_itself(bundled):
    bundled("1.0.0")
    model_retire(model=bundled_register(), by=BY)
    bundled("1.1.0")
    assert bundled_register().status == "registered"


def test_a_program_without_a_model_registers_none(tmp_path, monkeypatch):
    monkeypatch.setattr("diagnosis.services.models.bundled_folder", lambda: tmp_path)
    assert bundled_register() is None
    assert not Job.objects.exists()

"""Model versions: what is registered, which one speaks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from diagnosis.models import ModelVersion, OperatingPoint
from diagnosis.services.models import model_activate, model_folder, model_register
from mlcore.card import CARD_FILE, WEIGHTS_FILE
from mlcore.contracts import ModelIntegrityError
from mlcore.registry import bundled_folder
from patients.errors import ApplicationError
from patients.models import AuditEvent
from tests.diagnosis.predictors import model_folder_make


@pytest.fixture(autouse=True)
def store(settings: Any, tmp_path: Path) -> Path:
    settings.MODEL_ROOT = tmp_path / "models"
    settings.MODEL_ROOT.mkdir()
    return settings.MODEL_ROOT


def test_the_bundled_model_is_registered_active_with_its_thresholds(db):
    model = model_register(folder=bundled_folder())
    card = json.loads((bundled_folder() / CARD_FILE).read_text())
    assert (model.folder, model.status, model.sha256) == ("bundled/default", "active", card["sha256"])
    assert model_folder(model) == bundled_folder()
    points = OperatingPoint.objects.filter(model_version=model, clinic=None)
    assert dict(points.values_list("label", "threshold")) == card["operating_points"]


def test_registering_again_changes_nothing(db):
    first = model_register(folder=bundled_folder())
    assert model_register(folder=bundled_folder()) == first
    assert ModelVersion.objects.count() == 1
    assert AuditEvent.objects.filter(object_type="modelversion").count() == 2


def test_a_folder_from_elsewhere_is_copied_into_the_store(db, store, tmp_path):
    model = model_register(folder=model_folder_make(tmp_path / "elsewhere"))
    assert model_folder(model).parent == store
    assert (model_folder(model) / WEIGHTS_FILE).read_bytes() == (tmp_path / "elsewhere" / WEIGHTS_FILE).read_bytes()


def test_one_version_speaks_at_a_time(db, store, system_admin):
    first = model_register(folder=model_folder_make(store / "a"))
    second = model_register(folder=model_folder_make(store / "b", b"other weights", "2.0.0"))
    first.refresh_from_db()
    assert (first.status, second.status) == ("retired", "active")
    model_activate(model=first, user=system_admin)
    assert ModelVersion.objects.get(status="active") == first


def test_the_bundled_model_does_not_push_out_a_chosen_one(db, store):
    chosen = model_register(folder=model_folder_make(store / "a"))
    bundled = model_register(folder=bundled_folder())
    chosen.refresh_from_db()
    assert (chosen.status, bundled.status) == ("active", "shadow")


def test_only_a_system_administrator_chooses(db, store, user_for):
    model = model_register(folder=model_folder_make(store / "a"), activate=False)
    with pytest.raises(ApplicationError) as caught:
        model_activate(model=model, user=user_for("clinicadmin"))
    assert caught.value.code == "permission_denied"


def test_weights_that_do_not_match_their_card_are_refused(db, store):
    folder = model_folder_make(store / "a")
    (folder / WEIGHTS_FILE).write_bytes(b"other")
    with pytest.raises(ModelIntegrityError):
        model_register(folder=folder)
    assert not ModelVersion.objects.exists()


def test_one_name_and_version_means_one_set_of_weights(db, store):
    model_register(folder=model_folder_make(store / "a"))
    with pytest.raises(ModelIntegrityError, match="already registered"):
        model_register(folder=model_folder_make(store / "b", b"other weights"))


def edit(folder: Path, **changes: Any) -> None:
    card = json.loads((folder / CARD_FILE).read_text())
    (folder / CARD_FILE).write_text(json.dumps(card | changes))


def test_a_corrected_text_is_taken_over(db, store):
    folder = model_folder_make(store / "a")
    model_register(folder=folder)
    edit(folder, intended_use="Teaching only.")
    assert model_register(folder=folder).card["intended_use"] == "Teaching only."


def test_another_calibration_of_the_same_weights_is_not(db, store):
    folder = model_folder_make(store / "a")
    model = model_register(folder=folder)
    edit(folder, calibration=model.card["calibration"] | {"temperature": 9.0})
    with pytest.raises(ModelIntegrityError, match="another recipe"):
        model_register(folder=folder)


def test_the_command_registers_and_activates(db, tmp_path, capsys):
    call_command("model_add", str(model_folder_make(tmp_path / "new")), "--activate")
    assert "test-reader 1.0.0 (active)" in capsys.readouterr().out
    with pytest.raises(CommandError, match=r"card\.json"):
        call_command("model_add", str(tmp_path))

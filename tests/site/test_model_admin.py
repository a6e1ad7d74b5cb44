"""Model versions in the administration: every move asks first, calls the service, and is open to nobody else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from diagnosis.models import ModelVersion, Prediction
from diagnosis.services.models import model_activate, model_register
from patients.models import User
from tests import factories
from tests.diagnosis.predictors import model_folder_make

pytestmark = pytest.mark.django_db
LIST = "/admin/diagnosis/modelversion/"


@pytest.fixture
def browser(client_for: Callable[..., Client]) -> Client:
    return client_for("system")


@pytest.fixture
def versions(tmp_path: Path) -> list[ModelVersion]:
    """1.0.0 active, 2.0.0 registered."""
    made = [
        model_register(folder=model_folder_make(tmp_path / version, version.encode(), version), by="test")
        for version in ("1.0.0", "2.0.0")
    ]
    model_activate(model=made[0], by="test")
    return made


def act(browser: Client, action: str, *chosen: ModelVersion, confirmed: bool = False) -> str:
    form: dict[str, Any] = {"action": action, "_selected_action": [str(each.pk) for each in chosen]}
    answer = browser.post(LIST, form | ({"confirmed": "yes"} if confirmed else {}), follow=True)
    return answer.content.decode().replace("<wbr>", "")


def state(model: ModelVersion) -> str:
    model.refresh_from_db()
    return model.status


@pytest.mark.parametrize(
    ("action", "question", "after"),
    [("activate", "Activate test-reader 2.0.0?", "active"), ("shadow", "on trial?", "shadow"),
     ("retire", "Retire test-reader 2.0.0?", "retired")],
)  # fmt: skip
def test_a_move_asks_first(browser, versions, action, question, after):
    page = act(browser, action, versions[1])
    assert question in page
    assert state(versions[1]) == "registered"
    assert "est-reader 2.0.0 is" in act(browser, action, versions[1], confirmed=True)
    assert state(versions[1]) == after


def test_the_page_says_what_follows(browser, versions):
    assert "test-reader 1.0.0 retires" in act(browser, "activate", versions[1])
    assert "No version is active then" in act(browser, "retire", versions[0])
    assert "No version is active then" not in act(browser, "retire", versions[1])


def test_who_confirmed_is_in_the_history(browser, versions, system_admin):
    act(browser, "activate", versions[1], confirmed=True)
    assert versions[1].changes.first().by == system_admin.username
    page = browser.get(reverse("admin:diagnosis_modelversion_change", args=[versions[1].pk])).content.decode()
    assert system_admin.username in page
    assert "Activated" in page


def test_going_back_starts_from_the_active_version(browser, versions):
    assert "No other version was active before" in act(browser, "roll_back", versions[0])
    model_activate(model=versions[1], by="test")
    assert "Choose the active version" in act(browser, "roll_back", versions[0])
    page = act(browser, "roll_back", versions[1])
    assert "Go back to test-reader 1.0.0?" in page
    assert f'name="_selected_action" value="{versions[1].pk}"' in page
    assert "est-reader 1.0.0 is active again." in act(browser, "roll_back", versions[1], confirmed=True)
    assert (state(versions[0]), state(versions[1])) == ("active", "retired")


def test_a_refusal_is_said_and_changes_nothing(browser, versions):
    assert "cannot be put on trial" in act(browser, "shadow", versions[0], confirmed=True)
    assert "Choose one version." in act(browser, "activate", *versions, confirmed=True)
    assert (state(versions[0]), state(versions[1])) == ("active", "registered")


@pytest.mark.parametrize("role", ["clinicadmin", "radiologist", "operator"])
def test_nobody_else_gets_in(client_for, versions, role):
    act(client_for(role), "activate", versions[1], confirmed=True)
    assert state(versions[1]) == "registered"


def test_results_on_trial_are_in_no_list_of_the_administration(browser, patient, system_admin):
    factories.break_glass_make(system_admin, patient.clinic)  # else no result is shown there at all
    study = factories.study_make(patient)
    shown = factories.predicted_film_make(study)
    trial = factories.model_version_make(name="trial-reader", status="shadow")
    hidden = factories.prediction_make(shown.radiograph, trial, shadow=True)
    for name in ("prediction", "finding"):
        rows = browser.get(f"/admin/diagnosis/{name}/").context["cl"].result_list
        assert {getattr(row, "prediction_id", row.pk) for row in rows} == {shown.pk}
    assert browser.get(f"/admin/diagnosis/prediction/{hidden.pk}/change/").status_code == 302
    address = reverse("admin:diagnosis_prediction_change", args=[hidden.pk])
    page = browser.get(f"/admin/diagnosis/radiograph/{shown.radiograph_id}/change/").content.decode()
    assert address not in page
    assert Prediction.objects.count() == 2


# --- two people


@pytest.fixture
def asked(versions: list[ModelVersion], settings: Any) -> ModelVersion:
    """2.0.0, for which another system administrator has asked."""
    settings.MODEL_APPROVALS = 2
    return model_activate(model=versions[1], by=User.objects.create_superuser("alice"))


def test_activating_is_asking_where_two_are_needed(browser, versions, settings):
    settings.MODEL_APPROVALS = 2
    page = act(browser, "activate", versions[1])
    assert "Ask for test-reader 2.0.0 to be activated?" in page
    assert versions[1].sha256 in page
    assert "Another system administrator has to approve it." in act(browser, "activate", versions[1], confirmed=True)
    assert state(versions[1]) == "registered"


def test_the_second_person_sees_who_asked_the_hashes_and_both_figures(browser, asked, versions):
    page = act(browser, "approve", asked)
    for text in ("alice", asked.request.sha256, asked.request.card_sha256, "test-reader 1.0.0 (active)", "Macro AUROC"):
        assert text in page
    assert 'field-asked">alice<' in browser.get(LIST).content.decode()


def test_the_second_person_lets_it_speak(browser, asked):
    assert "est-reader 2.0.0 is active." in act(browser, "approve", asked, confirmed=True)
    assert state(asked) == "active"


def test_deciding_asks_once_more_who_is_there(client_for, asked):
    page = act(client_for("system", ago=1000), "approve", asked, confirmed=True)
    assert "password" in page.lower()
    assert state(asked) == "registered"


def test_a_request_can_be_declined(browser, asked):
    assert "The request for test-reader 2.0.0 is closed." in act(browser, "decline", asked, confirmed=True)
    assert "Nobody has asked for" in act(browser, "approve", asked)


def test_status_says_where_one_person_is_enough(browser, settings):
    warning = "One person alone can activate a model here"
    assert warning in browser.get("/status/").content.decode()
    settings.MODEL_APPROVALS = 2
    assert warning not in browser.get("/status/").content.decode()

"""The status page and the model card."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from diagnosis.models import Worker
from diagnosis.services.models import model_activate, model_register
from mlcore.card import load_card
from mlcore.registry import bundled_folder
from tests import factories
from tests.diagnosis.predictors import model_folder_make

pytestmark = pytest.mark.django_db


def text_of(client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def test_status_names_who_works_who_is_silent_and_who_cannot(client_for):
    now = timezone.now()
    Worker.objects.create(name="prepare@a", kind="prepare", started_at=now, seen_at=now)
    Worker.objects.create(name="prepare@b", kind="prepare", started_at=now, seen_at=now - timedelta(hours=3))
    Worker.objects.create(name="infer@a", kind="infer", started_at=now, seen_at=now, note="The weights changed.")
    page = text_of(client_for("operator"), "/status/")
    for text in (
        "Alive",
        "Silent",
        "3 h ago",
        "Cannot work",
        "The weights changed.",
        "No worker is running for the model.",
    ):
        assert text in page


def test_status_counts_queues_and_names_the_active_model(client_for, patient):
    model = factories.model_version_make()
    factories.job_make(factories.radiograph_make(factories.study_make(patient)))
    page = text_of(client_for("system"), "/status/")
    assert "to be checked, the oldest for" in page
    assert f"{model.name} {model.version}" in page
    assert patient.name not in page


def test_status_says_when_no_model_is_active(client_for):
    assert "No model is active." in text_of(client_for("operator"), "/status/")


def test_card_page_shows_figures_with_intervals_beside_baselines(client_for):
    card = load_card(bundled_folder()).to_json()
    model = factories.model_version_make(card["version"], name=card["name"], card=card)
    page = text_of(client_for("operator"), f"/models/{model.pk}/")
    pooled = card["metrics"]["test"]["parts"]["pooled"]
    auroc = pooled["figures"]["macro_auroc"]
    assert f"{auroc['value']:.2f} ({auroc['low']:.2f}–{auroc['high']:.2f})" in page
    assert f"{pooled['baselines']['source_only']['accuracy']:.2f}" in page
    assert "within NIH" in page
    for sentence in (card["limitations"][0], card["credits"][0], card["sha256"] and model.sha256):
        assert sentence in page


def card_of(split: dict, **more: Any) -> dict:
    """A card in the form of an evaluation, with one figure of every kind."""
    labels = [{"key": key, "title": key.capitalize(), "severity": 0.5} for key in ("edema", "mass")]
    labels[1]["trained"] = False
    return {"labels": labels, "metrics": {"test": split, "val": {"parts": split["parts"]}}} | more


def figure(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.05, "high": value + 0.05, "n": 200}


SPLIT = {
    "parts": {
        "pooled": {
            "films": 200,
            "groups": 150,
            "labels": {"edema": 40, "mass": 2},
            "figures": {
                "accuracy": figure(0.81),
                "macro_auroc": figure(0.77),
                "ece": figure(0.06),
                "sensitivity.edema": figure(0.71),
                "specificity.edema": figure(0.63),
                "sensitivity.mass": figure(0.5),
            },
            "before": {"figures": {"ece": figure(0.19)}},
            "baselines": {"source_only": {"accuracy": 0.74}},
        }
    },
    "subgroups": [
        {"by": "sex", "name": "F", "films": 80, "figures": {"macro_auroc": figure(0.69)}},
        {"by": "age", "name": "0 to 5", "films": 4, "too_few": "fewer than 20 films"},
    ],
    "robustness": {
        "films": 100,
        "as_they_are": {"within NIH": 0.77},
        "changes": {"jpeg": [{"strength": 30, "auroc": {"within NIH": 0.58}, "words": 0.12}]},
    },
}


def page_of_card(client_for, card: dict, **fields: Any) -> str:
    model = factories.model_version_make("3.0.0", name="measured", card=card, **fields)
    return text_of(client_for("operator"), f"/models/{model.pk}/")


def test_card_page_shows_every_kind_of_figure(client_for):
    page = page_of_card(client_for, card_of(SPLIT))
    for text in (
        "0.71 (0.66–0.76)",  # sensitivity beside the threshold
        "0.19 (0.14–0.24)",  # calibration error before
        "Sex: F",
        "0.69 (0.64–0.74)",
        "fewer than 20 films",
        "Jpeg 30",
        "0.58",
        "12 %",
    ):
        assert text in page, text


def test_card_page_says_what_pooled_accuracy_means_where_the_card_says_it(client_for):
    card = card_of(SPLIT)
    assert "pooled accuracy can" not in page_of_card(client_for, card)
    card["metrics"]["val"]["statement"] = "Pooled validation accuracy is 81.0%; the study reports 95.56%."
    model = factories.model_version_make("4.0.0", name="measured", card=card, status="retired")
    page = text_of(client_for("operator"), f"/models/{model.pk}/")
    for text in ("pooled accuracy can and cannot mean", "95.56%", "0.81 (0.76–0.86)", "0.74"):
        assert text in page


def test_card_page_names_no_label_that_the_model_was_not_trained_for(client_for):
    page = page_of_card(client_for, card_of(SPLIT))
    assert "Edema" in page
    assert "Mass" not in page


def test_card_page_without_figures_says_so(client_for):
    page = page_of_card(client_for, {"labels": []})
    assert "holds no figures" in page
    assert "<h2>Pictures</h2>" not in page


@pytest.fixture
def pictured(settings) -> Any:
    model = factories.model_version_make(name="pictured")
    folder = settings.MODEL_ROOT / model.folder / "figures"
    folder.mkdir(parents=True)
    for name in ("roc", "reliability", "evil"):
        (folder / f"{name}.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    (folder.parent / "card.json").write_text("{}")
    return model


def test_card_page_shows_the_pictures_of_the_folder_with_captions(client_for, pictured):
    page = text_of(client_for("operator"), f"/models/{pictured.pk}/")
    assert f'src="/models/{pictured.pk}/figures/roc.svg"' in page
    assert "Sensitivity against false alarms" in page
    assert "evil" not in page


def test_a_picture_can_run_and_load_nothing(client_for, pictured):
    answer = client_for("operator").get(f"/models/{pictured.pk}/figures/roc.svg")
    assert answer["Content-Type"] == "image/svg+xml"
    assert answer["X-Content-Type-Options"] == "nosniff"
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "script" not in policy


@pytest.mark.parametrize(
    "name",
    ["evil.svg", "card.json", "..%2fcard.json", "../card.json", "roc", "roc.svg.svg", "ROC.svg", "%2e%2e/roc.svg"],
)
def test_no_other_file_is_given_as_a_picture(client_for, pictured, name):
    assert client_for("operator").get(f"/models/{pictured.pk}/figures/{name}").status_code == 404


def test_pictures_of_a_version_on_trial_are_for_system_administrators(client_for, pictured):
    trial = factories.model_version_make(name="trial-reader", status="shadow", folder=pictured.folder)
    address = f"/models/{trial.pk}/figures/roc.svg"
    assert client_for("radiologist").get(address).status_code == 404
    assert client_for("system").get(address).status_code == 200


def test_the_list_shows_what_speaks_and_spoke_and_trials_to_system_administrators_only(client_for):
    factories.model_version_make("1.0.0", name="speaks", card=card_of(SPLIT))
    factories.model_version_make("1.0.0", name="spoke", status="retired")
    factories.model_version_make("1.0.0", name="hidden-trial", status="shadow")
    page = text_of(client_for("operator"), "/models/")
    assert "0.77 pooled (n 200)" in page
    assert "no figures in the card" in page
    assert "hidden-trial" not in page
    assert "hidden-trial" in text_of(client_for("system"), "/models/")


def test_a_version_that_spoke_keeps_its_page_when_it_is_tried_again(client_for):
    model = factories.model_version_make(name="spoke")
    type(model).objects.update(status="shadow")
    page = text_of(client_for("operator"), f"/models/{model.pk}/")
    assert "On trial" not in page


def test_the_list_without_a_model_says_what_to_do(client_for):
    assert "No model yet" in text_of(client_for("operator"), "/models/")


def test_the_card_tells_who_let_the_version_speak(client_for, tmp_path, system_admin):
    model = model_register(folder=model_folder_make(tmp_path / "m"), by="command line: root")
    model_activate(model=model, by=system_admin)
    page = text_of(client_for("operator"), f"/models/{model.pk}/")
    assert f"approved by {system_admin.username}" in page
    assert "Registered by command line: root" in page


def test_system_administrators_see_how_many_films_a_trial_has_read_and_where_it_is_compared(client_for, patient):
    shown = factories.predicted_film_make(factories.study_make(patient))
    trial = factories.model_version_make(name="trial-reader", status="shadow")
    factories.prediction_make(shown.radiograph, trial, shadow=True)
    factories.job_make(shown.radiograph, "infer", "succeeded", model_version=trial, shadow=True)
    page = text_of(client_for("system"), f"/models/{trial.pk}/")
    assert "1 film read" in page
    assert f'href="/models/{trial.pk}/compare/"' in page


def test_unknown_model_is_not_found(client_for):
    assert client_for("operator").get(f"/models/{uuid4()}/").status_code == 404

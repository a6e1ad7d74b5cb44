"""A real 14-label network in the site: findings of the trained labels only, from worker to page, API and history."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from diagnosis import storage
from diagnosis.models import Finding, Job, ModelVersion, OperatingPoint, Prediction
from diagnosis.services import infer
from diagnosis.services.infer import infer_waiting
from diagnosis.services.models import model_activate, model_register
from diagnosis.services.presence import Presence
from tests.mlcore.fourteen import TRAINED, fourteen_folder

UNTRAINED_TITLES = ("Mass", "Hernia")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fourteen_folder(tmp_path_factory.mktemp("models") / "fourteen")


@pytest.fixture
def fourteen(db: None, folder: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> ModelVersion:
    settings.MODEL_ROOT = folder.parent
    settings.INFER_ENGINE = "keras"
    monkeypatch.setattr(infer, "PRESENCE", Presence())
    return model_activate(model=model_register(folder=folder, by="test"), by="test")


@pytest.fixture
def predicted(fourteen: ModelVersion, prepared: Callable[..., Job]) -> Prediction:
    prepared()
    infer_waiting(worker="test")
    return Prediction.objects.select_related("radiograph__study__patient").get()


def test_every_trained_label_has_a_finding_and_a_map_and_no_other(predicted: Prediction) -> None:
    assert set(predicted.findings.values_list("label", flat=True)) == set(TRAINED)
    labels, maps = storage.maps_read(predicted.map_key)
    assert labels == TRAINED
    assert maps.shape[-1] == len(TRAINED)


def test_only_trained_labels_have_a_threshold(fourteen: ModelVersion) -> None:
    assert set(OperatingPoint.objects.values_list("label", flat=True)) == set(TRAINED)


def test_study_page_shows_no_untrained_label(predicted: Prediction, client_for: Callable[..., Any]) -> None:
    page = client_for("radiologist").get(reverse("study_detail", args=[predicted.radiograph.study_id]))
    text = page.content.decode()
    assert "Pneumothorax" in text
    assert "Pleural thickening" in text
    assert not any(title in text for title in UNTRAINED_TITLES)


def test_headline_names_the_findings_above_their_thresholds(
    fourteen: ModelVersion, prepared: Callable[..., Job], client_for: Callable[..., Any]
) -> None:
    points = OperatingPoint.objects.filter(model_version=fourteen)
    points.update(threshold=1)
    points.filter(label="edema").update(threshold=0)
    job = prepared()
    infer_waiting(worker="test")
    word = Finding.objects.get(label="edema").word
    page = client_for("radiologist").get(reverse("study_detail", args=[job.radiograph.study_id]))
    assert f'class="headline">Pulmonary oedema {word}</p>' in page.content.decode()


def test_map_of_an_untrained_label_is_not_found(predicted: Prediction, client_for: Callable[..., Any]) -> None:
    client = client_for("radiologist")
    assert client.get(reverse("prediction_map", args=[predicted.pk, "edema"])).status_code == 200
    assert client.get(reverse("prediction_map", args=[predicted.pk, "hernia"])).status_code == 404


def test_history_has_no_curve_of_an_untrained_label(predicted: Prediction, client_for: Callable[..., Any]) -> None:
    patient = predicted.radiograph.study.patient
    text = client_for("radiologist").get(reverse("patient_detail", args=[patient.pk])).content.decode()
    assert "Pulmonary oedema" in text
    assert not any(title in text for title in UNTRAINED_TITLES)

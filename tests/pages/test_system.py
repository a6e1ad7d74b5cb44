"""The status page and the model card."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from diagnosis.models import Worker
from mlcore.card import load_card
from mlcore.registry import bundled_folder
from tests import factories

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


def test_unknown_model_is_not_found(client_for):
    assert client_for("operator").get(f"/models/{uuid4()}/").status_code == 404

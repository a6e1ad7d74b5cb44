"""What is counted of a clinic's films, at first and of late, and when that is an alert; the index is mlcore's test."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from diagnosis.models import Distribution, Finding, Prediction, Radiograph, Study
from diagnosis.monitoring import alerts_read
from diagnosis.services import drift
from tests import factories

pytestmark = pytest.mark.usefixtures("database_owner")
RANDOM = np.random.default_rng(17)


@pytest.fixture(autouse=True)
def _small_reference(monkeypatch):
    monkeypatch.setattr(drift, "REFERENCE_FILMS", 120)
    monkeypatch.setattr(drift, "_tried", [])


def films_make(patient, count, *, days, view="PA", calibrated=None, shadow=False, version=None) -> None:
    """Films that a version answered so many days ago, a second after one another."""
    at = timezone.now() - timedelta(days=days)
    calibrated = RANDOM.random(count) if calibrated is None else calibrated
    number = Radiograph.objects.count()
    facts = {"clinic": patient.clinic, "created_at": at}
    studies = Study.objects.bulk_create(Study(patient=patient, **facts) for _ in range(count))
    films = Radiograph.objects.bulk_create(
        Radiograph(
            study=study,
            view=view,
            sha256=f"{number + n:064x}",
            size=1,
            format="png",
            width=512,
            height=512,
            state="ready",
            quality={"verdict": "ok", "score": float(RANDOM.random())},
            **facts,
        )
        for n, study in enumerate(studies)
    )
    predictions = Prediction.objects.bulk_create(
        Prediction(
            radiograph=film,
            image_sha256=film.sha256,
            model_version=version or factories.model_version_make(),
            engine="fake",
            shadow=shadow,
            created_at=at + timedelta(seconds=n),
        )
        for n, film in enumerate(films)
    )
    Finding.objects.bulk_create(
        Finding(prediction=each, label="pneumonia", probability=p, calibrated=p, threshold=0.5, word="absent")
        for each, p in zip(predictions, calibrated, strict=True)
    )
    with connection.cursor() as cursor:  # what a running database does by itself; without it plans are for no rows
        cursor.execute("ANALYZE diagnosis_study, diagnosis_radiograph, diagnosis_prediction, diagnosis_finding")


def of(clinic, quantity) -> Distribution:
    return Distribution.objects.get(clinic=clinic, quantity=quantity)


def test_the_first_films_are_the_reference_and_grow_until_they_are_enough(clinic, patient):
    films_make(patient, 50, days=60)
    drift.drift_measure()
    view = of(clinic, "view")
    assert (view.bins, view.reference, view.reference_until, view.last_30) == (["PA"], [50], None, [0])
    assert view.shifts[30].band == "few"
    films_make(patient, 100, days=40)
    drift.drift_measure()
    view = of(clinic, "view")
    assert (sum(view.reference), view.reference_until is not None) == (120, True)
    assert view.last_30 == [0], "the other thirty films are older than thirty days"


def test_numbers_are_counted_between_the_deciles_of_the_reference(clinic, patient):
    films_make(patient, 120, days=40, calibrated=np.arange(120) / 120)
    films_make(patient, 40, days=20, calibrated=[0.999] * 40)
    films_make(patient, 10, days=3, calibrated=[0.001] * 10)
    drift.drift_measure()
    found = of(clinic, "finding:pneumonia")
    assert len(found.edges) == 9
    assert found.reference == [12] * 10
    assert found.last_30 == [10, *[0] * 8, 40]
    assert found.last_7 == [10, *[0] * 9]


def test_the_reference_stays_and_a_new_word_joins_the_bins(clinic, patient):
    films_make(patient, 120, days=40)
    drift.drift_measure()
    edges = of(clinic, "score").edges
    films_make(patient, 110, days=10, view="AP")
    drift.drift_measure()
    view = of(clinic, "view")
    assert (view.bins, view.reference, view.last_30) == (["PA", "AP"], [120, 0], [0, 110])
    assert of(clinic, "score").edges == edges


def test_a_large_shift_is_an_alert_once_and_until_it_is_over(clinic, patient):
    films_make(patient, 120, days=40)
    films_make(patient, 110, days=10, view="AP")
    assert "drift" not in {alert.code for alert in alerts_read()}
    drift.drift_measure()
    since = of(clinic, "view").alarm_since
    (alert,) = [alert for alert in alerts_read() if alert.code == "drift"]
    assert alert.since == since
    assert ": 1." in alert.sentence
    drift.drift_measure()
    assert of(clinic, "view").alarm_since == since
    with time_machine.travel(timezone.now() + timedelta(days=40)):
        drift.drift_measure()
    assert of(clinic, "view").alarm_since is None
    assert "drift" not in {alert.code for alert in alerts_read()}


def test_draws_from_one_distribution_are_no_alert(clinic, patient):
    films_make(patient, 120, days=40)
    films_make(patient, 150, days=5)
    drift.drift_measure()
    assert not Distribution.objects.filter(alarm_since__isnull=False).exists()
    assert of(clinic, "finding:pneumonia").shifts[7].band == "none"


def test_answers_on_trial_and_films_of_other_clinics_are_not_counted(clinic, patient, foreign_patient):
    trial = factories.model_version_make("0.1", name="trial", status="shadow")
    films_make(patient, 30, days=5)
    films_make(patient, 30, days=5, shadow=True, version=trial)
    films_make(foreign_patient, 20, days=5)
    drift.drift_measure()
    assert of(clinic, "view").reference == [30]
    assert of(foreign_patient.clinic, "view").reference == [20]
    assert not Distribution.objects.filter(model_version=trial).exists()


def test_it_is_measured_once_an_hour(clinic, patient, monkeypatch):
    films_make(patient, 10, days=5)
    drift.drift_keep_measured()
    first = of(clinic, "view").measured_at
    monkeypatch.setattr(drift, "_tried", [])  # another sweeper
    drift.drift_keep_measured()
    assert of(clinic, "view").measured_at == first
    Distribution.objects.update(measured_at=first - timedelta(hours=2))
    drift.drift_keep_measured()
    assert of(clinic, "view").measured_at < first, "this process tried a moment ago"
    monkeypatch.setattr(drift, "_tried", [])
    drift.drift_keep_measured()
    assert of(clinic, "view").measured_at > first


def test_without_a_model_or_films_nothing_is_counted(clinic, patient):
    drift.drift_measure()
    factories.model_version_make()
    drift.drift_measure()
    assert not Distribution.objects.exists()

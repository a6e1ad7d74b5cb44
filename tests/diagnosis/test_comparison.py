"""A version on trial beside the active one on the same films, against counts made by hand; nothing of few films."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from diagnosis import comparison
from diagnosis.comparison import Comparison, versions_compared
from diagnosis.models import ModelVersion, Prediction, Report
from mlcore.training.statistics import delong_paired, mcnemar_counts
from tests import factories
from tests.pages.test_markup import Markup


@pytest.fixture
def active(db: None) -> ModelVersion:
    return factories.model_version_make()


@pytest.fixture
def trial(db: None) -> ModelVersion:
    return factories.model_version_make("2.0.0", status="shadow")


@pytest.fixture
def read(active: ModelVersion, trial: ModelVersion, clinic: Any, user_for: Callable[..., Any]) -> Callable[..., Any]:
    """`read(on_trial, now, verdict)`: a film that both have answered, with these numbers for pneumonia (called from
    0.5 on), and with a verdict a signed report."""
    patients = {clinic: factories.patient_make(clinic)}

    def make(on_trial: float, now: float, verdict: str = "", *, at: Any = None, reason: str = "") -> Any:
        patient = patients.setdefault(at or clinic, factories.patient_make(at or clinic))
        film = factories.radiograph_make(factories.study_make(patient), state="ready")
        said = factories.prediction_make(film, active, calibrated={"pneumonia": now}, timings_ms={"predict": 40.0})
        calibrated = {"pneumonia": on_trial}
        factories.prediction_make(film, trial, calibrated=calibrated, shadow=True, timings_ms={"predict": 60.0})
        if verdict:
            report = factories.report_make(film.study, user_for("radiologist"), "draft")
            reason = reason or ("no_correlate" if verdict == "rejected" else "")
            factories.decision_make(report, "pneumonia", verdict, finding=said.findings.get(), reason=reason)
            signature = {"signed_by": report.author, "signed_at": timezone.now(), "registration_number": "1"}
            Report.objects.filter(pk=report.pk).update(status="final", **signature)
        return film.study

    return make


def compared(trial: ModelVersion, active: ModelVersion) -> Comparison:
    return versions_compared(trial=trial, active=active)


def test_both_are_counted_on_the_films_that_both_have_answered(read, trial, active):
    for on_trial, now, films in ((0.9, 0.8, 6), (0.7, 0.3, 5), (0.2, 0.6, 1), (0.1, 0.2, 9)):
        for _ in range(films):
            read(on_trial, now)
    lone = factories.radiograph_make(factories.study_make(factories.patient_make(factories.clinic_make())))
    factories.prediction_make(lone, trial, calibrated={"pneumonia": 0.9}, shadow=True)
    found = compared(trial, active)
    (label,) = found.labels
    assert (found.films, label.films, label.title) == (21, 21, "Pneumonia")
    assert (label.both, label.only_trial, label.only_active, label.neither) == (6, 5, 1, 9)
    assert (label.agreement.part, label.agreement.whole) == (15, 21)
    assert label.called.value == pytest.approx(4 / 21)
    assert label.called.p == pytest.approx(2 * 7 / 64)  # of six that differ at most one to one side
    assert label.apart == pytest.approx((6 * 0.1 + 5 * 0.4 + 0.4 + 9 * 0.1) / 21)
    assert found.times == (60.0, 40.0)


def test_of_few_films_nothing_is_told(read, trial, active):
    for _ in range(comparison.FEWEST - 1):
        read(0.9, 0.1, "added")
    found = compared(trial, active)
    assert (found.films, found.labels, found.times, found.is_few) == (19, (), (None, None), True)
    read(0.9, 0.1)
    assert compared(trial, active).labels


def test_films_of_a_clinic_that_reads_first_count_once_a_report_is_signed(read, trial, active, other_clinic):
    type(other_clinic).objects.filter(pk=other_clinic.pk).update(read_first=True)
    for _ in range(20):
        read(0.9, 0.9)
    for _ in range(3):
        read(0.9, 0.1, at=other_clinic)
    assert compared(trial, active).films == 20
    read(0.9, 0.1, "absent", at=other_clinic)
    assert compared(trial, active).films == 21


def test_signed_reports_say_who_is_right(read, trial, active):
    """Twenty-two with it, of which the trial catches 18 and the active 15; twenty-four without."""
    cases = [(0.9, 0.8, "accepted")] * 13 + [(0.7, 0.3, "added")] * 5 + [(0.4, 0.6, "accepted")] * 2
    cases += [(0.3, 0.2, "added")] * 2 + [(0.1, 0.2, "absent")] * 20 + [(0.6, 0.1, "absent")] * 3
    cases += [(0.2, 0.7, "rejected")]
    for case in cases:
        read(*case)
    (label,) = compared(trial, active).decided
    signed = label.signed
    assert (signed.positives, signed.negatives) == (22, 24)
    assert (signed.sensitivity.trial.part, signed.sensitivity.active.part) == (18, 15)
    assert signed.sensitivity.difference.p == pytest.approx(mcnemar_counts(5, 2))
    assert (signed.specificity.trial.part, signed.specificity.active.part) == (21, 23)
    assert signed.specificity.difference.value == pytest.approx(-2 / 24)
    truth = np.array([case[2] in ("accepted", "added") for case in cases])
    expected = delong_paired(truth, np.array([case[0] for case in cases]), np.array([case[1] for case in cases]))
    assert signed.area.value == pytest.approx(expected["value"])
    assert (signed.area.low, signed.area.high) == pytest.approx((expected["low"], expected["high"]))
    assert signed.areas[0] - signed.areas[1] == pytest.approx(expected["value"])


def test_of_few_signed_cases_no_figure_is_given(read, trial, active):
    for number in range(20):
        read(0.9, 0.8, "accepted" if number else "")
    read(0.9, 0.8, "rejected", reason="not_decidable")
    (label,) = compared(trial, active).labels
    signed = label.signed
    assert (signed.positives, signed.negatives) == (19, 0)
    assert (signed.sensitivity, signed.specificity, signed.area) == (None, None, None)


def test_only_the_newest_films_count(read, trial, active, monkeypatch):
    monkeypatch.setattr(comparison, "LATEST", 20)
    for number in range(25):
        read(0.9, 0.1 if number < 5 else 0.9)
    found = compared(trial, active)
    assert (found.films, found.labels[0].both, found.labels[0].only_trial) == (20, 20, 0)


def test_what_a_version_said_while_it_spoke_is_no_trial(read, trial, active):
    for _ in range(20):
        read(0.9, 0.9)
    assert Prediction.objects.filter(model_version=trial, shadow=True).count() == 20
    other = factories.model_version_make("3.0.0", status="retired")
    for film in Prediction.objects.filter(model_version=active):
        factories.prediction_make(film.radiograph, other)
    assert compared(other, active).films == 0


def test_the_comparison_costs_three_queries(read, trial, active):
    for _ in range(20):
        read(0.9, 0.9, "accepted")
    with CaptureQueriesContext(connection) as few:
        compared(trial, active)
    for _ in range(20):
        read(0.1, 0.9, "absent")
    with CaptureQueriesContext(connection) as many:
        compared(trial, active)
    assert len(few) == len(many) == 3


# --- the page


def page_of(client: Any, model: ModelVersion, status: int = 200) -> str:
    answer = client.get(f"/models/{model.pk}/compare/")
    assert answer.status_code == status
    return answer.content.decode()


def test_a_system_administrator_is_shown_sums_and_no_film(read, trial, active, client_for):
    studies = [read(0.9, 0.1, "added") for _ in range(22)]
    page = page_of(client_for("system"), trial)
    for text in ("films answered by both", "60 ms", "40 ms", "Only on trial", "22", "too few", "This favours 1.0.0"):
        assert text in page
    assert Markup(page).forbidden == []
    for study in studies:
        for hidden in (study.pk, study.radiographs.get().pk, study.patient.name):
            assert str(hidden) not in page


def test_of_few_films_the_page_tells_no_figure(read, trial, active, client_for):
    read(0.4242, 0.1)
    page = page_of(client_for("system"), trial)
    assert "Too few films" in page
    assert "1 film answered by both" in page
    assert "0.4242" not in page


def test_nobody_else_is_shown_the_comparison(trial, active, client_for):
    for role in ("radiologist", "clinicadmin", "doctor", "operator"):
        page_of(client_for(role), trial, 404)
        page_of(client_for(role), active, 403)


def test_a_version_that_speaks_is_compared_with_the_one_before(active, client_for):
    assert "Nothing to compare with" in page_of(client_for("system"), active)
    ModelVersion.objects.filter(pk=active.pk).update(status="retired")
    newer = factories.model_version_make("4.0.0")
    assert "against test-model 1.0.0" in page_of(client_for("system"), newer)

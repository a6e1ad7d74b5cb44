"""The order of the worklist: what a film weighs, where that places it, and what becomes of waiting times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from diagnosis import triage
from tests import factories
from tests.diagnosis.queueing import played, pooled

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("load", [0.8, 0.9, 0.95, 1.0, 1.05])
def test_critical_films_wait_a_third_less_and_no_film_much_longer(load):
    """Four times 3,000 films, one in ten of them critical, with one reader who just keeps up, or just does not."""
    outcome = pooled([played(seed, load, count=3000) for seed in range(4)])
    assert outcome.saved >= 0.30
    assert outcome.stretched <= 1.10


def test_weight_of_a_finding_is_its_severity_times_its_probability_from_its_threshold_on():
    assert triage.weight(severity=0.8, calibrated=0.5, threshold=0.5) == 0.4
    assert triage.weight(severity=1.0, calibrated=0.49, threshold=0.5) == 0.0


@pytest.mark.parametrize(
    ("requested", "found", "answered", "expected"),
    [
        ("routine", 0.0, True, (0.0, False)),
        ("routine", 0.3, True, (0.3, False)),
        ("routine", 0.7, True, (0.7, True)),
        ("routine", 0.0, False, (0.5, False)),
        ("routine", 0.3, False, (0.5, False)),
        ("urgent", 0.0, True, (1.0, True)),
        ("emergency", 0.0, False, (1.0, True)),
    ],
)
def test_the_most_pressing_reason_counts(requested, found, answered, expected):
    assert triage.urgency_combine(requested, found, answered=answered) == expected


def test_head_start_follows_what_films_lately_waited_and_never_passes_the_maximum_wait():
    assert triage.head_start_at_most(4 * HOUR, 24 * HOUR) == 3 * HOUR
    assert triage.head_start_at_most(400 * HOUR, 24 * HOUR) == 18 * HOUR
    assert triage.head_start_at_most(None, 24 * HOUR) == 18 * HOUR


def test_a_film_never_falls_behind_what_comes_later_than_the_head_start():
    most = triage.head_start_at_most(4 * HOUR, 24 * HOUR)
    quiet = triage.stands_at(NOON, 0.0, most)
    assert triage.stands_at(NOON + most - HOUR, 1.0, most) < quiet
    assert triage.stands_at(NOON + most + HOUR, 1.0, most) > quiet


@pytest.mark.django_db
def test_reason_is_the_finding_that_weighs_most_and_normal_is_none(patient):
    prediction = factories.predicted_film_make(
        factories.study_make(patient), calibrated={"normal": 0.99, "pneumonia": 0.6, "effusion": 0.7}
    )
    urgency = triage.urgency_of("routine", [prediction], answered=True)
    assert urgency.finding.label == "effusion"
    assert urgency.value == pytest.approx(0.7)
    assert urgency.labels == ("effusion", "pneumonia")


@pytest.mark.django_db
def test_nothing_above_its_threshold_gives_no_reason(patient):
    calibrated = {"normal": 0.9, "pneumonia": 0.4, "effusion": 0.3}
    prediction = factories.predicted_film_make(factories.study_make(patient), calibrated=calibrated)
    urgency = triage.urgency_of("routine", [prediction], answered=True)
    assert (urgency.value, urgency.finding, urgency.labels) == (0.0, None, ())

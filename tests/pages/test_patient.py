"""The patient page: who it is, the studies, and each finding over time."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from django.urls import reverse
from django.utils import timezone

from diagnosis.charts import BOTTOM, TOP, history_charts
from diagnosis.views import films
from tests import factories

pytestmark = pytest.mark.django_db


def page_of(client, patient) -> str:
    answer = client.get(reverse("patient_detail", args=[patient.pk]))
    assert answer.status_code == 200
    return answer.content.decode()


def add_film(patient, pneumonia: float, days_ago: int, model=None):
    taken = timezone.now() - timedelta(days=days_ago)
    film = factories.radiograph_make(factories.study_make(patient, acquired_at=taken), state="ready")
    return factories.prediction_make(film, model, calibrated={"pneumonia": pneumonia})


def test_patient_without_films_has_no_chart(client_for, patient):
    page = page_of(client_for("operator"), patient)
    assert "No film has been sent" in page
    assert "<figure" not in page


def test_chart_has_one_line_per_model_version_and_links_to_each_study(client_for, patient):
    later = factories.model_version_make("2.0.0", status="shadow")
    first, second, third = (
        add_film(patient, 0.2, 200),
        add_film(patient, 0.9, 100),
        add_film(patient, 0.4, 1, later),
    )
    page = page_of(client_for("radiologist"), patient)
    assert page.count("<polyline") == 2
    assert page.count('class="chart-threshold') == 2
    for prediction in (first, second, third):
        drawn = page[: page.index("<h2>Studies")]
        assert f'href="{reverse("study_detail", args=[prediction.radiograph.study_id])}"' in drawn
    assert "As a table" in page


def test_results_that_may_not_be_seen_are_not_drawn(client_for, patient):
    add_film(patient, 0.9, 10)
    assert "<polyline" not in page_of(client_for("operator"), patient)


def test_edit_and_send_are_offered_to_who_may(client_for, patient):
    page = page_of(client_for("operator"), patient)
    assert reverse("patient_edit", args=[patient.pk]) in page
    assert reverse("patient_edit", args=[patient.pk]) not in page_of(client_for("radiologist"), patient)


@pytest.mark.parametrize("studies", [1, 30])
def test_page_costs_fourteen_queries_however_many_studies(client_for, patient, count_queries, studies):
    client = client_for("radiologist")
    reader = factories.user_make("radiologist", patient.clinic)
    for number in range(studies):
        film = add_film(patient, 0.1, number).radiograph
        factories.job_make(film, "infer", "succeeded")
        factories.report_make(film.study, reader)
    factories.job_make(factories.radiograph_make(factories.study_make(patient)))
    # session, user, memberships, emergencies; patient, numbers, audit; studies, films, jobs, results, findings;
    # consents; the menu's open alerts
    assert count_queries(lambda: page_of(client, patient)) == 14


def test_page_says_when_it_shows_the_newest_studies_only(client_for, patient, monkeypatch):
    addresses = [reverse("study_detail", args=[add_film(patient, 0.1, days).radiograph.study_id]) for days in (9, 1)]
    client = client_for("radiologist")
    assert "newest" not in page_of(client, patient)
    monkeypatch.setattr(films, "STUDIES_SHOWN", 1)
    page = page_of(client, patient)
    assert "The newest 1 studies are shown" in page
    assert [address in page for address in addresses] == [False, True]


def point(value: float, date, threshold: float = 0.5) -> dict:
    return {"date": date, "calibrated": value, "threshold": threshold}


def test_chart_geometry_puts_numbers_on_the_axis_and_dates_in_order():
    now = timezone.now()
    points = [point(0.0, now - timedelta(days=10)), point(1.0, now - timedelta(days=5)), point(0.5, now)]
    curve = {"label": "x", "title": "X", "series": [{"model": {}, "points": points}]}
    drawn = history_charts([curve])[0].series[0].points
    assert [place.y for place in drawn] == [BOTTOM, TOP, (BOTTOM + TOP) / 2]
    steps = [after.x - before.x for before, after in pairwise(drawn)]
    assert steps[0] == pytest.approx(steps[1], abs=0.2)


def test_changed_threshold_is_drawn_as_a_step():
    now = timezone.now()
    points = [point(0.1, now - timedelta(days=1), 0.5), point(0.1, now, 0.8)]
    series = history_charts([{"label": "x", "title": "X", "series": [{"model": {}, "points": points}]}])[0].series[0]
    assert series.threshold_line.count("V") == 1
    assert series.threshold_line.count("H") == 2


def test_single_film_stands_in_the_middle():
    chart = history_charts(
        [{"label": "x", "title": "X", "series": [{"model": {}, "points": [point(0.3, timezone.now())]}]}]
    )
    assert chart[0].one_day
    assert chart[0].series[0].points[0].x == pytest.approx(191, abs=1)

"""What the viewer is told: the study's films and earlier ones of the same patient, each with whose it is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from patients.models import AuditEvent
from tests import factories

pytestmark = pytest.mark.django_db
READING = {"rows": 10, "columns": 10, "windows": [{"centre": 5, "width": 10, "of": "range"}]}


def film_of(study, **fields):
    film = factories.radiograph_make(study, state="ready", display_key="derived/x/display.png", **fields)
    factories.job_make(film, "infer", "succeeded")
    return film


@pytest.fixture
def study(patient):
    study = factories.study_make(patient)
    film = film_of(study, reading_key="derived/x/reading.png", reading=READING)
    factories.prediction_make(film, map_key="derived/x/maps.npz")
    return study


def told(client, study) -> dict:
    answer = client.get(reverse("viewer_films", args=[study.pk]))
    assert answer.status_code == 200, answer.content
    assert answer["Cache-Control"].startswith(("private", "max-age=0"))
    return answer.json()


def test_each_film_says_whose_it_is_and_how_it_is_shown(client_for, study):
    answer = told(client_for("radiologist"), study)
    film = study.radiographs.get()
    assert (answer["study"], answer["patient"]) == (str(study.pk), str(study.patient_id))
    (shown,) = answer["films"]
    whose = {key: shown[key] for key in ("id", "study", "patient", "sha256")}
    assert whose == {
        "id": str(film.pk),
        "study": str(study.pk),
        "patient": str(study.patient_id),
        "sha256": film.sha256,
    }
    assert (shown["picture"], shown["reading"]) == (reverse("reading_copy", args=[film.pk]), READING)


def test_maps_are_of_positive_findings_only_with_model_and_threshold(client_for, study):
    (shown,) = told(client_for("radiologist"), study)["films"]
    (found,) = shown["maps"]
    assert found["label"] == "pneumonia"
    assert found["said"] == "present, 80 % (threshold 50 %), test-model 1.0.0"
    prediction = study.radiographs.get().predictions.get()
    assert found["address"] == reverse("prediction_map", args=[prediction.pk, "pneumonia"])


def test_film_of_before_the_reading_copy_is_its_display_copy(client_for, patient):
    study = factories.study_make(patient)
    film = film_of(study)
    (shown,) = told(client_for("radiologist"), study)["films"]
    assert (shown["picture"], shown["reading"]) == (reverse("radiograph_image", args=[film.pk]), None)


def test_priors_are_earlier_films_of_the_same_patient_the_latest_first(client_for, study, clinic):
    days = [400, 30, -30]
    others = [
        factories.study_make(study.patient, acquired_at=timezone.now() - timedelta(days=each)) for each in days
    ]  # the last lies after this study
    films = [film_of(each) for each in others]
    film_of(factories.study_make(factories.patient_make(clinic)))
    assert [film["id"] for film in told(client_for("radiologist"), study)["priors"]] == [
        str(films[1].pk),
        str(films[0].pk),
    ]


def test_rejected_films_and_those_in_work_are_not_shown(client_for, study):
    factories.radiograph_make(study, state="rejected", display_key="derived/x/display.png")
    factories.radiograph_make(study)
    assert len(told(client_for("radiologist"), study)["films"]) == 1


def test_many_priors_cost_no_query_more(client_for, study, django_assert_max_num_queries):
    client = client_for("radiologist")
    for day in range(1, 9):
        earlier = factories.study_make(study.patient, acquired_at=timezone.now() - timedelta(days=day))
        factories.prediction_make(film_of(earlier), map_key="derived/x/maps.npz")
    with django_assert_max_num_queries(30):
        assert len(told(client, study)["priors"]) == 8


def test_each_look_is_recorded(client_for, user_for, study):
    for name in ("study_view", "viewer_films"):
        before = AuditEvent.objects.filter(verb="read").count()
        client_for("radiologist").get(reverse(name, args=[study.pk]))
        assert AuditEvent.objects.filter(verb="read", patient=study.patient).count() == before + 1


def test_page_loads_the_bundle_and_the_study_page_does_not(client_for, study):
    client = client_for("radiologist")
    page = client.get(reverse("study_view", args=[study.pk])).content.decode()
    assert "viewer/viewer" in page
    assert f'data-study="{study.pk}"' in page
    study_page = client.get(reverse("study_detail", args=[study.pk])).content.decode()
    assert "viewer/viewer" not in study_page
    assert reverse("study_view", args=[study.pk]) in study_page


def test_who_sees_no_pixels_is_refused(client_for, study):
    assert client_for("operator").get(reverse("study_view", args=[study.pk])).status_code == 403
    assert (
        "Open in the viewer"
        not in client_for("operator").get(reverse("study_detail", args=[study.pk])).content.decode()
    )

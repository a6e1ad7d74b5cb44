"""The reads that pages, API and admin share: what they show, to whom, and how many queries they cost."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from diagnosis import selectors
from patients.errors import ApplicationError
from tests import factories as make

pytestmark = pytest.mark.django_db


def _films(patient, number, **fields):
    return [make.predicted_film_make(make.study_make(patient), **fields) for _ in range(number)]


@pytest.mark.parametrize("number", [1, 5])
def test_the_list_of_films_costs_seven_queries_however_long_it_is(
    one_request, number, patient, user_for, django_assert_num_queries
):
    _films(patient, number)
    radiologist = user_for("radiologist")
    with django_assert_num_queries(7):
        for film in selectors.film_list(user=radiologist, filters={}):
            assert film.study.patient.name
            assert [finding.label for finding in film.shown_predictions[0].findings.all()]
            assert selectors.film_progress(film) == "done"


def test_a_study_page_costs_nine_queries(one_request, patient, user_for, django_assert_num_queries):
    study = make.study_make(patient)
    make.predicted_film_make(study)
    make.predicted_film_make(study)
    radiologist = user_for("radiologist")
    with django_assert_num_queries(9):
        read = selectors.study_read(user=radiologist, study_id=study.pk)
        assert len(read.films) == 2
        assert read.films[0].shown_predictions[0].model_version.name
        assert read.report is None


def test_what_an_upload_is_answered_with_costs_four_queries(one_request, patient, user_for, django_assert_num_queries):
    study = make.study_make(patient)
    film, *_ = (make.predicted_film_make(study).radiograph for _ in range(3))
    operator = user_for("operator")
    with django_assert_num_queries(4):
        sent = selectors.study_sent(operator, film, only_job=None)
        assert [len(film.jobs.all()) for film in sent.films] == [2, 2, 2]
        assert (sent.report_status, sent.patient_visible) == ("unread", True)


def test_a_study_that_came_with_its_film_is_described_as_one_that_is_looked_up(
    one_request, patient, user_for, django_assert_num_queries
):
    film, operator = make.radiograph_make(make.study_make(patient)), user_for("operator")
    job = make.job_make(film, "prepare")
    looked_up = selectors.study_sent(operator, film, only_job=None)
    with django_assert_num_queries(0):
        known = selectors.study_sent(operator, film, only_job=job)
    assert known == looked_up
    assert [list(each.jobs.all()) for each in known.films] == [list(each.jobs.all()) for each in looked_up.films]
    for said in ("patient_visible", "report_status", "report_id", "indication", "clinic_id", "merged_into_id"):
        assert getattr(known, said) == getattr(looked_up, said), said


def test_the_list_of_films_shows_no_film_of_another_clinic(patient, foreign_patient, user_for):
    _films(foreign_patient, 2)
    own = _films(patient, 1)
    films = selectors.film_list(user=user_for("operator"), filters={})
    assert [film.pk for film in films] == [own[0].radiograph_id]


def test_a_foreign_study_is_not_found(foreign_patient, user_for):
    study = make.study_make(foreign_patient)
    with pytest.raises(ApplicationError) as refusal:
        selectors.study_read(user=user_for("radiologist"), study_id=study.pk)
    assert refusal.value.code == "not_found"


def test_an_operator_sees_the_film_but_not_its_result_where_the_clinic_hides_it(patient, user_for):
    _films(patient, 1)
    operator = user_for("operator")
    film = selectors.radiographs_read(operator).get()
    assert (film.image_visible, film.results_visible, film.shown_predictions) == (False, False, [])
    assert selectors.results_hidden_reason(film) == "role"


def test_an_operator_sees_the_result_where_the_clinic_shows_it(clinic, patient, user_for):
    clinic.show_unread_results = True
    clinic.save()
    _films(patient, 1)
    film = selectors.radiographs_read(user_for("operator")).get()
    assert (film.image_visible, film.results_visible, len(film.shown_predictions)) == (True, True, 1)


def test_a_doctor_sees_the_result_once_it_is_signed(patient, user_for):
    doctor = user_for("doctor")
    prediction = make.predicted_film_make(make.study_make(patient, referring_doctor=doctor))
    film = selectors.radiographs_read(doctor).get()
    assert (film.shown_predictions, selectors.results_hidden_reason(film)) == ([], "unsigned")
    make.report_make(prediction.radiograph.study, user_for("radiologist"))
    film = selectors.radiographs_read(doctor).get()
    assert (len(film.shown_predictions), selectors.results_hidden_reason(film)) == (1, "")


def test_a_clinic_administrator_sees_films_without_the_patient(patient, user_for):
    _films(patient, 1)
    film = selectors.radiographs_read(user_for("clinicadmin")).get()
    assert (film.patient_visible, film.image_visible, film.shown_predictions) == (False, False, [])


def test_a_word_filter_is_no_oracle_for_hidden_results(patient, user_for):
    _films(patient, 1, calibrated={"pneumonia": 0.9})
    assert selectors.film_list(user=user_for("radiologist"), filters={"word": "present"}).count() == 1
    assert selectors.film_list(user=user_for("operator"), filters={"word": "present"}).count() == 0


@pytest.mark.parametrize(
    ("state", "jobs", "progress"),
    [
        ("received", [("prepare", "queued")], "waiting"),
        ("received", [("prepare", "running")], "running"),
        ("ready", [("prepare", "succeeded"), ("infer", "queued")], "waiting"),
        ("ready", [("prepare", "succeeded"), ("infer", "succeeded")], "done"),
        ("received", [("prepare", "failed")], "failed"),
        ("received", [("prepare", "cancelled")], "stopped"),
        ("rejected", [("prepare", "succeeded")], "rejected"),
        ("ready", [("prepare", "succeeded")], "stopped"),
    ],
)
def test_progress_in_words_and_as_a_filter_agree(state, jobs, progress, patient, user_for):
    film = make.radiograph_make(make.study_make(patient), state=state)
    for kind, job_state in jobs:
        make.job_make(film, kind, job_state)
    user = user_for("operator")
    holds = [key for key in selectors.PROGRESS if selectors.film_list(user=user, filters={"progress": key}).exists()]
    assert holds == [progress]
    assert selectors.film_progress(selectors.radiographs_read(user).get()) == progress


def test_the_list_of_films_filters_by_clinic_date_and_sender(clinic, other_clinic, patient, user_for):
    user = user_for("operator")
    make.membership_make(user, other_clinic, "operator")
    make.radiograph_make(make.study_make(patient, created_by=user))
    old = make.radiograph_make(
        make.study_make(make.patient_make(other_clinic)), created_at=timezone.now() - timedelta(days=9)
    )
    today = timezone.now().date()

    def ids(**filters):
        return [film.pk for film in selectors.film_list(user=user, filters=filters)]

    assert ids(clinic=other_clinic.pk) == [old.pk]
    assert ids(date_to=today - timedelta(days=8)) == [old.pk]
    assert len(ids(date_from=today)) == 1
    assert old.pk not in ids(mine=True)
    assert len(ids(mine="")) == 2


def test_history_is_one_curve_per_label_and_one_series_per_model_version(patient, user_for):
    first = make.predicted_film_make(make.study_make(patient), calibrated={"pneumonia": 0.8})
    make.prediction_make(
        make.radiograph_make(make.study_make(patient)),
        make.model_version_make("2.0.0", status="shadow"),
        calibrated={"pneumonia": 0.2},
    )
    radiologist = user_for("radiologist")
    make.report_make(first.radiograph.study, radiologist)
    (curve,) = selectors.patient_history(selectors.studies_read(radiologist))
    assert (curve["label"], curve["title"]) == ("pneumonia", "Pneumonia")
    assert [series["model"]["version"] for series in curve["series"]] == ["1.0.0", "2.0.0"]
    assert curve["series"][0]["points"][0]["report_status"] == "final"
    assert curve["series"][1]["points"][0]["report_status"] == "unread"


def test_history_costs_no_query_beside_those_of_the_studies(patient, user_for, django_assert_num_queries):
    _films(patient, 4)
    studies = list(selectors.studies_read(user_for("radiologist")))
    with django_assert_num_queries(0):
        assert selectors.patient_history(studies)


def test_history_of_a_patient_is_the_same_as_curves_and_as_a_list(patient, user_for):
    _films(patient, 4)
    radiologist = user_for("radiologist")
    curves = selectors.patient_history(selectors.studies_read(radiologist))
    points = [point for curve in curves for series in curve["series"] for point in series["points"]]
    listed = selectors.findings_by_date(user=radiologist, patient=patient)
    assert len(points) == len(listed) > 0
    assert all(any(point.items() <= entry.items() for entry in listed) for point in points)


def test_history_is_empty_where_results_are_hidden(patient, user_for):
    _films(patient, 1)
    assert selectors.patient_history(selectors.studies_read(user_for("operator"))) == []


def test_urgent_films_come_first_in_the_queue_then_the_oldest(patient):
    now = timezone.now()
    jobs = [
        make.job_make(make.radiograph_make(make.study_make(patient)), priority=priority, queued_at=now + delay)
        for priority, delay in [(2, timedelta(0)), (2, timedelta(seconds=-9)), (0, timedelta(0))]
    ]
    assert [selectors.queue_place(job) for job in jobs] == [3, 2, 1]
    assert selectors.queue_place(make.job_make(jobs[0].radiograph, "infer", "succeeded")) == 0

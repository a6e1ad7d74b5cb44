"""Reading studies, films, jobs, predictions, history, models and status: forms, scope, filters, queries, records."""

from __future__ import annotations

import uuid

import pytest
from django.utils import timezone

from diagnosis.models import Job
from patients.models import AuditEvent
from tests import factories as make
from tests.api.problems import assert_problem

pytestmark = pytest.mark.django_db

API = "/api/v1/"


@pytest.fixture
def prediction(patient):
    return make.predicted_film_make(
        make.study_make(patient, indication="cough"), map_key="derived/map", calibrated={"normal": 0.9, "effusion": 0.6}
    )


@pytest.fixture
def film(prediction):
    return prediction.radiograph


@pytest.fixture
def foreign(foreign_patient):
    return make.predicted_film_make(make.study_make(foreign_patient))


def _get(client, path, **params):
    return client.get(API + path, params)


def _ids(client, path, **params):
    response = _get(client, path, **params)
    assert response.status_code == 200, response.content
    return [row["id"] for row in response.json()["results"]]


# --- forms that clients rely on


def test_a_film_is_shown_with_its_jobs_results_model_and_thresholds(api_for, film, prediction):
    body = _get(api_for("radiologist"), f"radiographs/{film.pk}/").json()
    assert body["id"] == str(film.pk)
    assert (body["study"], body["sha256"], body["state"]) == (str(film.study_id), film.sha256, "ready")
    assert (body["code"], body["message"], body["results_hidden"]) == ("", "", None)
    assert [(job["kind"], job["state"]) for job in body["jobs"]] == [("prepare", "succeeded"), ("infer", "succeeded")]
    (said,) = body["predictions"]
    assert said["id"] == str(prediction.pk)
    assert set(said["model"]) == {"name", "version", "sha256"}
    assert said["engine"] == "fake"
    assert said["findings"][1] == {
        "label": "effusion",
        "probability": 0.6,
        "calibrated": 0.6,
        "threshold": 0.5,
        "word": "present",
    }
    assert said["map"].endswith(f"/api/v1/predictions/{prediction.pk}/map/effusion/")
    assert set(said["maps"]) == {"normal", "effusion"}


def test_a_rejected_film_says_why_in_code_and_words(api_for, patient):
    film = make.radiograph_make(make.study_make(patient), state="rejected")
    body = _get(api_for("operator"), f"radiographs/{film.pk}/").json()
    assert (body["state"], body["code"], body["message"]) == (
        "rejected",
        "image_blank",
        "The image has no content.",
    )
    assert (body["predictions"], body["image"]) == ([], None)


def test_a_waiting_job_knows_its_place_and_a_failed_one_its_reason(api_for, patient):
    films = [make.radiograph_make(make.study_make(patient)) for _ in range(3)]
    first, second = make.job_make(films[0]), make.job_make(films[1])
    failed = make.job_make(films[2], state="failed")
    client = api_for("operator")
    assert _get(client, f"jobs/{first.pk}/").json()["place"] == 1
    assert _get(client, f"jobs/{second.pk}/").json()["place"] == 2
    body = _get(client, f"jobs/{failed.pk}/").json()
    assert (body["place"], body["code"], body["state"]) == (None, "worker_lost", "failed")
    assert body["message"].startswith("The computer working on this film stopped")


def test_a_study_is_shown_with_its_films(api_for, user_for, film):
    make.report_make(film.study, user_for("radiologist"))
    body = _get(api_for("radiologist"), f"studies/{film.study_id}/").json()
    assert (body["patient"], body["indication"]) == (str(film.study.patient_id), "cough")
    assert body["report_status"] == "final"
    (shown,) = body["radiographs"]
    assert (shown["id"], shown["state"]) == (str(film.pk), "ready")
    assert {"id", "kind", "state"} <= set(shown["jobs"][0])


def test_history_lists_findings_by_date_with_model_and_report(api_for, user_for, patient, prediction):
    make.predicted_film_make(make.study_make(patient, acquired_at=timezone.now().replace(year=2020)))
    make.report_make(prediction.radiograph.study, user_for("radiologist"))
    body = _get(api_for("radiologist"), f"patients/{patient.pk}/history/").json()
    assert body["patient"] == str(patient.pk)
    dates = [entry["date"] for entry in body["findings"]]
    assert dates == sorted(dates)
    assert dates[0].startswith("2020")
    last = body["findings"][-1]
    assert (last["model"]["version"], last["report_status"]) == ("1.0.0", "final")
    assert body["findings"][0]["report_status"] == "unread"


def test_model_versions_are_shown_with_their_card(api_for):
    model = make.model_version_make()
    client = api_for("operator")
    assert _ids(client, "model-versions/", status="active") == [str(model.pk)]
    assert _get(client, f"model-versions/{model.pk}/").json()["card"] == model.card
    assert_problem(_get(client, "model-versions/17/"), "not_found")
    assert_problem(_get(client, f"model-versions/{uuid.uuid4()}/"), "not_found")


def test_status_tells_who_works_what_waits_and_which_model_speaks(api_for, patient):
    make.model_version_make()
    make.job_make(make.radiograph_make(make.study_make(patient)))
    body = _get(api_for("operator"), "status/").json()
    assert body["queues"]["prepare"]["queued"] == 1
    assert body["queues"]["prepare"]["oldest_wait_seconds"] >= 0
    assert body["model"]["version"] == "1.0.0"
    assert (body["workers"], body["redis"]) == ([], True)


# --- scope


ROWS = ["studies/{study}/", "radiographs/{film}/", "jobs/{job}/", "predictions/{prediction}/"]
LISTS = ["studies/", "radiographs/", "jobs/", "predictions/"]


def _fill(path, prediction):
    film = prediction.radiograph
    job = film.jobs.first()
    return path.format(study=film.study_id, film=film.pk, job=job.pk, prediction=prediction.pk)


@pytest.mark.parametrize("path", [*ROWS, "radiographs/{film}/image/", "predictions/{prediction}/map/effusion/"])
@pytest.mark.parametrize("role", ["operator", "radiographer", "radiologist", "doctor", "clinicadmin", "system"])
def test_a_row_of_another_clinic_does_not_exist(role, path, api_for, foreign):
    assert_problem(_get(api_for(role), _fill(path, foreign)), "not_found")


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("role", ["operator", "radiographer", "radiologist", "doctor", "clinicadmin", "system"])
def test_a_list_holds_nothing_of_another_clinic(role, path, api_for, foreign):
    assert _ids(api_for(role), path) == []


@pytest.mark.parametrize(
    "path", ["studies/{}/", "radiographs/{}/", "jobs/{}/", "predictions/{}/", "patients/{}/history/"]
)
def test_foreign_unknown_and_malformed_ids_get_the_same_answer(path, api_for, foreign):
    client = api_for("radiologist")
    film = foreign.radiograph
    own = {
        "studies/{}/": film.study_id,
        "radiographs/{}/": film.pk,
        "jobs/{}/": film.jobs.first().pk,
        "predictions/{}/": foreign.pk,
        "patients/{}/history/": film.study.patient_id,
    }
    bodies = []
    for given in (own[path], uuid.uuid4(), "1", "x.y", "%00"):
        body = assert_problem(client.get(API + path.format(given)), "not_found")
        bodies.append({key: value for key, value in body.items() if key != "request_id"})
    assert all(body == bodies[0] for body in bodies)


@pytest.mark.parametrize("path", LISTS)
def test_a_filter_by_a_foreign_row_finds_nothing(path, api_for, foreign):
    client = api_for("radiologist")
    film = foreign.radiograph
    given = {"patient": film.study.patient_id, "study": film.study_id, "radiograph": film.pk, "clinic": film.clinic_id}
    for name, value in given.items():
        response = _get(client, path, **{name: str(value)})
        assert response.status_code == 400 or response.json()["results"] == []


def test_an_operator_sees_the_film_and_why_its_result_stays_hidden(api_for, film, prediction):
    client = api_for("operator")
    body = _get(client, f"radiographs/{film.pk}/").json()
    assert (body["predictions"], body["image"]) == ([], None)
    assert body["results_hidden"]["reason"] == "role"
    assert_problem(_get(client, f"predictions/{prediction.pk}/"), "not_found")
    assert _ids(client, "predictions/") == []
    assert _get(client, f"patients/{film.study.patient_id}/history/").json()["findings"] == []


def test_an_operator_sees_the_result_where_the_clinic_shows_it(api_for, clinic, film, prediction):
    clinic.show_unread_results = True
    clinic.save()
    client = api_for("operator")
    body = _get(client, f"radiographs/{film.pk}/").json()
    assert body["results_hidden"] is None
    assert body["predictions"][0] == _get(client, f"predictions/{prediction.pk}/").json()


def test_a_doctor_sees_the_result_once_it_is_signed(api_for, user_for, film):
    study = film.study
    study.referring_doctor = user_for("doctor")
    study.save()
    client = api_for("doctor")
    assert _get(client, f"radiographs/{film.pk}/").json()["results_hidden"]["reason"] == "unsigned"
    make.report_make(study, user_for("radiologist"))
    body = _get(client, f"radiographs/{film.pk}/").json()
    assert (body["results_hidden"], len(body["predictions"])) == (None, 1)


def test_a_clinic_administrator_sees_that_films_exist_and_nothing_clinical(api_for, film):
    client = api_for("clinicadmin")
    body = _get(client, f"studies/{film.study_id}/").json()
    assert (body["indication"], body["report_status"]) == ("", "unread")
    assert _get(client, f"radiographs/{film.pk}/").json()["predictions"] == []
    assert_problem(_get(client, f"patients/{film.study.patient_id}/history/"), "not_found")


def test_a_filter_by_word_is_no_oracle_for_hidden_results(api_for, film):
    assert _ids(api_for("radiologist"), "radiographs/", word="present") == [str(film.pk)]
    assert _ids(api_for("operator"), "radiographs/", word="present") == []


# --- filters and pages


def test_studies_are_filtered(api_for, clinic, patient):
    urgent = make.study_make(patient, urgency="urgent", accession_number="A1")
    make.study_make(make.patient_make(clinic))
    client = api_for("operator")
    for params in ({"urgency": "urgent"}, {"accession_number": "A1"}, {"patient": str(patient.pk)}):
        assert _ids(client, "studies/", **params) == [str(urgent.pk)]
    assert len(_ids(client, "studies/", clinic=str(clinic.pk))) == 2
    assert _ids(client, "studies/", created_after="2999-01-01T00:00:00Z") == []
    assert len(_ids(client, "studies/", created_after="2000-01-01T00:00:00+17:28")) == 2


def test_films_are_filtered(api_for, patient, film):
    rejected = make.radiograph_make(make.study_make(patient), state="rejected")
    client = api_for("radiologist")
    for params in (
        {"state": "rejected"},
        {"code": "image_blank"},
        {"sha256": rejected.sha256},
        {"progress": "rejected"},
    ):
        assert _ids(client, "radiographs/", **params) == [str(rejected.pk)]
    assert _ids(client, "radiographs/", study=str(film.study_id)) == [str(film.pk)]
    assert len(_ids(client, "radiographs/", patient=str(patient.pk))) == 2


def test_jobs_and_predictions_are_filtered(api_for, film, prediction):
    client = api_for("radiologist")
    (infer,) = _ids(client, "jobs/", radiograph=str(film.pk), kind="infer", state="succeeded")
    assert Job.objects.get(pk=infer).kind == "infer"
    for name, value in (
        ("radiograph", film.pk),
        ("study", film.study_id),
        ("model_version", prediction.model_version_id),
    ):
        assert _ids(client, "predictions/", **{name: str(value)}) == [str(prediction.pk)]
    assert _ids(client, "predictions/", model_version=str(uuid.uuid4())) == []


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        ("studies/", "urgency", "soon"),
        ("studies/", "patient__name", "Asha"),
        ("studies/", "created_after", "yesterday"),
        ("studies/", "created_after", "0001-01-01T00:00:00+20:00"),
        ("radiographs/", "state", "READY"),
        ("radiographs/", "word", "certain"),
        ("radiographs/", "predictions__findings__calibrated__gt", "0.5"),
        ("radiographs/", "ordering", "size"),
        ("jobs/", "kind", "all"),
        ("jobs/", "page", "-1"),
        ("predictions/", "radiograph", "1"),
        ("predictions/", "study", ""),
        ("model-versions/", "status", "best"),
        ("model-versions/", "cursor", "***"),
    ],
)
def test_an_unlisted_filter_or_value_is_refused(path, field, value, api_for):
    body = assert_problem(_get(api_for("radiologist"), path, **{field: value}), "invalid_parameter")
    assert body["detail"].startswith(f"{field}: ")


@pytest.mark.parametrize("path", [*LISTS, "model-versions/"])
def test_pages_of_every_list_are_whole(path, api_for, patient):
    for number in range(5):
        make.predicted_film_make(
            make.study_make(patient), model_version=make.model_version_make(f"{number}", status="retired")
        )
    client = api_for("radiologist")
    whole = _ids(client, path)
    seen, url = [], f"{API}{path}?page_size=2"
    while url:
        page = client.get(url).json()
        seen += [row["id"] for row in page["results"]]
        url = page["next"]
    assert seen == whole
    assert len(seen) >= 5


@pytest.mark.parametrize(
    ("path", "queries"), [("studies/", 11), ("radiographs/", 11), ("predictions/", 8), ("jobs/", 6)]
)
@pytest.mark.parametrize("number", [1, 4])
def test_a_list_costs_the_same_number_of_queries_however_long_it_is(
    path, queries, number, api_for, clinic, django_assert_max_num_queries
):
    for _ in range(number):
        study = make.study_make(make.patient_make(clinic))
        make.predicted_film_make(study)
        make.job_make(make.radiograph_make(study))
    client = api_for("radiologist")
    with django_assert_max_num_queries(queries):
        assert len(_get(client, path).json()["results"]) >= number


# --- records


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("studies/{study}/", "study"),
        ("radiographs/{film}/", "radiograph"),
        ("predictions/{prediction}/", "prediction"),
    ],
)
def test_reading_a_row_is_recorded_with_its_patient(path, kind, api_for, patient, prediction):
    assert _get(api_for("radiologist"), _fill(path, prediction)).status_code == 200
    event = AuditEvent.objects.get()
    assert (event.verb, event.object_type, event.patient, event.role) == ("read", kind, patient, "radiologist")


def test_reading_the_history_is_recorded(api_for, patient):
    _get(api_for("radiologist"), f"patients/{patient.pk}/history/")
    assert AuditEvent.objects.get().patient == patient


@pytest.mark.parametrize("path", ["studies/", "radiographs/", "predictions/"])
def test_a_list_records_each_patient_in_it_once(path, api_for, patient, prediction):
    make.predicted_film_make(make.study_make(patient))
    assert len(_ids(api_for("radiologist"), path)) == 2
    assert AuditEvent.objects.get().patient == patient


def test_a_refused_read_shows_nothing_and_records_no_read(api_for, foreign):
    _get(api_for("radiologist"), f"radiographs/{foreign.radiograph_id}/")
    assert not AuditEvent.objects.filter(verb="read").exists()


# --- retry and cancel


@pytest.mark.parametrize(("role", "status"), [("radiologist", 200), ("clinicadmin", 200), ("operator", 403)])
def test_staff_queue_a_failed_job_again(role, status, api_for, patient):
    job = make.job_make(make.radiograph_make(make.study_make(patient)), state="failed")
    response = api_for(role).post(f"{API}jobs/{job.pk}/retry/")
    assert response.status_code == status
    job.refresh_from_db()
    assert job.state == ("queued" if status == 200 else "failed")


def test_a_job_that_did_not_fail_cannot_be_retried_nor_one_that_runs_be_cancelled(api_for, patient):
    job = make.job_make(make.radiograph_make(make.study_make(patient)), state="running")
    client = api_for("radiologist")
    assert_problem(client.post(f"{API}jobs/{job.pk}/retry/"), "job_not_retriable")
    assert_problem(client.post(f"{API}jobs/{job.pk}/cancel/"), "job_not_cancellable")


def test_a_waiting_job_is_cancelled(api_for, patient):
    job = make.job_make(make.radiograph_make(make.study_make(patient)))
    response = api_for("radiologist").post(f"{API}jobs/{job.pk}/cancel/")
    assert (response.status_code, response.json()["state"]) == (200, "cancelled")


@pytest.mark.parametrize("move", ["retry", "cancel"])
def test_a_foreign_job_cannot_be_moved(move, api_for, foreign):
    job = foreign.radiograph.jobs.first()
    assert_problem(api_for("radiologist").post(f"{API}jobs/{job.pk}/{move}/"), "not_found")

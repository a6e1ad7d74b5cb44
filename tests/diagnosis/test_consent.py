"""No film is taken in without consent to care, none is read by a model without consent to AI assistance."""

from __future__ import annotations

import pytest

from diagnosis import selectors
from diagnosis.models import Job, Prediction, Radiograph, Reading, Tally
from diagnosis.services import infer, queue
from diagnosis.services.consent import consents_record
from diagnosis.services.infer import infer_waiting
from diagnosis.services.prepare import prepare_next
from diagnosis.services.recovery import sweep
from diagnosis.wording import film_status
from patients.errors import ApplicationError
from tests import factories

pytestmark = pytest.mark.django_db
SENTENCE = "No model answer: the patient did not agree to AI assistance"


@pytest.fixture
def decide(user_for, patient):
    """`decide(ai_assistance="deny")`: as recorded at the desk."""

    def record(**decisions):
        sheet = {"given_on": patient.clinic.today, "given_how": "written", "text_version": "1"}
        consents_record(user=user_for("operator"), patient=patient, decisions=decisions, **sheet)

    return record


def work() -> None:
    while prepare_next(worker="test") or infer_waiting(worker="test"):
        pass


def said_of(user) -> str:
    return film_status(selectors.radiographs_read(user).get()).title


# --- no consent to AI assistance


def test_a_film_is_taken_in_and_checked_but_no_model_is_asked(model, take_in, decide, user_for):
    decide(ai_assistance="deny")
    film = take_in()
    work()
    film.refresh_from_db()
    assert film.state == Radiograph.State.READY
    assert film.display_key
    assert film.reading_key
    assert list(film.jobs.values_list("kind", "state", "model_version")) == [("prepare", "succeeded", None)]
    assert said_of(user_for("radiologist")) == SENTENCE


def test_it_stands_in_the_worklist_from_its_arrival(model, take_in, decide):
    decide(ai_assistance="deny")
    film = take_in()
    work()
    reading = Reading.objects.get(study=film.study_id)
    assert (reading.closed_at, reading.answered, reading.urgency) == (None, False, 0.5)


def test_a_version_on_trial_does_not_read_it_either(model, take_in, decide):
    factories.model_version_make(name="trial", status="shadow", card=model.card)
    decide(ai_assistance="deny")
    take_in()
    work()
    assert not Job.objects.filter(kind="infer").exists()


def test_the_sweeper_asks_no_model_about_it(model, take_in, decide):
    decide(ai_assistance="deny")
    film = take_in()
    work()
    sweep()
    work()
    assert film.jobs.count() == 1


def test_the_clinics_rule_alone_keeps_the_model_away(model, take_in, clinic, user_for):
    factories.data_policy_make(clinic, implied_consent="care")
    take_in()
    work()
    assert not Job.objects.filter(kind="infer").exists()
    assert said_of(user_for("radiologist")) == SENTENCE


def test_a_film_that_waits_when_consent_is_withdrawn_is_not_read(model, prepared, decide, user_for):
    job = prepared()
    decide(ai_assistance="deny")
    work()
    job.refresh_from_db()
    assert (job.state, job.error_code) == ("cancelled", "ai_not_agreed")
    assert not Prediction.objects.exists()
    assert said_of(user_for("radiologist")) == SENTENCE


def test_a_film_withdrawn_before_it_is_checked_is_not_read(model, take_in, decide):
    film = take_in()
    assert film.jobs.get().model_version == model
    decide(ai_assistance="deny")
    work()
    assert list(film.jobs.values_list("kind", "model_version")) == [("prepare", None)]


def test_a_claimed_film_is_given_up_unread(model, prepared, decide, monkeypatch):
    prepared()
    (job,) = queue.jobs_claim(kind="infer", limit=1, worker="test")
    factories.consent_make(job.radiograph.study.patient, "ai_assistance", "deny")
    passes: list[int] = []
    monkeypatch.setattr(infer, "films_predict", lambda predictor, inputs: (passes.append(len(inputs)), ([], {}))[1])
    infer.films_infer([job])
    job.refresh_from_db()
    assert (job.state, job.error_code, passes) == ("failed", "ai_not_agreed", [0])


def test_an_answer_that_comes_after_the_withdrawal_is_not_kept(model, prepared, monkeypatch):
    prepared()
    (job,) = queue.jobs_claim(kind="infer", limit=1, worker="test")
    predict = infer.films_predict

    def withdrawn_meanwhile(predictor, inputs):
        factories.consent_make(job.radiograph.study.patient, "ai_assistance", "deny")
        return predict(predictor, inputs)

    monkeypatch.setattr(infer, "films_predict", withdrawn_meanwhile)
    infer.films_infer([job])
    job.refresh_from_db()
    assert (job.state, job.error_code) == ("failed", "ai_not_agreed")
    assert not Prediction.objects.exists()


def test_a_withdrawal_costs_the_other_films_of_the_batch_nothing(model, prepared, clinic, monkeypatch):
    for seed in (1, 2):
        prepared(seed)
    withdrawn = prepared(3, patient=factories.patient_make(clinic, "Somebody Else"))
    jobs = queue.jobs_claim(kind="infer", limit=8, worker="test")
    predict = infer.films_predict

    def withdrawn_meanwhile(predictor, inputs):
        factories.consent_make(withdrawn.radiograph.study.patient, "ai_assistance", "deny")
        return predict(predictor, inputs)

    monkeypatch.setattr(infer, "films_predict", withdrawn_meanwhile)
    infer.films_infer(jobs)
    withdrawn.refresh_from_db()
    assert (withdrawn.state, withdrawn.error_code) == ("failed", "ai_not_agreed")
    assert Prediction.objects.count() == 2
    assert not Tally.objects.exists(), "no write was late"


def test_answers_that_exist_stay_and_new_films_get_none(model, take_in, decide, user_for):
    take_in(1)
    work()
    decide(ai_assistance="deny")
    take_in(2)
    work()
    assert Prediction.objects.count() == 1
    shown = selectors.radiographs_read(user_for("radiologist")).order_by("created_at")
    assert [selectors.film_progress(film) for film in shown] == ["done", "declined"]


def test_nobody_tries_it_again_while_the_patient_does_not_agree(model, prepared, decide, user_for):
    job = prepared()
    decide(ai_assistance="deny")
    with pytest.raises(ApplicationError) as refusal:
        queue.job_retry(user=user_for("radiologist"), job=job)
    assert refusal.value.code == "ai_not_agreed"
    job.refresh_from_db()
    assert job.state == "cancelled"
    decide(ai_assistance="permit")
    queue.job_retry(user=user_for("radiologist"), job=job)
    work()
    assert Prediction.objects.count() == 1


def test_once_the_patient_agrees_the_film_is_read(model, take_in, decide):
    decide(ai_assistance="deny")
    take_in()
    work()
    decide(ai_assistance="permit")
    sweep()
    work()
    assert Prediction.objects.count() == 1


def test_a_film_that_could_not_be_checked_says_so_whatever_the_patient_agreed_to(patient, user_for):
    factories.consent_make(patient, "ai_assistance", "deny")
    film = factories.radiograph_make(factories.study_make(patient))
    factories.job_make(film, "prepare", "failed")
    assert selectors.film_progress(selectors.radiographs_read(user_for("radiologist")).get()) == "failed"


# --- no consent to care


def test_without_consent_to_care_no_film_is_taken_in(take_in, decide):
    decide(care="deny")
    with pytest.raises(ApplicationError) as refusal:
        take_in()
    assert refusal.value.code == "care_not_agreed"
    assert not Radiograph.objects.exists()


def test_where_the_clinic_asks_for_a_record_an_emergency_is_taken_in_without(take_in, clinic, patient):
    factories.data_policy_make(clinic, implied_consent="nothing")
    with pytest.raises(ApplicationError):
        take_in(1)
    assert take_in(1, urgency="emergency").pk
    factories.consent_make(patient, "care", "deny")
    with pytest.raises(ApplicationError):
        take_in(2, urgency="emergency")

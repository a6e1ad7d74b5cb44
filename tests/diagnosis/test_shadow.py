"""A version on trial reads every new film after the active one, and what it says is shown to nobody."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now

from diagnosis import monitoring, selectors
from diagnosis.models import Job, ModelVersion, Prediction, Radiograph
from diagnosis.registry import trial_progress
from diagnosis.services import infer
from diagnosis.services.infer import infer_waiting
from diagnosis.services.model_files import model_folder
from diagnosis.services.models import model_activate, model_register, model_retire, model_shadow
from diagnosis.services.prepare import prepare_next
from diagnosis.services.queue import jobs_claim
from mlcore.card import CARD_FILE, WEIGHTS_FILE
from mlcore.preprocess import PreprocessingSpec
from tests.diagnosis.predictors import model_folder_make
from tests.synthetic import bad_files

BY = "command line: tester"


@pytest.fixture
def trial(model: ModelVersion, tmp_path: Path) -> ModelVersion:
    """A version with another input size on trial beside the active one."""
    folder = model_folder_make(tmp_path / "trial", b"weights on trial", "2.0.0")
    card = json.loads((folder / CARD_FILE).read_text())
    spec = PreprocessingSpec(size=(64, 64))
    card |= {"preprocessing": spec.to_json(), "architecture": card["architecture"] | {"size": [64, 64]}}
    (folder / CARD_FILE).write_text(json.dumps(card))
    return model_shadow(model=model_register(folder=folder, by=BY), by=BY)


@pytest.fixture
def film(take_in: Callable[..., Radiograph]) -> Callable[[], Radiograph]:
    """A film taken in and prepared; call it for another one."""

    def make(seed: int = 1) -> Radiograph:
        radiograph = take_in(seed)
        while prepare_next(worker="test"):
            pass
        radiograph.refresh_from_db()
        return radiograph

    return make


def test_a_film_is_read_by_both_from_inputs_of_their_own(model, trial, film):
    radiograph = film()
    jobs = {job.model_version_id: job for job in Job.objects.filter(kind="infer")}
    assert {pk: (job.shadow, job.priority) for pk, job in jobs.items()} == {model.pk: (False, 2), trial.pk: (True, 9)}
    infer_waiting(worker="test")
    said = {each.model_version_id: each.shadow for each in radiograph.predictions.all()}
    assert said == {model.pk: False, trial.pk: True}
    assert len(set(radiograph.predictions.values_list("map_key", flat=True))) == 2


def test_whatever_somebody_waits_for_comes_first(model, trial, film):
    for seed in (1, 2):
        film(seed)
    first, second = (jobs_claim(kind="infer", limit=8, worker="test") for _ in range(2))
    assert [{job.model_version for job in jobs} for jobs in (first, second)] == [{model}, {trial}]
    assert [len(first), len(second)] == [2, 2]


def test_films_from_before_the_trial_are_left_alone(model, film, tmp_path, request):
    film()
    request.getfixturevalue("trial")
    assert not Job.objects.filter(shadow=True).exists()


def test_the_film_is_done_when_the_active_version_has_read_it(model, trial, film, user_for):
    radiograph = film()
    Job.objects.filter(shadow=True).update(state="running", attempt=1, fence=1, lease_until=Now())
    Job.objects.filter(shadow=True).update(state="failed", lease_until=None, error_code="processing_failed")
    infer_waiting(worker="test")
    user = user_for("radiologist")
    shown = selectors.radiographs_read(user).get(pk=radiograph.pk)
    assert selectors.film_progress(shown) == "done"
    assert [each.model_version for each in shown.shown_predictions] == [model]
    assert [job.model_version_id for job in shown.jobs.all() if job.kind == "infer"] == [model.pk]
    assert selectors.film_list(user=user, filters={"progress": "failed"}).count() == 0
    assert monitoring.status_read()["queues"]["infer"]["failed"] == 0


def test_a_trial_counts_in_no_queue_that_people_see(model, trial, film):
    film()
    Job.objects.filter(shadow=False, kind="infer").update(state="cancelled")
    assert monitoring.status_read()["queues"]["infer"]["queued"] == 0


def test_what_was_said_on_trial_stays_unseen_when_the_version_speaks(model, trial, film, user_for):
    radiograph = film()
    infer_waiting(worker="test")
    model_activate(model=trial, by=BY)
    user = user_for("radiologist")
    assert [each.model_version for each in Prediction.objects.visible_to(user)] == [model]
    history = selectors.findings_by_date(user=user, patient=radiograph.study.patient)
    assert {entry["model"]["version"] for entry in history} == {model.version}
    film(2)
    infer_waiting(worker="test")
    assert Prediction.objects.visible_to(user).first().model_version == trial


def test_a_trial_that_cannot_run_harms_nobody(model, trial, film):
    (model_folder(trial) / WEIGHTS_FILE).write_bytes(b"rot")
    film()
    infer_waiting(worker="test")
    assert [each.model_version for each in Prediction.objects.all()] == [model]
    assert (infer.PRESENCE.note, infer.PRESENCE.model_sha256) == ("", model.sha256)
    assert Job.objects.get(shadow=True).attempt == 0


def test_a_trial_whose_card_cannot_be_read_does_not_stop_the_film(model, trial, film):
    ModelVersion.objects.filter(pk=trial.pk).update(card={})
    assert film().state == "ready"
    assert [job.model_version for job in Job.objects.filter(kind="infer")] == [model]


def test_a_worker_waits_with_the_active_version_after_a_trial(model, trial, film):
    film()
    infer_waiting(worker="test")
    assert infer.PRESENCE.model_sha256 == model.sha256


def test_a_retired_trial_reads_no_new_film(model, trial, film):
    model_retire(model=trial, by=BY)
    film()
    assert not Job.objects.filter(shadow=True).exists()


def test_it_is_counted_how_many_films_a_trial_has_read(model, trial, film):
    for seed in (1, 2, 3):
        film(seed)
    first = Job.objects.filter(shadow=True).order_by("pk")[0]
    Job.objects.filter(pk=first.pk).update(state="cancelled")
    infer_waiting(worker="test")
    assert trial_progress(trial) == {"read": 2, "waiting": 0, "failed": 0}


def test_rejected_films_are_read_by_no_version(model, trial, take_in):
    take_in(data=next(bad.data for bad in bad_files().values() if bad.code == "image_blank"))
    while prepare_next(worker="test"):
        pass
    assert not Job.objects.filter(kind="infer").exists()


def test_a_request_of_the_api_for_the_trial_finds_nothing(model, trial, film, api_for: Any):
    film()
    infer_waiting(worker="test")
    answer = api_for("radiologist").get(f"/api/v1/predictions/?model_version={trial.pk}").json()
    assert answer["results"] == []

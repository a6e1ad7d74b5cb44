"""Infer: each result lands on its own film, once, or nowhere."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import numpy as np
import pytest
from django.db import OperationalError

from diagnosis import storage
from diagnosis.models import Finding, Job, OperatingPoint, Prediction
from diagnosis.services import infer, queue
from diagnosis.services.infer import infer_waiting
from diagnosis.services.model_files import model_folder
from diagnosis.services.pauses import Pauses
from diagnosis.services.prepare import prepare_next
from mlcore.card import WEIGHTS_FILE
from mlcore.contracts import InfrastructureError
from mlcore.predictors.base import machine_at_fault
from mlcore.predictors.fake import FakePredictor
from patients.models import AuditEvent


def run() -> int:
    return infer_waiting(worker="test")


@pytest.fixture
def batch(prepared: Any) -> dict[uuid.UUID, Job]:
    """Four films, each with its id in its pixels, waiting for the model."""
    films = {uuid.uuid4(): seed for seed in range(1, 5)}
    return {film_id: prepared(seed, film_id=film_id) for film_id, seed in films.items()}


def predictor(model: Any) -> FakePredictor:
    return infer.predictor_for(model)


def test_every_result_lies_under_its_own_film(model, batch):
    assert run() == 4
    for film_id, job in batch.items():
        prediction = Prediction.objects.get(radiograph=job.radiograph)
        expected = predictor(model).film_probabilities(film_id)
        found = {finding.label: finding.probability for finding in prediction.findings.all()}
        assert [found[label] for label in predictor(model).card.label_keys] == pytest.approx(list(expected), abs=1e-6)
    assert set(Job.objects.values_list("state", flat=True)) == {"succeeded"}


def test_a_prediction_says_who_made_it_and_from_what(model, prepared):
    job = prepared()
    run()
    prediction = Prediction.objects.get()
    assert (prediction.model_version, prediction.engine) == (model, "fake")
    assert prediction.image_sha256 == job.radiograph.sha256
    assert set(prediction.timings_ms) == {"predict", "batch"}
    labels, maps = storage.maps_read(prediction.map_key)
    assert labels == predictor(model).card.label_keys
    assert maps.shape[-1] == len(labels)
    assert AuditEvent.objects.get(verb="infer").object_id == str(job.radiograph_id)


def test_the_clinics_own_threshold_wins_over_the_default(model, prepared, clinic, other_clinic):
    points = OperatingPoint.objects.filter(model_version=model, clinic=None)
    points.filter(label="effusion").update(threshold=0.31)
    for place, threshold in ((clinic, 0.77), (other_clinic, 0.99)):
        OperatingPoint.objects.create(model_version=model, clinic=place, label="pneumonia", threshold=threshold)
    prepared()
    run()
    thresholds = dict(Finding.objects.values_list("label", "threshold"))
    assert (thresholds["pneumonia"], thresholds["effusion"]) == (0.77, 0.31)


def test_f21_a_batch_shifted_by_one_is_refused_by_the_database(model, batch, monkeypatch):
    predict = infer.films_predict

    def shifted(*args: Any) -> Any:
        results, timings = predict(*args)
        return results[1:] + results[:1], timings

    monkeypatch.setattr(infer, "films_predict", shifted)
    run()
    assert not Prediction.objects.exists()
    assert not Finding.objects.exists()
    assert set(Job.objects.filter(kind="infer").values_list("state", "error_code")) == {("failed", "result_refused")}


def test_f12_a_worker_that_lost_its_lease_writes_nothing(model, prepared, monkeypatch):
    prepared()
    predict = infer.films_predict

    def slow(*args: Any) -> Any:
        Job.objects.filter(kind="infer").update(fence=0)
        return predict(*args)

    monkeypatch.setattr(infer, "films_predict", slow)
    run()
    assert not Prediction.objects.exists()
    assert Job.objects.get(kind="infer").state == "running"


def test_a_second_try_writes_no_second_prediction(model, prepared):
    job = prepared()
    run()
    Job.objects.filter(pk=job.pk).update(state="queued", attempt=0)
    run()
    assert Prediction.objects.count() == 1
    assert Job.objects.get(pk=job.pk).state == "succeeded"


def test_one_damaged_input_fails_alone(model, batch):
    damaged = next(iter(batch.values()))
    recipe = model.card["preprocessing"]["id"]
    storage.path_of(storage.derived_key(damaged.radiograph.sha256, f"{recipe}.npz")).write_bytes(b"rot")
    run()
    damaged.refresh_from_db()
    assert (damaged.state, damaged.error_code) == ("failed", "image_integrity")
    assert Prediction.objects.count() == 3


def test_an_input_of_another_film_is_refused_by_the_database(model, batch):
    recipe = model.card["preprocessing"]["id"]
    one, other = (
        storage.path_of(storage.derived_key(job.radiograph.sha256, f"{recipe}.npz")) for job in list(batch.values())[:2]
    )
    one.write_bytes(other.read_bytes())
    run()
    first = next(iter(batch.values()))
    first.refresh_from_db()
    assert (first.state, first.error_code) == ("failed", "result_refused")
    assert Prediction.objects.count() == 3


def engine_error(name: str, module: str = "tensorflow.python.framework.errors_impl") -> Exception:
    """An error as an engine raises it; no engine is loaded here."""
    return type(name, (Exception,), {"__module__": module})("CUDA_ERROR_ILLEGAL_ADDRESS")


TROUBLE = [
    InfrastructureError("CUDA"),
    engine_error("InternalError"),
    engine_error("ResourceExhaustedError"),
    engine_error("XlaRuntimeError", "jaxlib.xla_extension"),
    OperationalError(),
    MemoryError(),
    OSError(5, "I/O"),
]


class Clock:
    """Goes on only when told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(infer, "PAUSES", Pauses(lambda: self.now))


@pytest.fixture
def clock(model, monkeypatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def broken(monkeypatch) -> Any:
    """`broken(error)`: from now on every prediction meets it; gives the list of tries. `broken(None)` repairs it."""
    predict = FakePredictor.predict
    tries: list[int] = []

    def start(error: Exception | None) -> list[int]:
        def fail(self: FakePredictor, films: Any) -> Any:
            tries.append(len(films))
            if error is not None:
                raise error
            return predict(self, films)

        monkeypatch.setattr(FakePredictor, "predict", fail)
        return tries

    return start


@pytest.mark.parametrize("error", TROUBLE, ids=lambda error: type(error).__name__)
def test_f22_trouble_of_the_machine_costs_no_attempt(model, prepared, clock, broken, error):
    prepared()
    broken(error)
    for _ in range(3):
        run()
        clock.now += 60
    job = Job.objects.get(kind="infer")
    assert (job.state, job.attempt) == ("queued", 0)
    assert bool(infer.PRESENCE.note) is not isinstance(error, OperationalError)
    broken(None)
    run()
    assert Prediction.objects.count() == 1
    assert not infer.PRESENCE.note


def test_f22_fifty_cuda_errors_fail_no_film(model, batch, clock, broken, monkeypatch):
    ended: list[int] = []
    monkeypatch.setattr(infer, "_process_end", ended.append)
    tries = broken(InfrastructureError("CUDA_ERROR_ILLEGAL_ADDRESS"))
    while len(tries) < 50:
        run()
        clock.now += 60
    assert set(Job.objects.filter(kind="infer").values_list("state", "attempt")) == {("queued", 0)}
    assert set(ended) == {71}, "the process starts afresh where trouble lasts"
    broken(None)
    run()
    assert Prediction.objects.count() == 4


def test_f22_a_queue_is_not_spun_while_the_gpu_is_lost(model, prepared, clock, broken):
    prepared()
    tries = broken(InfrastructureError("CUDA"))
    for _ in range(50):  # fifty hints, one a second
        run()
        clock.now += 1
    assert len(tries) == 6, "after 0, 1, 3, 7, 15 and 31 seconds"
    assert infer.PRESENCE.note, "a pause is not health"


def test_an_error_of_an_engine_that_the_film_caused_is_not_the_machines():
    assert not machine_at_fault(engine_error("InvalidArgumentError"))
    assert not machine_at_fault(engine_error("InternalError", "somebody.elses"))


def test_a_batch_is_stored_in_one_transaction_however_many_films_it_has(model, batch, django_assert_max_num_queries):
    jobs = queue.jobs_claim(kind="infer", limit=8, worker="test")
    with django_assert_max_num_queries(19):
        infer.films_infer(jobs)
    assert Prediction.objects.count() == len(jobs) == len(batch)
    assert set(Job.objects.filter(kind="infer").values_list("state", flat=True)) == {"succeeded"}


def test_a_film_that_breaks_the_model_harms_no_other(model, batch, monkeypatch):
    predict = FakePredictor.predict
    poison = next(iter(batch))

    def fail(self: FakePredictor, films: Any) -> Any:
        if any(self._read_film_id(film) == poison for film in films):
            raise ValueError("poison")
        return predict(self, films)

    monkeypatch.setattr(FakePredictor, "predict", fail)
    run()
    states = {film_id: Job.objects.get(pk=job.pk) for film_id, job in batch.items()}
    assert (states[poison].state, states[poison].error_code) == ("failed", "processing_failed")
    assert states[poison].attempt == 3
    assert {job.state for film_id, job in states.items() if film_id != poison} == {"succeeded"}
    assert Prediction.objects.count() == 3


def test_f19_a_full_disk_costs_no_attempt(model, prepared, monkeypatch):
    prepared()

    def full(path: Any) -> None:
        raise OSError(28, "full")

    monkeypatch.setattr(storage, "_sync", full)
    jobs = queue.jobs_claim(kind="infer", limit=8, worker="test")
    infer.films_infer(jobs)
    job = Job.objects.get(kind="infer")
    assert (job.state, job.attempt) == ("queued", 0)
    assert not Prediction.objects.exists()


# --- the model itself


def test_f23_a_changed_model_file_predicts_nothing(model, prepared):
    prepared()
    weights = model_folder(model) / WEIGHTS_FILE
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    run()
    assert not Prediction.objects.exists()
    assert Job.objects.get(kind="infer").attempt == 0
    assert "sha256" in infer.PRESENCE.note


def test_a_card_with_another_calibration_predicts_nothing(model, prepared):
    prepared()
    card = model.card
    card["calibration"]["temperature"] *= 2
    type(model).objects.filter(pk=model.pk).update(card=card)
    run()
    assert not Prediction.objects.exists()
    assert "card" in infer.PRESENCE.note


def test_a_card_that_is_changed_under_a_running_worker_predicts_nothing_more(model, prepared):
    prepared(seed=1)
    run()
    prepared(seed=2)
    model.card["calibration"]["temperature"] *= 2
    model.save()
    run()
    assert Prediction.objects.count() == 1
    assert "card" in infer.PRESENCE.note


def test_a_model_that_cannot_run_does_not_stop_another(model, prepared):
    broken = type(model).objects.create(
        name="broken", version="1", sha256="cd" * 32, card=model.card, folder="none", status="retired"
    )
    good = prepared()
    Job.objects.create(radiograph=good.radiograph, kind="infer", model_version=broken, priority=0)
    run()
    assert Prediction.objects.get().model_version == model
    assert Job.objects.get(model_version=broken, kind="infer").state == "queued"


@pytest.mark.parametrize("setting", ["engine", "loader"])
def test_a_fake_engine_never_speaks_about_a_patient(model, prepared, settings, setting):
    prepared()
    settings.ALLOW_FAKE_RESULTS = False
    if setting == "engine":
        del settings.PREDICTOR_LOADER
        settings.INFER_ENGINE = "fake"
    run()
    infer.warm_up()
    assert not Prediction.objects.exists()
    assert "fake" in infer.PRESENCE.note


def test_a_worker_without_a_model_says_so(db, monkeypatch):
    monkeypatch.setattr(infer, "PRESENCE", infer.Presence())
    infer.warm_up()
    assert infer.PRESENCE.note == "No model is active."


def test_a_warm_worker_names_engine_and_model(model):
    infer.warm_up()
    assert (infer.PRESENCE.engine, infer.PRESENCE.model_sha256, infer.PRESENCE.note) == ("fake", model.sha256, "")


def test_an_idle_worker_loads_the_model_that_became_active(model, settings):
    settings.ALLOW_FAKE_RESULTS = False
    run()
    assert "fake" in infer.PRESENCE.note
    settings.ALLOW_FAKE_RESULTS = True
    run()
    assert (infer.PRESENCE.model_sha256, infer.PRESENCE.note) == (model.sha256, "")


@pytest.fixture
def sizes(monkeypatch) -> list[int]:
    """How many films the model was given at a time."""
    given: list[int] = []
    predict = FakePredictor.predict

    def counted(self: FakePredictor, films: np.ndarray) -> Any:
        given.append(len(films))
        return predict(self, films)

    monkeypatch.setattr(FakePredictor, "predict", counted)
    return given


def test_batches_are_as_large_as_the_setting_allows(model, batch, settings, sizes):
    settings.INFER_BATCH = 3
    run()
    assert sizes == [3, 1]


def test_a_film_waits_a_moment_for_one_that_is_being_prepared(model, prepared, take_in, monkeypatch, sizes):
    prepared(1)
    take_in(2)
    monkeypatch.setattr(infer.time, "sleep", lambda seconds: prepare_next(worker="test"))
    run()
    assert sizes == [2]


def test_a_film_that_comes_alone_is_not_kept_waiting(model, prepared, monkeypatch):
    prepared()
    waits: list[float] = []
    monkeypatch.setattr(infer.time, "sleep", waits.append)
    run()
    assert (Prediction.objects.count(), waits) == (1, [])


def test_a_worker_that_is_asked_to_end_while_it_waits_claims_nothing_more(model, prepared, take_in, monkeypatch):
    prepared(1)
    take_in(2)
    monkeypatch.setattr(infer, "STOPPING", threading.Event())
    monkeypatch.setattr(infer.time, "sleep", lambda seconds: infer.STOPPING.set())
    assert run() == 0
    assert set(Job.objects.filter(kind="infer").values_list("state", flat=True)) == {"queued"}

"""Real workers, real deaths: whatever dies, every film ends once, under its own name."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable

import pytest
from django.db import connection

from diagnosis.models import Finding, Job, Prediction, Worker
from diagnosis.services import infer
from diagnosis.services.recovery import sweep
from tests.diagnosis.workers import hints_forget, jobs_open, wait_for
from tests.films import KILLS_INFER, KILLS_PREPARE

pytestmark = [pytest.mark.workers, pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]

FILMS = 40


def predicted(at_least: int) -> Callable[[], bool]:
    return lambda: Prediction.objects.count() >= at_least


def test_f8_f10_after_every_death_each_film_has_one_result_under_its_own_id(workers, model, send, settings):
    sent = {send(film_id).pk: film_id for film_id in (uuid.uuid4() for _ in range(FILMS))}
    poison = {name: send(film_id).pk for name, film_id in (("prepare", KILLS_PREPARE), ("infer", KILLS_INFER))}

    workers.start("prepare", "infer")
    wait_for(predicted(4), meanwhile=workers.restart_the_dead)
    workers.kill("infer")
    workers.kill("prepare")
    hints_forget()

    def meanwhile() -> None:
        workers.restart_the_dead()
        sweep()

    wait_for(lambda: not jobs_open(), seconds=120, meanwhile=meanwhile)

    settings.PREDICTOR_LOADER = "tests.diagnosis.predictors.load_reader"
    predictor = infer.predictor_for(model)
    found: dict[uuid.UUID, dict[str, float]] = {}
    for finding in Finding.objects.select_related("prediction"):
        found.setdefault(finding.prediction.radiograph_id, {})[finding.label] = finding.probability
    assert found.keys() == sent.keys()
    for radiograph, film_id in sent.items():
        expected = dict(zip(predictor.card.label_keys, predictor.film_probabilities(film_id), strict=True))
        assert found[radiograph] == pytest.approx(expected, abs=1e-6)
    assert Prediction.objects.count() == FILMS

    failed = {job.radiograph_id: (job.kind, job.attempt, job.error_code) for job in Job.objects.filter(state="failed")}
    assert failed == {poison[kind]: (kind, 3, "worker_lost") for kind in poison}
    assert Counter(Job.objects.values_list("state", flat=True)) == {"succeeded": 2 * FILMS + 1, "failed": 2}


def test_a_worker_is_seen_finishes_what_it_holds_and_signs_off(workers, model, send):
    workers.start("prepare", "infer")
    wait_for(lambda: Worker.objects.filter(engine="fake", model_sha256=model.sha256, kind="infer").exists())
    wait_for(lambda: Worker.objects.filter(kind="prepare").exists())

    send(uuid.uuid4())
    wait_for(lambda: Job.objects.filter(kind="infer", state__in=["running", "succeeded"]).exists())
    workers.stop("infer")
    assert Job.objects.get(kind="infer").state == "succeeded"

    workers.stop("prepare")
    assert not Worker.objects.exists()


def test_an_infer_worker_without_a_real_engine_says_so_and_predicts_nothing(workers, model, send, settings):
    settings.ALLOW_FAKE_RESULTS = False
    workers.start("prepare", "infer")
    send(uuid.uuid4())
    wait_for(lambda: Worker.objects.filter(kind="infer", note__contains="fake").exists())
    wait_for(lambda: Job.objects.filter(kind="infer").exists(), meanwhile=sweep)
    assert "The model cannot run" in workers.log("infer")
    assert not Prediction.objects.exists()
    assert Job.objects.get(kind="infer").attempt == 0


def backends(name: str) -> set[int]:
    """PostgreSQL's processes for the connections of a worker."""
    with connection.cursor() as cursor:
        here = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s"
        cursor.execute(here, [name])
        return {pid for (pid,) in cursor.fetchall()}


def test_a_worker_keeps_its_connection_from_film_to_film_and_replaces_one_that_broke(workers, send):
    workers.start("prepare", "infer")
    send(uuid.uuid4())
    wait_for(predicted(1))
    kept = backends("infer")
    assert len(kept) == 2, "the heartbeat's and the films'"
    send(uuid.uuid4())
    wait_for(predicted(2))
    assert backends("infer") == kept

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s) pid", [list(kept | backends("prepare"))])
    send(uuid.uuid4())
    wait_for(predicted(3))

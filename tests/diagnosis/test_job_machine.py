"""The job machine under any order of claims, deaths, late writes, sweeps and clicks, on the real PostgreSQL.

Hypothesis makes up the order and shrinks what fails. `HYPOTHESIS_PROFILE=long` takes 10,000 steps instead of 1,000.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Count
from django.db.models.functions import Now
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from cxrsite.database import as_owner
from diagnosis.models import Finding, Job, Prediction, Radiograph
from diagnosis.models.job import MAX_ATTEMPTS, MOVES
from diagnosis.services import infer, prepare, queue, recovery
from mlcore.card import load_card
from mlcore.predictors.fake import FakePredictor
from mlcore.registry import bundled_folder
from patients.errors import ApplicationError
from patients.models import AuditEvent
from tests import factories

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
RUNS, STEPS = (200, 50) if LONG else (10, 50)
FILMS_AT_MOST = 6
ALLOWED = {(move.before, move.after) for move in MOVES}
NUMBER = st.integers(min_value=0, max_value=11)


class Crash(BaseException):
    """The process is gone: nothing that catches exceptions runs any more."""


class JobMachine(RuleBasedStateMachine):
    """What workers hold is a plain list of claims, never forgotten: whoever claimed may write at any later time."""

    world: Any

    def __init__(self) -> None:
        super().__init__()
        with as_owner(), transaction.atomic(), connection.cursor() as cursor:  # nobody else may
            cursor.execute("SET LOCAL session_replication_role = replica")
            for table in ("finding", "prediction", "job", "radiograph", "study"):
                cursor.execute(f"DELETE FROM diagnosis_{table}")
        self.claims: list[list[Job]] = []
        self.poison: set[Any] = set()
        self.lonely_deaths: Counter[Any] = Counter()
        self.before: dict[Any, str] = {}
        self.fence = 0

    # --- films come, workers claim and finish

    @precondition(lambda self: Radiograph.objects.count() < FILMS_AT_MOST)
    @rule(poison=st.booleans(), priority=st.integers(min_value=0, max_value=2))
    def upload(self, poison: bool, priority: int) -> None:
        film = factories.radiograph_make(factories.study_make(self.world.patient))
        Job.objects.create(radiograph=film, kind="prepare", model_version=self.world.model, priority=priority)
        if poison:
            self.poison.add(film.pk)

    @rule(kind=st.sampled_from(["prepare", "infer"]), limit=st.integers(min_value=1, max_value=4))
    def claim(self, kind: str, limit: int) -> None:
        """A hint, the first or a repeated one: it takes what waits, or nothing."""
        jobs = queue.jobs_claim(kind=kind, limit=limit, worker="model")
        for job in jobs:
            assert job.fence > self.fence, "every claim draws a higher fence"
            self.fence = job.fence
        if jobs:
            self.claims.append(jobs)

    @precondition(lambda self: self.claims)
    @rule(number=NUMBER)
    def renew(self, number: int) -> None:
        with self._late_writes_change_nothing(number) as jobs:
            queue.leases_renew([job.fence for job in jobs])

    @precondition(lambda self: self.claims)
    @rule(number=NUMBER)
    def finish(self, number: int) -> None:
        """In time, or late with an old fence."""
        with self._late_writes_change_nothing(number) as jobs:
            self._finish(jobs)

    @precondition(lambda self: self.claims)
    @rule(number=NUMBER)
    def die_between_the_writes_of_a_result(self, number: int) -> None:
        jobs = self._claim(number)
        before = [self._rows(job) for job in jobs]
        dies = mock.patch.object(queue, "jobs_record", side_effect=Crash)
        with dies, pytest.raises((Crash, queue.StaleFenceError)):
            self._write(jobs)
        assert [self._rows(job) for job in jobs] == before, "all rows or none"

    # --- what goes wrong

    @precondition(lambda self: self.claims)
    @rule(number=NUMBER)
    def let_the_lease_run_out(self, number: int) -> None:
        """The worker is dead or paused; it may still come back and write."""
        Job.objects.filter(fence__in=[job.fence for job in self._claim(number)], state="running").update(
            lease_until=Now() - recovery.timedelta(seconds=1)
        )

    @rule()
    def sweep(self) -> None:
        expired = Job.objects.filter(state="running", lease_until__lt=Now())
        for job in expired:
            if job.solo:
                self.lonely_deaths[job.pk] += 1
        assert recovery.sweep() is not None

    @precondition(lambda self: self.claims)
    @rule(number=NUMBER)
    def return_after_a_fault(self, number: int) -> None:
        """Something threw that may be the film's fault."""
        with self._late_writes_change_nothing(number) as jobs:
            for job in Job.objects.filter(fence__in=[job.fence for job in jobs], state="running"):
                if job.solo:
                    self.lonely_deaths[job.pk] += 1
            queue.jobs_return(jobs, code="processing_failed")

    @precondition(lambda self: self.claims)
    @rule(number=NUMBER)
    def release_after_trouble_of_the_machine(self, number: int) -> None:
        with self._late_writes_change_nothing(number) as jobs:
            queue.jobs_release(jobs)

    @precondition(lambda self: self.claims)
    @rule(number=NUMBER)
    def fail_for_good(self, number: int) -> None:
        """Damage, found in the files of poison films only."""
        with self._late_writes_change_nothing(number) as jobs:
            for job in jobs:
                if job.radiograph_id in self.poison:
                    infer._fail(job, "image_integrity")

    # --- staff

    @rule(number=NUMBER, move=st.sampled_from([queue.job_retry, queue.job_cancel]))
    def click(self, number: int, move: Any) -> None:
        jobs = list(Job.objects.order_by("created_at", "pk"))
        if not jobs:
            return
        job = jobs[number % len(jobs)]
        allowed = job.can_retry if move is queue.job_retry else job.can_cancel
        try:
            waiting = move(user=self.world.staff, job=job)
        except ApplicationError as refusal:
            if refusal.code not in ("job_not_retriable", "job_not_cancellable"):
                raise
            return
        assert allowed
        if move is queue.job_retry:
            self.lonely_deaths[waiting.pk] = 0

    # --- what always holds

    @invariant()
    def states_change_by_the_moves_of_the_table_only(self) -> None:
        now = dict(Job.objects.values_list("pk", "state"))
        for pk, state in now.items():
            was = self.before.get(pk, "queued")
            assert state == was or (was, state) in ALLOWED, f"{was} to {state}"
        assert now.keys() >= self.before.keys(), "no job disappears"
        self.before = now

    @invariant()
    def one_claim_holds_each_running_job(self) -> None:
        claimed = Counter(job.fence for jobs in self.claims for job in jobs)
        for fence in Job.objects.filter(state="running").values_list("fence", flat=True):
            assert claimed[fence] == 1
        live = Job.objects.filter(state__in=["queued", "running", "succeeded"])
        assert not live.values("radiograph", "kind", "model_version").annotate(n=Count("pk")).filter(n__gt=1).exists()

    @invariant()
    def a_prediction_is_there_once_and_of_its_own_film(self) -> None:
        done = Job.objects.filter(kind="infer", state="succeeded").values_list("radiograph", "radiograph__sha256")
        assert sorted(done) == sorted(Prediction.objects.values_list("radiograph", "image_sha256"))
        assert Finding.objects.count() == Prediction.objects.count() * len(self.world.predictor.card.label_keys)

    @invariant()
    def attempts_are_bounded_and_no_healthy_film_fails_for_its_neighbour(self) -> None:
        for job in Job.objects.filter(state__in=["queued", "running", "failed"]):
            lonely = self.lonely_deaths[job.pk]
            if job.state == "failed":
                assert job.radiograph_id in self.poison or lonely == MAX_ATTEMPTS, job.error_code
            else:
                assert job.attempt == lonely + (job.state == "running") <= MAX_ATTEMPTS, "only deaths alone count"

    def teardown(self) -> None:
        """When nothing goes wrong any more, every film that nobody gave up reaches its end."""
        Job.objects.filter(state="running").update(lease_until=Now() - recovery.timedelta(seconds=1))
        self.sweep()
        for _ in range(4 * FILMS_AT_MOST):
            if not Job.objects.filter(state__in=["queued", "running"]).exists():
                break
            for kind in ("prepare", "infer"):
                self.claim(kind, 4)
                if self.claims:
                    self.finish(len(self.claims) - 1)
        self.a_prediction_is_there_once_and_of_its_own_film()
        assert not Job.objects.filter(state__in=["queued", "running"]).exists()
        given_up = Job.objects.filter(state__in=["failed", "cancelled"]).values("radiograph")
        films = Radiograph.objects.exclude(pk__in=given_up)
        assert set(films.values_list("pk", flat=True)) <= set(Prediction.objects.values_list("radiograph", flat=True))

    # --- help

    def _claim(self, number: int) -> list[Job]:
        return self.claims[number % len(self.claims)]

    @contextmanager
    def _late_writes_change_nothing(self, number: int) -> Iterator[list[Job]]:
        """One claim; whatever is done with it, those of its jobs that it no longer holds stay as they are."""
        jobs = self._claim(number)
        held = Job.objects.filter(fence__in=[job.fence for job in jobs], state="running").values("pk")
        lost = [job.pk for job in jobs if job.pk not in {row["pk"] for row in held}]
        before = list(Job.objects.filter(pk__in=lost).order_by("pk").values())
        yield jobs
        assert list(Job.objects.filter(pk__in=lost).order_by("pk").values()) == before

    def _finish(self, jobs: list[Job]) -> None:
        if jobs[0].kind == "infer":
            infer._write_back(self._answers(jobs), self.world.predictor, {"predict": 1.0})
            return
        prepare._write_back(self._found(jobs))

    def _write(self, jobs: list[Job]) -> None:
        if jobs[0].kind == "infer":
            infer._results_store(self._answers(jobs), self.world.predictor, {})
        else:
            prepare._commit(self._found(jobs))

    def _found(self, jobs: list[Job]) -> list[prepare.Answer]:
        return [(job, prepare._Prepared(model=job.model_version)) for job in jobs]

    def _answers(self, jobs: list[Job]) -> list[infer.Answer]:
        return [(job, self._outcome(job)) for job in jobs]

    def _outcome(self, job: Job) -> infer.FilmOutcome:
        labels = self.world.predictor.card.label_keys
        return infer.FilmOutcome(job.radiograph.sha256, np.full(len(labels), 0.5), np.zeros((1, 1, len(labels))))

    def _rows(self, job: Job) -> tuple[Any, ...]:
        film = Radiograph.objects.values().get(pk=job.radiograph_id)
        jobs = list(Job.objects.filter(radiograph=film["id"]).order_by("pk").values())
        return film, jobs, Prediction.objects.count(), Finding.objects.count(), AuditEvent.objects.count()


@pytest.fixture
def world(model: Any, patient: Any, user_for: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A model, a patient and a radiologist; hints go nowhere and maps to no disk."""
    monkeypatch.setattr("diagnosis.storage.maps_write", lambda *args: "derived/ab/maps.npz")
    predictor = FakePredictor(load_card(bundled_folder()))
    return SimpleNamespace(model=model, patient=patient, staff=user_for("radiologist"), predictor=predictor)


@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(3600 if LONG else 300)
def test_the_job_machine_holds_whatever_the_order(world):
    machine = type("JobMachine", (JobMachine,), {"world": world})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=RUNS,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=not LONG,
            database=None,
            phases=(Phase.generate, Phase.shrink) if LONG else (Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.django_db
@pytest.mark.parametrize("before", Job.State.values)
@pytest.mark.parametrize("after", Job.State.values)
def test_the_database_allows_exactly_the_moves_of_the_table(patient, before, after):
    job = factories.job_make(factories.radiograph_make(factories.study_make(patient)), state=before)
    change = {"state": after, "lease_until": None, "fence": 1, "attempt": 1, "error_code": "worker_lost"}
    if after == "running":
        change["lease_until"] = Now()
    try:
        with transaction.atomic():
            Job.objects.filter(pk=job.pk).update(**change)
        said = ""
    except IntegrityError as error:
        said = str(error).splitlines()[0]
    allowed = before == after or (before, after) in ALLOWED
    assert said == ("" if allowed else f"a job does not go from {before} to {after}")

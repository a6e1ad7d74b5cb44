"""What a film repeats of its findings and jobs, by which lists find it: kept by the database, whoever writes them."""

from __future__ import annotations

import importlib
import threading
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.db.models.functions import Now

from diagnosis import selectors
from diagnosis.models import Finding, Job, ModelVersion, Radiograph, Study
from diagnosis.services.infer import infer_waiting
from patients.actor import SYSTEM, acting_as, person
from patients.keyset import first_rows
from tests import factories as make
from tests.conftest import owner_connected
from tests.diagnosis.test_thresholds import choose
from tests.site.running import wait_until

pytestmark = pytest.mark.django_db


@pytest.fixture
def film(patient: Any) -> Radiograph:
    return make.radiograph_make(make.study_make(patient), state="ready")


def repeated(film: Radiograph) -> tuple[set[str], bool, bool]:
    film.refresh_from_db()
    return set(film.words), film.done, film.failed


def another_version() -> ModelVersion:
    return make.model_version_make("2.0.0", status="retired")


def found(user: Any, **filters: Any) -> set[Radiograph]:
    return set(selectors.film_list(user=user, filters=filters))


def test_a_film_without_findings_and_finished_jobs_repeats_nothing(film):
    make.job_make(film)
    assert repeated(film) == (set(), False, False)


def test_a_film_has_the_words_of_its_findings_but_that_of_normal(film):
    make.prediction_make(film, calibrated={"normal": 0.9, "effusion": 0.1})
    assert repeated(film)[0] == {"absent"}


def test_another_versions_answer_adds_its_words_and_takes_none_away(film, user_for):
    make.prediction_make(film, calibrated={"effusion": 0.1})
    make.prediction_make(film, another_version(), calibrated={"effusion": 0.9})
    assert repeated(film)[0] == {"absent", "present"}
    assert found(user_for("radiologist"), word="absent") == found(user_for("radiologist"), word="present") == {film}


def test_what_is_made_on_trial_is_not_repeated(film, user_for):
    make.prediction_make(film, shadow=True)
    make.job_make(film, "infer", "failed", shadow=True)
    make.job_make(film, "infer", "succeeded", shadow=True, model_version=another_version())
    assert repeated(film) == (set(), False, False)
    assert not found(user_for("radiologist"), word="present")


def test_a_changed_threshold_changes_the_words_of_films_answered_from_then_on(model, prepared, clinic, user_for):
    before = prepared(1).radiograph
    infer_waiting(worker="test")
    said = Finding.objects.get(label="pneumonia").word
    choose(model, clinic, 0.999 if said != "absent" else 0.001, user_for)
    after = prepared(2).radiograph
    infer_waiting(worker="test")
    assert Finding.objects.get(prediction__radiograph=after, label="pneumonia").word != said
    for film in (before, after):
        findings = Finding.objects.filter(prediction__radiograph=film).exclude(label="normal")
        assert repeated(film)[0] == set(findings.values_list("word", flat=True))


@pytest.mark.parametrize(
    ("kind", "states", "done", "failed"),
    [
        ("prepare", ["succeeded"], False, False),
        ("infer", ["succeeded"], True, False),
        ("infer", ["succeeded", "queued"], False, False),
        ("prepare", ["failed"], False, True),
        ("infer", ["failed"], False, True),
        ("infer", ["failed", "queued"], False, False),
        ("infer", ["failed", "cancelled"], False, False),
        ("infer", ["failed", "queued", "running"], False, False),
        ("infer", ["failed", "queued", "running", "succeeded"], True, False),
        ("infer", ["failed", "queued", "running", "failed"], False, True),
    ],
)
def test_a_film_follows_its_job_through_every_move(film, kind, states, done, failed):
    job = make.job_make(film, kind, states[0])
    for state in states[1:]:
        held = {"lease_until": Now() if state == "running" else None, "fence": 1, "error_code": "worker_lost"}
        Job.objects.filter(pk=job.pk).update(state=state, **held)
    assert repeated(film)[1:] == (done, failed)


def test_a_film_of_two_failed_jobs_is_failed_until_both_are_tried_again(film):
    jobs = [make.job_make(film, kind, "failed") for kind in ("prepare", "infer")]
    for job, still in zip(jobs, (True, False), strict=True):
        Job.objects.filter(pk=job.pk).update(state="queued")
        assert repeated(film)[2] is still


@pytest.mark.parametrize("change", [{"words": ["present"]}, {"done": True}, {"failed": True}])
def test_nobody_but_the_database_writes_what_is_repeated(film, change):
    before = repeated(film)
    Radiograph.objects.filter(pk=film.pk).update(view="AP", **change)
    assert repeated(film) == before
    assert Radiograph.objects.get(pk=film.pk).view == "AP"


def test_a_film_that_was_read_before_its_answer_came_does_not_take_it_back(film):
    stale = Radiograph.objects.get(pk=film.pk)
    make.prediction_make(film)
    stale.save()
    assert "present" in repeated(film)[0]


def test_what_is_repeated_is_no_part_of_the_films_history(film):
    def versions() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM diagnosis_radiographhistory")
            return int(cursor.fetchone()[0])

    there = versions()
    make.prediction_make(film)
    make.job_make(film, "infer", "failed")
    assert versions() == there
    Radiograph.objects.filter(pk=film.pk).update(view="PA")
    assert versions() == there + 1


@pytest.mark.django_db(transaction=True)
def test_a_job_that_is_removed_counts_no_more(film):
    make.job_make(film, "infer", "failed")
    with owner_connected() as owner:
        owner.execute("DELETE FROM diagnosis_job")
    assert repeated(film) == (set(), False, False)


@pytest.mark.django_db(transaction=True)
def test_two_jobs_of_a_film_that_move_at_the_same_moment_both_count(film):
    """One is tried again while the other fails: who comes second sees what the first has done."""
    again = make.job_make(film, "prepare", "failed")
    fails = make.job_make(film, "infer", "running")

    @acting_as(SYSTEM)
    def fail() -> None:
        Job.objects.filter(pk=fails.pk).update(state="failed", error_code="worker_lost", lease_until=None)
        connection.close()

    second = threading.Thread(target=fail)
    with transaction.atomic():
        Job.objects.filter(pk=again.pk).update(state="queued")
        second.start()
        waits_for_a_lock()
    second.join()
    assert repeated(film) == (set(), False, True)


def waits_for_a_lock() -> None:
    with owner_connected() as owner:
        wait_until(lambda: owner.execute(WAITING) or owner.fetchone()[0], what="somebody waits for a lock")


WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@pytest.mark.django_db(transaction=True)
def test_films_of_before_the_triggers_are_filled_in_by_the_migration(patient, monkeypatch):
    migration = importlib.import_module("diagnosis.migrations.0024_films_found_filled")
    monkeypatch.setattr(migration, "AT_ONCE", 2)
    films = [make.radiograph_make(make.study_make(patient), state="ready") for _ in range(5)]
    for film, state in zip(films, ("succeeded", "failed", "queued", "succeeded"), strict=False):
        make.job_make(film, "infer", state)
    make.prediction_make(films[0], calibrated={"normal": 0.9, "effusion": 0.1})
    make.prediction_make(films[3], calibrated={"pneumonia": 0.9, "effusion": 0.1})
    make.prediction_make(films[4], shadow=True)
    wanted = [repeated(film) for film in films]
    with owner_connected() as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("UPDATE diagnosis_radiograph SET words = '{likely}', done = NOT done, failed = NOT failed")
        owner.execute("ALTER TABLE diagnosis_radiograph DISABLE TRIGGER film_repeats_only")
        try:
            with connection.schema_editor(atomic=False) as editor:
                migration.fill(apps, editor)
        finally:
            owner.execute("ALTER TABLE diagnosis_radiograph ENABLE TRIGGER film_repeats_only")
    assert [repeated(film) for film in films] == wanted


@pytest.mark.django_db(transaction=True)  # the owner, who alone may analyse a table, sees only what is committed
@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({"word": "possible"}, "radiograph_possible"),
        ({"word": "likely"}, "radiograph_likely"),
        ({"word": "present"}, "radiograph_present"),
        ({"progress": "failed"}, "radiograph_failed"),
        ({"progress": "stopped"}, "radiograph_undone"),
        ({"progress": "declined"}, "radiograph_undone"),
    ],
)
def test_rare_films_are_read_by_an_index_of_theirs_behind_the_wall(clinic, other_clinic, user_for, filters, index):
    for at in (clinic, other_clinic):
        studies = Study.objects.bulk_create(Study(clinic=at, patient=make.patient_make(at)) for _ in range(1))
        Radiograph.objects.bulk_create(
            Radiograph(
                clinic=at, study=studies[0], sha256=f"{number:064}", size=1, format="png", width=9, height=9,
                state="ready", done=number % 100 != 0, failed=number % 200 == 0,
                words=[("present", "likely", "possible")[number % 3] if number % 50 == 0 else "absent"],
            )
            for number in range(3000)
        )  # fmt: skip
    with owner_connected() as owner:
        owner.execute("ANALYZE diagnosis_study; ANALYZE diagnosis_radiograph")
    user = user_for("radiologist")
    films = selectors.film_list(user=user, filters=filters)
    bare = selectors.films_narrowed(Radiograph.objects.all(), user=user, filters=filters)
    with acting_as(person(user)):
        assert index in first_rows(films, films.parts_for(user), bare=bare, count=31).explain()

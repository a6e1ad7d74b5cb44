"""Prepare: usable films go on, unusable ones are rejected with their code, and faults cost what they should."""

from __future__ import annotations

import io
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from PIL import Image

from diagnosis import storage
from diagnosis.models import Job, Radiograph, Tally
from diagnosis.services import prepare, queue
from diagnosis.services.prepare import prepare_next
from mlcore.contracts import ImageRefusedError, InfrastructureError
from patients.models import AuditEvent
from tests.synthetic import bad_files


def run() -> bool:
    return prepare_next(worker="test")


def test_a_good_film_becomes_ready_with_display_image_and_model_input(take_in, model, hints):
    radiograph = take_in()
    assert run()
    radiograph.refresh_from_db()
    assert (radiograph.state, radiograph.code) == ("ready", "")
    picture = Image.open(io.BytesIO(storage.path_of(radiograph.display_key).read_bytes()))
    assert (picture.format, picture.mode, picture.info) == ("PNG", "L", {})
    copy = Image.open(io.BytesIO(storage.path_of(radiograph.reading_key).read_bytes()))
    assert (copy.size, copy.info) == ((radiograph.width, radiograph.height), {})
    assert radiograph.reading_key == radiograph.display_key  # all 8 bits are in one file
    assert radiograph.reading["windows"]
    recipe = model.card["preprocessing"]["id"]
    assert storage.input_read(radiograph.sha256, recipe).image_sha256 == radiograph.sha256
    assert hints == ["prepare", "infer"]


def test_the_models_job_is_queued_in_the_same_commit(take_in, model):
    radiograph = take_in(urgency="emergency")
    run()
    done, waiting = radiograph.jobs.order_by("created_at")
    assert (done.kind, done.state, set(done.timings_ms)) == (
        "prepare",
        "succeeded",
        {"decode", "display", "quality", "reading", "preprocess"},
    )
    assert (waiting.kind, waiting.state, waiting.model_version, waiting.priority) == ("infer", "queued", model, 0)
    assert AuditEvent.objects.filter(verb="prepare", outcome="ok", patient=radiograph.study.patient).exists()


def test_nothing_waits_nothing_happens(db):
    assert not run()


@pytest.mark.parametrize("name", [name for name, bad in bad_files().items() if bad.is_late])
def test_a_film_that_cannot_be_used_is_rejected(take_in, model, user_for, patient, upload_of, name):
    from diagnosis.services.intake import study_create

    bad = bad_files()[name]
    upload = upload_of(bad.data, bad.filename, bad.content_type)
    patient.identifiers.update(value="0042")
    radiograph = study_create(user=user_for("operator"), patient=patient, upload=upload).radiograph
    run()
    radiograph.refresh_from_db()
    assert (radiograph.state, radiograph.code) == ("rejected", bad.code)
    assert radiograph.message
    assert Job.objects.get().state == "succeeded"
    assert AuditEvent.objects.get(verb="prepare").outcome == bad.code


def test_without_a_model_the_film_can_be_seen_and_nothing_is_asked(take_in):
    radiograph = take_in()
    run()
    radiograph.refresh_from_db()
    assert radiograph.state == "ready"
    assert radiograph.display_key
    assert not Job.objects.filter(kind="infer").exists()


def damage(radiograph: Radiograph) -> None:
    path = storage.path_of(storage.original_key(radiograph.sha256))
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"\0")


def test_a_damaged_original_fails_and_is_not_analysed(take_in, model):
    radiograph = take_in()
    damage(radiograph)
    run()
    job = Job.objects.get()
    assert (job.state, job.error_code) == ("failed", "image_integrity")
    assert Radiograph.objects.get().state == "received"


@pytest.mark.parametrize("error", [OperationalError(), InfrastructureError(), OSError(5, "I/O")])
def test_trouble_of_the_machine_costs_no_attempt(take_in, model, monkeypatch, error):
    take_in()

    def fail(data: bytes) -> Any:
        raise error

    monkeypatch.setattr(prepare, "decode", fail)
    for _ in range(5):
        run()
    job = Job.objects.get()
    assert (job.state, job.attempt) == ("queued", 0)


@pytest.mark.parametrize("error", [MemoryError(), ValueError("a bug"), SoftTimeLimitExceeded()])
def test_a_film_that_breaks_the_decoder_three_times_fails(take_in, model, monkeypatch, error):
    take_in()

    def fail(data: bytes) -> Any:
        raise error

    monkeypatch.setattr(prepare, "decode", fail)
    assert [run() for _ in range(4)] == [True, True, True, False]
    job = Job.objects.get()
    assert (job.state, job.error_code, job.attempt) == ("failed", "processing_failed", 3)


def test_a_time_limit_inside_the_decoder_is_not_taken_for_damage(take_in, model, monkeypatch):
    take_in()

    def slow(image: Image.Image) -> None:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(Image.Image, "load", slow)
    run()
    assert Job.objects.get().attempt == 1
    assert Radiograph.objects.get().state == "received"


def test_a_stale_worker_changes_nothing(take_in, model, monkeypatch):
    take_in()
    decode = prepare.decode

    def taken_over(data: bytes) -> Any:
        Job.objects.update(fence=0)
        return decode(data)

    monkeypatch.setattr(prepare, "decode", taken_over)
    run()
    assert Radiograph.objects.get().state == "received"
    assert Job.objects.count() == 1
    assert Tally.objects.get(name=Tally.STALE_WRITE).count == 1  # and it was counted


def test_a_film_is_prepared_again_for_another_model_and_stays_ready(take_in, model):
    radiograph = take_in()
    run()
    other = type(model).objects.create(
        name="other", version="1", sha256="cd" * 32, card=model.card, folder="x", status="shadow"
    )
    Job.objects.create(radiograph=radiograph, kind="prepare", model_version=other)
    before = Radiograph.objects.values().get()
    run()
    assert Radiograph.objects.values().get() == before
    assert Job.objects.filter(kind="infer", model_version=other, state="queued").exists()


def test_a_film_of_before_the_reading_copy_gets_one_when_it_is_prepared_again(take_in, model):
    radiograph = take_in()
    run()
    Radiograph.objects.update(reading_key="", reading={})
    before = Radiograph.objects.values("state", "display_key", "quality", "warnings").get()
    Job.objects.filter(kind="prepare").update(state="queued")
    run()
    radiograph.refresh_from_db()
    assert radiograph.reading_key
    assert radiograph.reading["windows"]
    assert Radiograph.objects.values("state", "display_key", "quality", "warnings").get() == before


def test_preparing_twice_asks_the_model_once(take_in, model):
    take_in()
    (job,) = queue.jobs_claim(kind="prepare", limit=1, worker="test")
    prepare.films_prepare([job])
    Job.objects.filter(pk=job.pk).update(state="queued")
    (job,) = queue.jobs_claim(kind="prepare", limit=1, worker="test")
    prepare.films_prepare([job])
    assert Job.objects.filter(kind="infer").count() == 1


# --- films that come in close succession share a batch


@pytest.fixture
def batch(take_in, model, settings) -> list[Radiograph]:
    """Four films that wait together."""
    settings.PREPARE_CONCURRENCY = 1
    return [take_in(seed) for seed in range(prepare.BATCH)]


def states() -> list[tuple[str, int, bool]]:
    """Of the prepare jobs, the oldest first."""
    return list(Job.objects.filter(kind="prepare").order_by("pk").values_list("state", "attempt", "solo"))


def test_what_surrounds_a_film_is_asked_once_for_a_batch(batch, take_in):
    def statements() -> int:
        with CaptureQueriesContext(connection) as asked:
            run()
        return len(asked)

    of_four = statements()
    assert states() == [("succeeded", 1, False)] * 4
    take_in(9)
    assert statements() == of_four - 1, "the card of the model, which is read once in a process"
    assert Job.objects.filter(kind="infer").count() == 5
    assert AuditEvent.objects.filter(verb="prepare", outcome="ok").count() == 5


def test_each_film_of_a_batch_has_an_end_of_its_own(batch, model, monkeypatch):
    """One good, one that is no film, one damaged on the disk, one that breaks the decoder."""
    good, unusable, damaged, breaks = batch
    damage(damaged)
    decode_otherwise(monkeypatch, {unusable: refuse, breaks: raise_a_bug})
    run()
    assert [Radiograph.objects.get(pk=film.pk).state for film in batch] == ["ready", "rejected", "received", "received"]
    jobs = [film.jobs.get(kind="prepare") for film in batch]
    assert [(job.state, job.error_code) for job in jobs] == [
        ("succeeded", ""),
        ("succeeded", ""),
        ("failed", "image_integrity"),
        ("queued", ""),
    ]
    assert (jobs[3].attempt, jobs[3].solo) == (0, True), "it comes back to run alone, and has not paid yet"
    assert [job.radiograph for job in Job.objects.filter(kind="infer")] == [good]
    outcomes = dict(AuditEvent.objects.filter(verb="prepare").values_list("object_id", "outcome"))
    assert [outcomes.get(str(film.pk)) for film in batch] == ["ok", "image_corrupt", "image_integrity", None]


def decode_otherwise(monkeypatch: pytest.MonkeyPatch, otherwise: dict[Radiograph, Callable[[bytes], Any]]) -> None:
    """These films meet another decoder."""
    by_hash, decode = {film.sha256: decoder for film, decoder in otherwise.items()}, prepare.decode
    monkeypatch.setattr(prepare, "decode", lambda data: by_hash.get(sha256(data).hexdigest(), decode)(data))


def refuse(data: bytes) -> Any:
    raise ImageRefusedError("image_corrupt")


def raise_a_bug(data: bytes) -> Any:
    raise ValueError("a bug")


def test_a_film_that_was_taken_over_does_not_hold_back_its_neighbours(batch, monkeypatch):
    decode = prepare.decode

    def taken_over(data: bytes) -> Any:
        batch[1].jobs.update(fence=0)
        return decode(data)

    decode_otherwise(monkeypatch, {batch[1]: taken_over})
    run()
    assert [Radiograph.objects.get(pk=film.pk).state for film in batch] == ["ready", "received", "ready", "ready"]
    assert Tally.objects.get(name=Tally.STALE_WRITE).count == 1


def test_while_the_database_is_away_a_batch_waits_and_pays_nothing(batch, monkeypatch):
    def away(jobs: Any) -> Any:
        raise OperationalError

    monkeypatch.setattr(prepare, "jobs_permitted", away)
    run()
    assert states() == [("queued", 0, False)] * 4


def test_a_task_goes_on_until_nothing_waits(batch, hints):
    hints.clear()
    prepare.prepare_waiting(worker="test")
    assert not Job.objects.filter(kind="prepare", state="queued").exists()
    assert "prepare" not in hints


def test_a_task_that_worked_long_enough_wakes_another(batch, take_in, hints, monkeypatch):
    take_in(9)
    hints.clear()
    monkeypatch.setattr(prepare, "SHIFT_SECONDS", 0)
    prepare.prepare_waiting(worker="test")
    assert Job.objects.filter(kind="prepare", state="queued").count() == 1
    assert "prepare" in hints

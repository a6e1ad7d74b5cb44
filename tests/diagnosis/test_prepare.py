"""Prepare: usable films go on, unusable ones are rejected with their code, and faults cost what they should."""

from __future__ import annotations

import io
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import OperationalError
from PIL import Image

from diagnosis import storage
from diagnosis.models import Job, Radiograph, Tally
from diagnosis.services import prepare, queue
from diagnosis.services.prepare import prepare_next
from mlcore.contracts import InfrastructureError
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


def test_a_damaged_original_fails_and_is_not_analysed(take_in, model):
    radiograph = take_in()
    path = storage.path_of(storage.original_key(radiograph.sha256))
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
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
    prepare.film_prepare(job)
    Job.objects.filter(pk=job.pk).update(state="queued")
    (job,) = queue.jobs_claim(kind="prepare", limit=1, worker="test")
    prepare.film_prepare(job)
    assert Job.objects.filter(kind="infer").count() == 1

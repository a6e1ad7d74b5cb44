"""The prepare stage: the only place where the bytes of a film are fully parsed.

Stored original → display image, reading copy and model inputs on disk → one transaction: job done, film ready or
rejected, Job(infer) queued, and one more for each version on trial. May import: Django, `diagnosis.models`,
`.storage`, `.services.queue`, Keras-free modules of `mlcore`. Runs in a child process with time and memory limits; the
committed Job(infer) hands over to `diagnosis.services.infer`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import transaction

from diagnosis import scanner, storage
from diagnosis.models import Job, ModelVersion, Radiograph
from diagnosis.services import queue
from diagnosis.services.consent import ai_permitted
from mlcore.card import card_from_json
from mlcore.contracts import DecodedImage, FilmWarning, ImageRefusedError, InfrastructureError, ModelIntegrityError
from mlcore.decode import decode
from mlcore.display import display_png, holds_every_sample
from mlcore.preprocess import PreprocessingSpec, model_input
from mlcore.quality import assess
from mlcore.reading import reading_facts, reading_png
from mlcore.timings import Timings
from patients.errors import ApplicationError, error_sentence

log = logging.getLogger("diagnosis.prepare")

#: Jobs of versions on trial come after everything that somebody waits for.
SHADOW_PRIORITY = 9
#: Says nothing about the film, so it costs no attempt.
_INFRASTRUCTURE = (*queue.DATABASE_AWAY, InfrastructureError, ModelIntegrityError, OSError)


@dataclass
class _Prepared:
    """What the stage found out; `code` is empty for a film that can be used, `model` is the one that may
    read it, None where there is none or the patient does not agree."""

    model: ModelVersion | None = None
    code: str = ""
    message: str = ""
    display_key: str = ""
    reading_key: str = ""
    reading: dict[str, Any] = field(default_factory=dict)
    quality: dict[str, Any] = field(default_factory=dict)
    warnings: list[FilmWarning] = field(default_factory=list)
    shadows: list[ModelVersion] = field(default_factory=list)
    timings: Timings = field(default_factory=Timings)


def prepare_next(*, worker: str) -> bool:
    """Claim one job and carry it through; False when nothing waits."""
    jobs = queue.jobs_claim(kind=Job.Kind.PREPARE, limit=1, worker=worker)
    for job in jobs:
        with queue.leases_held(jobs):
            film_prepare(job)
    return bool(jobs)


def film_prepare(job: Job) -> None:
    """Carry a claimed job to its end: succeeded (film ready or rejected), failed, or back in the queue."""
    try:
        prepared = _prepare(job)
        _commit(job, prepared)
        log.info("film is %s", "rejected" if prepared.code else "ready", extra={"code": prepared.code or "ok"})
    except queue.StaleFenceError:
        queue.stale_write_refused(job)
    except Exception as error:
        _fault(job, error)


def _prepare(job: Job) -> _Prepared:
    sha256 = job.radiograph.sha256
    prepared = _Prepared()
    # Asked once here: of a withdrawal from now on the infer stage hears, before it reads and before it stores.
    if job.model_version is not None and ai_permitted(job.radiograph.study.patient):
        prepared.model = job.model_version
    data = storage.original_read(sha256)
    if settings.CLAMAV_URL:
        with prepared.timings.step("scan"):
            malware = scanner.malware_name(data)
        if malware:
            log.error("the virus scanner refuses radiograph %s: %s", job.radiograph_id, malware)
            prepared.code, prepared.message = "malware_detected", error_sentence("malware_detected")
            return prepared
    try:
        with prepared.timings.step("decode"):
            image = decode(data)
    except ImageRefusedError as refusal:
        if _ran_out_of_time(refusal):
            raise
        prepared.code, prepared.message = refusal.code, refusal.message
        return prepared
    with _meanwhile(lambda: _display_write(image, sha256, prepared)):
        with prepared.timings.step("quality"):
            quality = assess(image)
        prepared.quality = asdict(quality)
        prepared.warnings = [*image.facts.warnings]
        if quality.verdict == "rejected":
            prepared.code, prepared.message = quality.reasons[0].code, quality.reasons[0].message
            return prepared
        prepared.warnings += [FilmWarning(reason.code, reason.message) for reason in quality.reasons]
        if prepared.model is not None:
            with prepared.timings.step("preprocess"):
                recipe = _recipe(prepared.model)
                storage.input_write(model_input(image, recipe, sha256))
            prepared.shadows = _shadows_prepare(image, sha256, written=recipe.id)
    if image.stored is not None:
        with prepared.timings.step("reading"):
            if holds_every_sample(image):
                prepared.reading_key = prepared.display_key
            else:
                prepared.reading_key = storage.reading_write(sha256, reading_png(image.stored))
            prepared.reading = reading_facts(image)
    return prepared


@contextmanager
def _meanwhile(work: Callable[[], None]) -> Iterator[None]:
    """`work` on another core while the block runs, done when it ends. A film that comes alone waits less by it."""
    with ThreadPoolExecutor(max_workers=1) as beside:
        working = beside.submit(work)
        yield
        working.result()


@lru_cache(maxsize=8)
def _recipe(model: ModelVersion) -> PreprocessingSpec:
    """Read once in a process: a version stands for one recipe for good, and its card is long."""
    return card_from_json(model.card).preprocessing


def _display_write(image: DecodedImage, sha256: str, prepared: _Prepared) -> None:
    """In a thread of its own: the deflate leaves the processor's wide registers in a state in which Pillow's resizing,
    which gate and model input do, takes two to four times as long."""
    with prepared.timings.step("display"):
        prepared.display_key = storage.display_write(sha256, display_png(image))


def _shadows_prepare(image: DecodedImage, sha256: str, *, written: str) -> list[ModelVersion]:
    """The versions on trial that can read the film too, their inputs on disk. Whatever is wrong with one of them, the
    film goes its way without it."""
    able = []
    for model in ModelVersion.objects.filter(status=ModelVersion.Status.SHADOW).defer("card"):
        try:
            recipe = _recipe(model)
            if recipe.id != written:
                storage.input_write(model_input(image, recipe, sha256))
            able.append(model)
        except (ModelIntegrityError, ValueError) as error:
            log.warning("no input for %s on trial: %s", model, error)
    return able


def _ran_out_of_time(error: BaseException | None) -> bool:
    """The decoders take any exception for damage, also the one that tells of the time limit."""
    while error is not None:
        if isinstance(error, SoftTimeLimitExceeded):
            return True
        error = error.__cause__ or error.__context__
    return False


def _commit(job: Job, prepared: _Prepared) -> None:
    with transaction.atomic():
        queue.jobs_finish(job, timings_ms=prepared.timings.ms)
        _film_move(job.radiograph, prepared)
        if prepared.model is None:
            _model_forget(job)
        elif not prepared.code:
            _infer_queue(job, prepared.model, prepared.shadows)
        queue.jobs_record(job, outcome=prepared.code or "ok")
    if prepared.model is not None and not prepared.code:
        queue.hints_top_up(Job.Kind.INFER, 1)  # whoever hears of one film looks for all


def _film_move(radiograph: Radiograph, prepared: _Prepared) -> None:
    """received → ready or rejected. A film that is being prepared again stays what it is, except that one of before the
    reading copy gets its own now."""
    known = {warning["code"] for warning in radiograph.warnings}
    warnings = [asdict(warning) for warning in prepared.warnings if warning.code not in known]
    moved = Radiograph.objects.filter(pk=radiograph.pk, state=Radiograph.State.RECEIVED).update(
        state=Radiograph.State.REJECTED if prepared.code else Radiograph.State.READY,
        code=prepared.code,
        message=prepared.message[:500],
        display_key=prepared.display_key,
        reading_key=prepared.reading_key,
        reading=prepared.reading,
        quality=prepared.quality,
        warnings=radiograph.warnings + warnings,
    )
    if prepared.reading_key and not moved:
        older = Radiograph.objects.filter(pk=radiograph.pk, state=Radiograph.State.READY, reading_key="")
        older.update(reading_key=prepared.reading_key, reading=prepared.reading)


def _model_forget(job: Job) -> None:
    """No model was asked, for the patient does not agree: should that change, the sweeper finds the film by this. Of a
    film that was prepared without a model before there is such a job already."""
    if job.model_version_id is None:
        return
    prepared = Job.objects.filter(radiograph=job.radiograph_id, kind=Job.Kind.PREPARE, model_version=None)
    if not prepared.exists():
        Job.objects.filter(pk=job.pk).update(model_version=None)


def _infer_queue(job: Job, speaking: ModelVersion, shadows: Sequence[ModelVersion]) -> None:
    """Queue the turn of the model and of those on trial, once per film and model: what waits, runs or succeeded already
    stays as it is (`job_live_once`)."""
    asked = [(speaking, False, job.priority), *((model, True, SHADOW_PRIORITY) for model in shadows)]
    Job.objects.bulk_create(
        (
            Job(
                radiograph=job.radiograph,
                kind=Job.Kind.INFER,
                model_version=model,
                shadow=shadow,
                priority=priority,
            )
            for model, shadow, priority in asked
        ),
        ignore_conflicts=True,
    )


def _fault(job: Job, error: Exception) -> None:
    """Damage fails for good, the machine's trouble costs nothing, everything else costs the attempt."""
    log.error("prepare job %s met %s", job.pk, type(error).__name__)
    try:
        if isinstance(error, ApplicationError) and error.code == "image_integrity":
            queue.job_fail(job, error.code)
        elif isinstance(error, (ApplicationError, *_INFRASTRUCTURE)):
            queue.jobs_release([job])
        else:
            log.error("where it happened:", exc_info=error)
            queue.jobs_return([job], code="processing_failed")
    except (queue.StaleFenceError, *queue.DATABASE_AWAY):
        log.warning("prepare job %s is left to the sweeper", job.pk)

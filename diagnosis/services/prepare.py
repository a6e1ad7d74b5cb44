"""The prepare stage: the only place where the bytes of a film are fully parsed.

Stored original → display image, reading copy and model inputs on disk → one transaction for all films of a claim: job
done, film ready or rejected, Job(infer) queued, and one more for each version on trial. May import: Django,
`diagnosis.models`, `.storage`, `.services`, Keras-free modules of `mlcore`. Runs in a child process with time and
memory limits; the committed Job(infer) hands over to `diagnosis.services.infer`.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from structlog.contextvars import bound_contextvars

from diagnosis import scanner, storage
from diagnosis.models import Job, ModelVersion, Radiograph
from diagnosis.services import queue
from diagnosis.services.consent import jobs_permitted
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

#: How many films are claimed and written back at once: the statements around one film cost as much as decoding it.
#: Fewer where less waits, so that each process has something to do.
BATCH = 4
#: A task begins no further films after so long; its time limit is far beyond.
SHIFT_SECONDS = 1.0
#: Jobs of versions on trial come after everything that somebody waits for.
SHADOW_PRIORITY = 9
#: Says nothing about the film, so it costs no attempt.
_INFRASTRUCTURE = (*queue.DATABASE_AWAY, InfrastructureError, ModelIntegrityError, OSError)


@dataclass
class _Prepared:
    """What the stage found out of one film; `code` is empty for one that can be used, `model` is the one that may read
    it, None where there is none or the patient does not agree."""

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


def prepare_waiting(*, worker: str) -> None:
    """Work until nothing waits, or for `SHIFT_SECONDS`: then another task goes on, for a task has a time limit."""
    until = time.monotonic() + SHIFT_SECONDS
    while prepare_next(worker=worker):
        if time.monotonic() > until:
            queue.hint_publish(Job.Kind.PREPARE, enough=settings.PREPARE_CONCURRENCY)
            break


def prepare_next(*, worker: str) -> bool:
    """Claim some films and carry them through; False when nothing waits."""
    jobs = queue.jobs_claim(kind=Job.Kind.PREPARE, limit=BATCH, takers=settings.PREPARE_CONCURRENCY, worker=worker)
    if jobs:
        with queue.leases_held(jobs):
            films_prepare(jobs)
    return bool(jobs)


def films_prepare(jobs: Sequence[Job]) -> None:
    """Carry claimed jobs to their ends, each for itself: succeeded (film ready or rejected), failed, or back in the
    queue."""
    try:
        permitted, shadows = jobs_permitted(jobs), _shadows()
    except queue.DATABASE_AWAY as error:
        _fault(jobs, error)
        return
    answers = []
    for job in jobs:
        with bound_contextvars(job_id=str(job.pk)):
            try:
                answers.append((job, _prepare(job, permitted=job.pk in permitted, shadows=shadows)))
            except Exception as error:
                _fault([job], error)
    _write_back(answers)


def _prepare(job: Job, *, permitted: bool, shadows: Sequence[ModelVersion]) -> _Prepared:
    """Whether a model may read the film was asked before: of a withdrawal from then on the infer stage hears, before it
    reads and before it stores."""
    sha256 = job.radiograph.sha256
    prepared = _Prepared(model=job.model_version if permitted else None)
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
            prepared.shadows = _shadows_prepare(image, sha256, shadows, written=recipe.id)
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


def _shadows() -> list[ModelVersion]:
    """The versions on trial."""
    return list(ModelVersion.objects.filter(status=ModelVersion.Status.SHADOW).defer("card"))


def _shadows_prepare(
    image: DecodedImage, sha256: str, shadows: Sequence[ModelVersion], *, written: str
) -> list[ModelVersion]:
    """The versions on trial that can read the film too, their inputs on disk. Whatever is wrong with one of them, the
    film goes its way without it."""
    able = []
    for model in shadows:
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


# --- write-back: some films at once, and one at a time where that fails

Answer = tuple[Job, _Prepared]


def _write_back(answers: Sequence[Answer]) -> None:
    """Whatever stands against one film, what was found out of the others is kept."""
    if len(answers) > 1:
        try:
            _commit(answers)
        except Exception as error:
            log.warning("%s films are stored one by one: %s", len(answers), type(error).__name__)
            for answer in answers:
                _write_back([answer])
        return
    for job, prepared in answers:
        with bound_contextvars(job_id=str(job.pk)):
            try:
                _commit([(job, prepared)])
            except queue.StaleFenceError:
                queue.stale_write_refused(job)
            except Exception as error:
                _fault([job], error)


def _commit(answers: Sequence[Answer]) -> None:
    """All rows or none. Raises StaleFenceError."""
    jobs = [job for job, _ in answers]
    for job, prepared in answers:
        job.timings_ms = prepared.timings.ms
    with transaction.atomic():
        queue.jobs_finish(*jobs)
        _films_move(answers)
        _models_forget([job for job, prepared in answers if prepared.model is None])
        _infer_queue(answers)
        for outcome in {prepared.code for _, prepared in answers}:
            queue.jobs_record(*(job for job, prepared in answers if prepared.code == outcome), outcome=outcome or "ok")
    for job, prepared in answers:
        with bound_contextvars(job_id=str(job.pk)):
            log.info("film is %s", "rejected" if prepared.code else "ready", extra={"code": prepared.code or "ok"})
    if any(prepared.model is not None and not prepared.code for _, prepared in answers):
        queue.hint_publish(Job.Kind.INFER, enough=1)  # whoever hears of one film looks for all


_MOVE = f"""
UPDATE {Radiograph._meta.db_table} film SET
  state = new.state, code = new.code, message = new.message, display_key = new.display_key,
  reading_key = new.reading_key, reading = new.reading, quality = new.quality, warnings = new.warnings
FROM jsonb_to_recordset(%s) AS new(
  id uuid, state text, code text, message text, display_key text, reading_key text, reading jsonb, quality jsonb,
  warnings jsonb)
WHERE film.id = new.id AND film.state = 'received'
RETURNING film.id
"""  # noqa: S608  the table's own name


def _films_move(answers: Sequence[Answer]) -> None:
    """received → ready or rejected. A film that is being prepared again stays what it is, except that one of before the
    reading copy gets its own now."""
    with connection.cursor() as cursor:
        cursor.execute(_MOVE, [json.dumps([_moved(job.radiograph, prepared) for job, prepared in answers])])
        moved = {film_id for (film_id,) in cursor.fetchall()}
    for job, prepared in answers:
        if prepared.reading_key and job.radiograph_id not in moved:
            older = Radiograph.objects.filter(pk=job.radiograph_id, state=Radiograph.State.READY, reading_key="")
            older.update(reading_key=prepared.reading_key, reading=prepared.reading)


def _moved(radiograph: Radiograph, prepared: _Prepared) -> dict[str, Any]:
    known = {warning["code"] for warning in radiograph.warnings}
    warnings = [asdict(warning) for warning in prepared.warnings if warning.code not in known]
    return {
        "id": str(radiograph.pk),
        "state": Radiograph.State.REJECTED if prepared.code else Radiograph.State.READY,
        "code": prepared.code,
        "message": prepared.message[:500],
        "display_key": prepared.display_key,
        "reading_key": prepared.reading_key,
        "reading": prepared.reading,
        "quality": prepared.quality,
        "warnings": radiograph.warnings + warnings,
    }


def _models_forget(jobs: Sequence[Job]) -> None:
    """No model was asked, for the patient does not agree: should that change, the sweeper finds the film by this. Of a
    film that was prepared without a model before there is such a job already."""
    named = [job for job in jobs if job.model_version_id is not None]
    if named:
        before = Job.objects.filter(radiograph=OuterRef("radiograph"), kind=Job.Kind.PREPARE, model_version=None)
        Job.objects.filter(~Exists(before), pk__in=[job.pk for job in named]).update(model_version=None)


def _infer_queue(answers: Sequence[Answer]) -> None:
    """Queue the turn of the model and of those on trial, once per film and model: what waits, runs or succeeded already
    stays as it is (`job_live_once`)."""
    Job.objects.bulk_create(
        (
            Job(
                radiograph=job.radiograph,
                kind=Job.Kind.INFER,
                model_version=model,
                shadow=shadow,
                priority=SHADOW_PRIORITY if shadow else job.priority,
            )
            for job, prepared in answers
            if prepared.model is not None and not prepared.code
            for model, shadow in [(prepared.model, False), *((model, True) for model in prepared.shadows)]
        ),
        ignore_conflicts=True,
    )


def _fault(jobs: Sequence[Job], error: Exception) -> None:
    """Damage fails for good, the machine's trouble costs nothing, everything else costs the attempt."""
    log.error("%s prepare jobs met %s", len(jobs), type(error).__name__)
    try:
        if isinstance(error, ApplicationError) and error.code == "image_integrity":
            for job in jobs:
                queue.job_fail(job, error.code)
        elif isinstance(error, (ApplicationError, *_INFRASTRUCTURE)):
            queue.jobs_release(jobs)
        else:
            log.error("where it happened:", exc_info=error)
            queue.jobs_return(jobs, code="processing_failed")
    except (queue.StaleFenceError, *queue.DATABASE_AWAY):
        log.warning("%s prepare jobs are left to the sweeper", len(jobs))

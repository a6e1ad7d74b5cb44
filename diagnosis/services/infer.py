"""The infer stage: batches of model inputs in, one write-once Prediction per film out.

Claim → read inputs → predict → one transaction guarded by the fences, and by the hash found inside each input: the
database refuses a result that is not of its film, and the others of its batch are then stored one by one. May import:
Django, `diagnosis.models`, `.storage`, `.services`, Keras-free modules of `mlcore`; the engine itself is imported when
the first model is loaded. Runs in the solo worker.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.module_loading import import_string
from structlog.contextvars import bound_contextvars

from diagnosis import storage
from diagnosis.models import Finding, Job, ModelVersion, OperatingPoint, Prediction
from diagnosis.services import queue
from diagnosis.services.consent import NOT_AGREED, jobs_permitted
from diagnosis.services.model_files import model_folder, registered_card, same_numbers
from diagnosis.services.pauses import LONGEST_SECONDS, Pauses
from diagnosis.services.presence import Presence
from diagnosis.services.reading import readings_place
from mlcore.contracts import ImageArray, InfrastructureError, ModelInput, ModelIntegrityError
from mlcore.interpret import interpret, urgency
from mlcore.predictors.base import Predictor, machine_at_fault
from mlcore.timings import Timings
from patients.errors import ApplicationError

log = logging.getLogger("diagnosis.infer")

#: What this process says of itself; the heartbeat writes it.
PRESENCE = Presence()

#: Set when the process is asked to end: the batch in work is finished, no other is begun.
STOPPING = threading.Event()

#: How long a batch waits for films that are being prepared. What surrounds the network (claim, rows, worklist, history,
#: audit) costs a processor more than the network itself, and a batch shares most of it. A film that comes alone does
#: not wait, nor does an emergency.
GATHER_SECONDS = 0.1

#: Models that wait for the machine to recover.
PAUSES = Pauses()
EXIT_UNABLE = 71
_process_end = os._exit

#: Says nothing about the film, so it costs no attempt.
_INFRASTRUCTURE = (*queue.DATABASE_AWAY, InfrastructureError, ModelIntegrityError, ImportError, MemoryError, OSError)


def _machine_at_fault(error: Exception) -> bool:
    return isinstance(error, _INFRASTRUCTURE) or machine_at_fault(error)


@dataclass(frozen=True)
class FilmOutcome:
    """What the model said of one film: scores (labels,), maps (rows, columns, labels), and the hash of the film that
    was found inside its input."""

    image_sha256: str
    probabilities: ImageArray
    maps: ImageArray


def infer_waiting(*, worker: str) -> int:
    """Work until nothing waits that can be done here; the number of jobs claimed.

    A model that cannot run puts its jobs back and is left alone for a while; others go on. With nothing to do it sees
    to it that the active model is loaded. Where trouble lasts through the longest pause the process ends: a GPU's
    context that broke stays broken in its process, and the supervisor starts another.
    """
    claimed = 0
    limit = settings.INFER_BATCH
    while not STOPPING.is_set():
        if queue.batch_grows(limit):
            time.sleep(GATHER_SECONDS)
            if STOPPING.is_set():
                break
        jobs = queue.jobs_claim(kind=Job.Kind.INFER, limit=limit, worker=worker, skip_models=PAUSES.paused())
        if not jobs:
            break
        claimed += len(jobs)
        with queue.leases_held(jobs):
            works = films_infer(jobs)
        model = _model(jobs).pk
        if works:
            PAUSES.end(model)
        elif PAUSES.begin(model) >= LONGEST_SECONDS and not jobs[0].shadow:
            log.critical("the model has not run for long; this process ends, for another to try afresh")
            _process_end(EXIT_UNABLE)
    if not claimed and not PAUSES.paused():
        warm_up()
    return claimed


def films_infer(jobs: Sequence[Job]) -> bool:
    """Carry claimed jobs of one model to their end. False when the machine or the model is at fault: then the jobs
    are back in the queue and no attempt is counted."""
    try:
        predictor = predictor_for(_model(jobs))
        if not jobs[0].shadow:
            _say_able(predictor)
        readable = _read_inputs(jobs, predictor)
        outcomes, timings = films_predict(predictor, list(readable.values()))
    except Exception as error:
        if _machine_at_fault(error):
            _say_unable(error, shadow=jobs[0].shadow)
            queue.jobs_release(jobs)
            return False
        log.error("a batch of %s met %s", len(jobs), type(error).__name__, exc_info=True)
        queue.jobs_return(jobs, code="processing_failed")
        return True
    _write_back(list(zip(readable, outcomes, strict=True)), predictor, timings)
    return True


def predictor_for(model: ModelVersion) -> Predictor:
    """The loaded model, its files proved against the registered row. Raises ModelIntegrityError."""
    load = import_string(getattr(settings, "PREDICTOR_LOADER", "mlcore.registry.load_predictor"))
    predictor: Predictor = load(model_folder(model), expected_sha256=model.sha256, engine=settings.INFER_ENGINE)
    if predictor.engine.startswith("fake") and not getattr(settings, "ALLOW_FAKE_RESULTS", False):
        raise ModelIntegrityError("the fake engine answers for tests only, never for a patient")
    if not same_numbers(predictor.card, registered_card(model)):
        raise ModelIntegrityError("the card in the model's folder differs from the registered one")
    return predictor


def warm_up() -> None:
    """Load the active model before the first film waits for it; what is wrong is said on the status page."""
    model = ModelVersion.objects.filter(status=ModelVersion.Status.ACTIVE).defer("card").first()
    if model is None:
        PRESENCE.note = "No model is active."
        return
    try:
        _say_able(predictor_for(model))
    except Exception as error:
        if not _machine_at_fault(error):
            raise
        _say_unable(error)


def films_predict(predictor: Predictor, inputs: Sequence[ModelInput]) -> tuple[list[FilmOutcome], dict[str, float]]:
    """One forward pass over all inputs, in their order; milliseconds per film, and how many shared the pass."""
    if not inputs:
        return [], {}
    timings = Timings()
    with timings.step("predict"):
        output = predictor.predict(np.stack([each.array for each in inputs]))
    outcomes = [
        FilmOutcome(each.image_sha256, probabilities, maps)
        for each, probabilities, maps in zip(inputs, output.probabilities, output.maps, strict=True)
    ]
    return outcomes, {"predict": timings.ms["predict"] / len(inputs), "batch": len(inputs)}


def _model(jobs: Sequence[Job]) -> ModelVersion:
    model = jobs[0].model_version
    assert model is not None, "the database gives every infer job a model version"
    return model


def _say_able(predictor: Predictor) -> None:
    PRESENCE.engine, PRESENCE.model_sha256, PRESENCE.note = predictor.engine, predictor.card.sha256, ""


def _say_unable(error: Exception, *, shadow: bool = False) -> None:
    """A version on trial that cannot run is a line in the log: nobody waits for it."""
    reason = str(error) if isinstance(error, ModelIntegrityError) else type(error).__name__
    log.error("The model %scannot run: %s.", "on trial " if shadow else "", reason)
    if not shadow and not isinstance(error, queue.DATABASE_AWAY):  # whoever reads the note reads it from the database
        PRESENCE.note = f"The model cannot run: {reason}."


def _read_inputs(jobs: Sequence[Job], predictor: Predictor) -> dict[Job, ModelInput]:
    """The input of each job, in order. One that is gone or damaged fails its own job only, as one of a patient who does
    not agree to it any more."""
    recipe = predictor.card.preprocessing
    inputs: dict[Job, ModelInput] = {}
    permitted = jobs_permitted(jobs)
    for job in jobs:
        if job.pk not in permitted:
            _fail(job, NOT_AGREED)
            continue
        try:
            value = storage.input_read(job.radiograph.sha256, recipe.id)
            if value.array.shape != (*recipe.size, 1) or not np.isfinite(value.array).all():
                raise ApplicationError("image_integrity")
            inputs[job] = value
        except ApplicationError as error:
            if error.code != "image_integrity":
                raise InfrastructureError(error.code) from error
            _fail(job, error.code)
    return inputs


# --- write-back: a batch at once, and one film at a time where that fails

Answer = tuple[Job, FilmOutcome]


def _write_back(answers: Sequence[Answer], predictor: Predictor, timings: dict[str, float]) -> None:
    """Whatever stands against one result, those of the other films are kept."""
    if len(answers) > 1:
        try:
            _results_store(answers, predictor, timings)
        except Exception as error:
            log.warning("%s results are stored one by one: %s", len(answers), type(error).__name__)
            for answer in answers:
                _write_back([answer], predictor, timings)
        return
    for job, outcome in answers:
        with bound_contextvars(job_id=str(job.pk)):
            _one_write_back(job, outcome, predictor, timings)


def _one_write_back(job: Job, outcome: FilmOutcome, predictor: Predictor, timings: dict[str, float]) -> None:
    try:
        _results_store([(job, outcome)], predictor, timings)
    except queue.StaleFenceError:
        queue.stale_write_refused(job)
    except IntegrityError as error:
        _refused(job, getattr(getattr(error.__cause__, "diag", None), "constraint_name", "") or "")
    except (ApplicationError, *_INFRASTRUCTURE) as error:
        log.error("the result of job %s could not be stored: %s", job.pk, type(error).__name__)
        queue.jobs_release([job])
    except Exception as error:
        log.error("the result of job %s met %s", job.pk, type(error).__name__, exc_info=True)
        queue.jobs_return([job], code="processing_failed")


def _results_store(answers: Sequence[Answer], predictor: Predictor, timings: dict[str, float]) -> None:
    """Maps first, rows second, all rows or none; a film of a patient who agrees no longer is given up. Raises
    StaleFenceError and IntegrityError."""
    permitted = jobs_permitted(job for job, _ in answers)
    kept = [(job, outcome) for job, outcome in answers if job.pk in permitted]
    if kept:
        jobs = [job for job, _ in kept]
        points = _operating_points(jobs)
        results = [_result(job, outcome, predictor, points[job.radiograph.clinic_id], timings) for job, outcome in kept]
        for job in jobs:
            job.timings_ms = timings
        with transaction.atomic():
            queue.jobs_finish(*jobs)
            Prediction.objects.bulk_create(prediction for prediction, _ in results)
            Finding.objects.bulk_create(finding for _, findings in results for finding in findings)
            readings_place([job.radiograph_id for job in jobs if not job.shadow])
            queue.jobs_record(*jobs)
    for job, _ in answers:
        with bound_contextvars(job_id=str(job.pk)):
            if job.pk in permitted:
                log.info("prediction is stored")
            else:
                _fail(job, NOT_AGREED)


def _result(
    job: Job, outcome: FilmOutcome, predictor: Predictor, points: dict[str, float], timings: dict[str, float]
) -> tuple[Prediction, list[Finding]]:
    """The rows of one film; its map is written."""
    model, card = _model([job]), predictor.card
    findings = interpret(outcome.probabilities, card, points)
    prediction = Prediction(
        radiograph=job.radiograph,
        image_sha256=outcome.image_sha256,
        model_version=model,
        shadow=job.shadow,
        engine=predictor.engine,
        urgency=urgency(findings, card),
        map_key=storage.maps_write(outcome.image_sha256, model.pk, card.label_keys, outcome.maps),
        timings_ms={name: round(value, 1) for name, value in timings.items()},
    )
    return prediction, [
        Finding(
            prediction=prediction,
            label=finding.label,
            probability=finding.probability,
            calibrated=finding.calibrated,
            threshold=finding.threshold,
            word=finding.word,
        )
        for finding in findings
    ]


def _operating_points(jobs: Sequence[Job]) -> dict[UUID, dict[str, float]]:
    """By clinic: its own thresholds where it has any, else the default ones. The jobs are of one model."""
    clinics = {job.radiograph.clinic_id for job in jobs}
    points = OperatingPoint.objects.filter(
        Q(clinic=None) | Q(clinic__in=clinics), model_version=jobs[0].model_version_id
    )
    stored = list(points.values_list("clinic", "label", "threshold"))
    usual = {label: threshold for clinic, label, threshold in stored if clinic is None}
    own = {key: {label: level for clinic, label, level in stored if clinic == key} for key in clinics}
    return {clinic: usual | own[clinic] for clinic in clinics}


def _refused(job: Job, constraint: str) -> None:
    """The database would not have this result."""
    if constraint == "prediction_once":  # written before, by an earlier try of this job
        try:
            queue.jobs_finish(job)
        except queue.StaleFenceError:
            queue.stale_write_refused(job)
        return
    log.critical("a result did not belong to the film of job %s and was refused (%s)", job.pk, constraint)
    _fail(job, "result_refused")


def _fail(job: Job, code: str) -> None:
    try:
        queue.job_fail(job, code)
    except queue.StaleFenceError:
        queue.stale_write_refused(job)

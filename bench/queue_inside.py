"""What runs inside the processes of the part `queue`: who queues films, and workers whose device only takes time.

May import: Django and the apps, inside functions; `mlcore`, `tests`. Each process has `bench.settings`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from mlcore.contracts import ImageArray, ModelOutput
from mlcore.predictors.fake import FakePredictor

#: Seconds that the simulated device takes for a batch.
_DEVICE = {"seconds": 0.0}


class SleepingPredictor(FakePredictor):
    """Answers like the fake one, after as long as a device would take that needs no core."""

    def predict(self, batch: ImageArray) -> ModelOutput:
        time.sleep(_DEVICE["seconds"])
        return super().predict(batch)


@lru_cache
def load(folder: Path, *, expected_sha256: str, engine: str) -> SleepingPredictor:
    """As `mlcore.registry.load_predictor`, hash check included."""
    from tests.diagnosis.predictors import load_reader

    return SleepingPredictor(load_reader(folder, expected_sha256=expected_sha256, engine=engine).card)


def clinic() -> Callable[[int], None]:
    """A clinic and an active model; the function queues so many films for inference."""
    import django

    django.setup()
    import numpy as np
    from django.conf import settings

    from diagnosis import storage
    from diagnosis.models import Job
    from diagnosis.services.models import model_activate, model_register
    from mlcore.card import card_from_json
    from mlcore.contracts import ModelInput
    from patients.actor import SYSTEM, process_acts_as
    from tests import factories
    from tests.diagnosis.predictors import model_folder_make

    process_acts_as(SYSTEM)
    folder = model_folder_make(settings.VAR_DIR / "sleeper")
    model = model_activate(model=model_register(folder=folder, by="bench"), by="bench")
    recipe = card_from_json(model.card).preprocessing
    patient = factories.patient_make(factories.clinic_make("Bench"))
    pixels = np.random.default_rng(0).random((*recipe.size, 1), dtype=np.float32)

    def queue(count: int) -> None:
        for _ in range(count):
            film = factories.radiograph_make(factories.study_make(patient), state="ready")
            storage.input_write(ModelInput(pixels, film.sha256, recipe.id))
            Job.objects.create(radiograph=film, kind=Job.Kind.INFER, model_version=model)

    return queue


def worker(name: str) -> Callable[[tuple[str, float]], int]:
    """An infer worker without Celery around it. ("infer", device seconds) works until nothing waits, ("claim", _) only
    claims, one by one, and keeps the jobs; ("release", _) puts them back. Gives how many jobs it had."""
    import django

    django.setup()
    from diagnosis.models import Job
    from diagnosis.services import infer, queue
    from patients.actor import SYSTEM, process_acts_as

    process_acts_as(SYSTEM)
    infer.warm_up()
    held: list[Any] = []

    def claim() -> int:
        while jobs := queue.jobs_claim(kind=Job.Kind.INFER, limit=1, worker=name):
            held.extend(jobs)
        return len(held)

    def release() -> int:
        queue.jobs_release(held)
        Job.objects.filter(pk__in=[job.pk for job in held]).update(solo=False)  # they may share a batch again
        count = len(held)
        held.clear()
        return count

    def call(asked: tuple[str, float]) -> int:
        what, _DEVICE["seconds"] = asked
        if what == "infer":
            return infer.infer_waiting(worker=name)
        return claim() if what == "claim" else release()

    return call

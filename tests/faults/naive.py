"""The design that most Django sites have: the row is committed, then `delay(id)`; one task decodes, asks the model and
writes, with Celery's default settings and nobody who looks for what was left behind.

It has our intake (durable file, key, one transaction), our stages and our database constraints, so that only the
hand-over differs. `python -m tests.faults.naive` runs it as `manage.py up` runs the site. May import: everything.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from celery import shared_task
from django.apps import AppConfig


class Naive(AppConfig):
    name = "tests.faults.naive"
    label = "naive"

    def ready(self) -> None:
        from diagnosis.api import views
        from diagnosis.services import intake

        intake.hint_publish = lambda kind, **options: True
        views.study_create = then_delay(views.study_create)


def then_delay(study_create: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(study_create)
    def create(**film: Any) -> Any:
        result = study_create(**film)
        if result.created:
            read.delay(str(result.radiograph.pk))
        return result

    return create


@shared_task(name="naive.read", ignore_result=True)
def read(radiograph_id: str) -> None:
    """From the stored film to its result, in one go."""
    from django.db import transaction
    from django.db.models.functions import Now

    from diagnosis import storage
    from diagnosis.models import Job, Prediction
    from diagnosis.services import infer, prepare

    job = Job.objects.select_related("radiograph__study__patient", "radiograph__clinic", "model_version").get(
        radiograph_id=radiograph_id
    )
    prepared = prepare._prepare(job, permitted=True, shadows=[])
    predictor = infer.predictor_for(job.model_version)
    film = storage.input_read(job.radiograph.sha256, predictor.card.preprocessing.id)
    [outcome], _ = infer.films_predict(predictor, [film])
    with transaction.atomic():
        prepare._films_move([(job, prepared)])
        row = Job.objects.filter(pk=job.pk)
        row.update(state="running", attempt=1, fence=0, lease_until=Now())
        row.update(state="succeeded", lease_until=None)
        prediction = Prediction.objects.create(
            radiograph=job.radiograph,
            image_sha256=outcome.image_sha256,
            model_version=job.model_version,
            engine=predictor.engine,
        )
        for label, probability in zip(predictor.card.label_keys, outcome.probabilities, strict=True):
            score = float(probability)
            word = "present" if score > 0.5 else "absent"
            prediction.findings.create(label=label, probability=score, calibrated=score, threshold=0.5, word=word)


def main() -> None:
    """As `manage.py up`, with the naive table of processes."""
    import django
    from django.core.management import call_command

    django.setup()
    from cxrsite.management.commands import up
    from patients.actor import SYSTEM, process_acts_as
    from tests.faults.designs import NAIVE

    process_acts_as(SYSTEM)
    up.PROCESSES = NAIVE.processes
    call_command("up")


if __name__ == "__main__":
    main()

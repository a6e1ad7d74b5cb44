"""What a patient's decision means for films: none taken in without consent to care, none read by a model without
consent to AI assistance.

The decision itself is kept by `patients.consents`. Asked by `intake`, `prepare`, `infer`, `queue` and `recovery`, each
just before it acts, so that a withdrawal holds for films that wait already. Answers that exist stay: they were part of
the care. May import: Django, `diagnosis.models`, `patients`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from diagnosis.models import Job, Study
from patients import consents
from patients.consents import Purpose
from patients.errors import ApplicationError
from patients.models import Consent, Patient, User
from patients.querysets import consent_permits

#: The code of a film without an answer because the patient did not agree to one.
NOT_AGREED = "ai_not_agreed"


@transaction.atomic
def consents_record(*, user: User, patient: Patient, given_on: date, **said: Any) -> list[Consent]:
    """As `patients.consents.consents_record`; films that wait for a model wait no longer where the patient does not
    agree to it. A film that a model is reading at this moment is given up by its worker."""
    recorded = consents.consents_record(user=user, patient=patient, given_on=given_on, **said)
    if not ai_permitted(patient):
        waiting = Job.objects.filter(kind=Job.Kind.INFER, state=Job.State.QUEUED, radiograph__study__patient=patient)
        waiting.update(state=Job.State.CANCELLED, error_code=NOT_AGREED, finished_at=Now())
    return recorded


def ai_permitted(patient: Patient) -> bool:
    """May a model read films of this patient now?"""
    return consents.is_permitted(patient, Purpose.AI_ASSISTANCE)


def jobs_permitted(jobs: Iterable[Job]) -> set[UUID]:
    """Those of these jobs whose film a model may read now: one query."""
    permits = consent_permits(Purpose.AI_ASSISTANCE, "radiograph__study__patient")
    return set(Job.objects.filter(permits, pk__in=[job.pk for job in jobs]).values_list("pk", flat=True))


def film_take_permitted(patient: Patient, urgency: str) -> bool:
    """May a model read the film that is being taken in? Raises `care_not_agreed` where no film may be taken in; in an
    emergency only a recorded denial forbids it. One query."""
    emergency = urgency == Study.Urgency.EMERGENCY
    care, model = consent_permits(Purpose.CARE, unless_denied=emergency), consent_permits(Purpose.AI_ASSISTANCE)
    permits = Patient.objects.filter(pk=patient.pk).annotate(care=care, model=model).values_list("care", "model")
    care_agreed, model_agreed = permits.first() or (False, False)
    if not care_agreed:
        raise ApplicationError("care_not_agreed")
    return bool(model_agreed)

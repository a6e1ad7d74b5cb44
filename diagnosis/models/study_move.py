"""Studies that somebody says are of another patient.

May import: Django, `patients.models`, `diagnosis.models.two_people`, `diagnosis.querysets`.
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from diagnosis.models.two_people import StudyRequest, done_by_two
from diagnosis.querysets import StudyMoveQuerySet
from patients.history import tracked
from patients.models import Patient


@tracked(by="study")
class StudyMove(StudyRequest):
    """That a study is of another patient of its clinic."""

    class Outcome(models.TextChoices):
        MOVED = "moved", "Moved"
        LEFT = "left", "Left where it was"

    from_patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    to_patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    outcome = models.CharField(max_length=10, choices=Outcome, blank=True, default="")

    objects = StudyMoveQuerySet.as_manager()

    class Meta(StudyRequest.Meta):
        indexes = [models.Index(fields=["clinic", "-asked_at"], name="study_move_recent")]
        constraints = [
            *StudyRequest.Meta.constraints,
            models.CheckConstraint(condition=~Q(from_patient=F("to_patient")), name="study_move_to_another"),
            done_by_two("moved", "study_move_by_two"),
        ]

"""Studies that somebody says are of another patient, or a part of another study.

May import: Django, `patients.models`, `diagnosis.models.study`, `.two_people`, `diagnosis.querysets`.
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from diagnosis.models.study import Study
from diagnosis.models.two_people import StudyRequest, done_by_two
from diagnosis.querysets import StudyMoveQuerySet
from patients.history import tracked
from patients.models import Patient


@tracked(by="study")
class StudyMove(StudyRequest):
    """That a study is of another patient of its clinic, or, with `into`, that its films are a part of another study of
    the same patient."""

    class Outcome(models.TextChoices):
        MOVED = "moved", "Moved"
        LEFT = "left", "Left where it was"

    from_patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    to_patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    into = models.ForeignKey(Study, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    outcome = models.CharField(max_length=10, choices=Outcome, blank=True, default="")

    objects = StudyMoveQuerySet.as_manager()

    class Meta(StudyRequest.Meta):
        indexes = [models.Index(fields=["clinic", "-asked_at"], name="study_move_recent")]
        constraints = [
            *StudyRequest.Meta.constraints,
            models.CheckConstraint(
                condition=Q(into__isnull=True) & ~Q(from_patient=F("to_patient"))
                | Q(into__isnull=False, from_patient=F("to_patient")) & ~Q(into=F("study")),
                name="study_move_to_another",
            ),
            done_by_two("moved", "study_move_by_two"),
        ]

"""One visit to the X-ray room: a patient, a question, one or more films.

May import: Django, `patients.models`, `diagnosis.querysets`.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from diagnosis.querysets import StudyMoveQuerySet, StudyQuerySet
from patients.history import tracked
from patients.models import Clinic, Patient, User


@tracked()
class Study(models.Model):
    """An examination. `clinic` repeats the patient's clinic so that lists and constraints need no join."""

    class Urgency(models.TextChoices):
        EMERGENCY = "emergency", "Emergency"
        URGENT = "urgent", "Urgent"
        ROUTINE = "routine", "Routine"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="studies")
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="studies")
    accession_number = models.CharField(max_length=64, blank=True)
    indication = models.CharField(max_length=500, blank=True)
    urgency = models.CharField(max_length=10, choices=Urgency, default=Urgency.ROUTINE)
    referring_doctor = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="referrals"
    )
    acquired_at = models.DateTimeField(null=True, blank=True)
    source = models.CharField(max_length=16, default="web", help_text="web, api or dicom")
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = StudyQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "studies"
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["clinic", "-created_at", "-id"], name="study_recent"),
            models.Index(fields=["patient", "-created_at"], name="study_of_patient"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["clinic", "accession_number"],
                condition=~Q(accession_number=""),
                name="accession_once_per_clinic",
            ),
        ]

    def __str__(self) -> str:
        return f"Study {str(self.id)[:8]}"


@tracked(by="study")
class StudyMove(models.Model):
    """That a study is of another patient of its clinic: one person asks, a second one decides. The row stays."""

    class Outcome(models.TextChoices):
        MOVED = "moved", "Moved"
        LEFT = "left", "Left where it was"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="moves")
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+")
    from_patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    to_patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=300)
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(default=timezone.now, editable=False)
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=8, choices=Outcome, blank=True, default="")

    objects = StudyMoveQuerySet.as_manager()

    class Meta:
        ordering = ["asked_at", "id"]
        indexes = [models.Index(fields=["clinic", "-asked_at"], name="study_move_recent")]
        constraints = [
            models.UniqueConstraint(fields=["study"], condition=Q(outcome=""), name="study_move_once"),
            models.CheckConstraint(condition=~Q(from_patient=F("to_patient")), name="study_move_to_another"),
            models.CheckConstraint(
                condition=Q(outcome="", decided_by__isnull=True, decided_at__isnull=True)
                | Q(decided_by__isnull=False, decided_at__isnull=False) & ~Q(outcome=""),
                name="study_move_whole",
            ),
            models.CheckConstraint(
                condition=~Q(outcome="moved") | ~Q(decided_by=F("asked_by")), name="study_move_by_two"
            ),
        ]

    def __str__(self) -> str:
        return f"Move {str(self.id)[:8]}"


class UploadKey(models.Model):
    """An Idempotency-Key as its client used it: the same key and body answer with the same radiograph."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="sha256 over the request's fields and file")
    radiograph = models.ForeignKey("diagnosis.Radiograph", on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "clinic", "key"], name="upload_key_once")]

    def __str__(self) -> str:
        return self.key

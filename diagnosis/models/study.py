"""One visit to the X-ray room: a patient, a question, one or more films.

May import: Django, `patients.models`, `diagnosis.querysets`.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from diagnosis.querysets import StudyQuerySet
from patients.history import tracked
from patients.models import Clinic, Patient, User


@tracked()
class Study(models.Model):
    """An examination. `clinic` repeats the patient's clinic so that lists and constraints need no join.

    One that was sent as two is merged: its films and what is said of them are of `merged_into` then, and it stays
    without any, so that its address and its history stay good.
    """

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
    merged_into = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, related_name="+", editable=False, db_index=False
    )

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
            models.CheckConstraint(
                condition=Q(merged_into__isnull=True) | ~Q(merged_into=F("id")), name="study_merged_into_another"
            ),
        ]

    def __str__(self) -> str:
        return f"Study {str(self.id)[:8]}"


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

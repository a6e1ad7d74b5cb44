"""The worklist: one row per study, open until a report is signed, with its place and who reads it now.

May import: Django, `patients.models`, `diagnosis.models.study`, `.prediction`, `diagnosis.querysets`.
"""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from diagnosis.models.model_version import ModelVersion
from diagnosis.models.prediction import Finding
from diagnosis.models.study import Study
from diagnosis.querysets import ReadingQuerySet
from patients.history import tracked
from patients.models import Clinic, User


@tracked(by="study", exclude=["claimed_until", "changed_at", "placed_by"])
class Reading(models.Model):
    """Open, from the arrival of the first film that nobody has read, to the signature, which a trigger notices.

    What the order needs is written when it changes (`diagnosis.services.reading`), never computed for a page:
    emergencies first, then by `stands_at`. `urgency` is 0 to 1, `finding` the one that decided it, `labels` are the
    findings at or above their thresholds, `answered` says that every film has an answer, `placed_by` is the active
    version whose answers were among those that gave the place; empty where there were none of it.

    A claim says who reads the study: by `claimed_by`, since `claimed_at`, held until `claimed_until` unless renewed.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.OneToOneField(Study, on_delete=models.PROTECT, related_name="reading")
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+")
    received_at = models.DateTimeField()
    emergency = models.BooleanField(default=False)
    stands_at = models.DateTimeField()
    urgency = models.FloatField()
    critical = models.BooleanField(default=False)
    answered = models.BooleanField(default=False)
    finding = models.ForeignKey(Finding, on_delete=models.PROTECT, null=True, related_name="+")
    labels = ArrayField(models.CharField(max_length=64), default=list)
    placed_by = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    closed_at = models.DateTimeField(null=True)
    claimed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    claimed_at = models.DateTimeField(null=True)
    claimed_until = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(default=timezone.now, help_text="set by a trigger")

    objects = ReadingQuerySet.as_manager()

    class Meta:
        ordering = ["-emergency", "stands_at", "id"]
        indexes = [
            models.Index(
                fields=["clinic", "-emergency", "stands_at", "id"],
                condition=Q(closed_at__isnull=True),
                name="reading_order",
            ),
            models.Index(fields=["clinic", "received_at"], condition=Q(closed_at__isnull=True), name="reading_waiting"),
            models.Index(
                fields=["clinic"], condition=Q(closed_at__isnull=True, critical=True), name="reading_critical"
            ),
            models.Index(fields=["claimed_by"], condition=Q(claimed_by__isnull=False), name="reading_claimed"),
            models.Index(fields=["clinic", "-closed_at"], condition=Q(closed_at__isnull=False), name="reading_closed"),
            models.Index(fields=["clinic", "-changed_at"], name="reading_changed"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(claimed_by__isnull=True, claimed_at__isnull=True, claimed_until__isnull=True)
                | Q(
                    claimed_by__isnull=False,
                    claimed_at__isnull=False,
                    claimed_until__isnull=False,
                    closed_at__isnull=True,
                ),
                name="reading_claim_whole",
            ),
            models.CheckConstraint(condition=Q(urgency__range=(0, 1)), name="reading_urgency_range"),
        ]

    def __str__(self) -> str:
        return f"Reading {str(self.id)[:8]}"

    @property
    def is_claimed(self) -> bool:
        """Does somebody read it now? A claim without a sign of life runs out."""
        return self.claimed_until is not None and self.claimed_until > timezone.now()


class SavedView(models.Model):
    """A person's own choice of filters of the worklist, under a name. Nothing of a patient is in it."""

    AT_MOST = 12

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=40)
    query = models.CharField(max_length=500)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="saved_view_once")]

    def __str__(self) -> str:
        return self.name

"""Which network speaks, and where its numbers become words.

May import: Django, `patients.models`.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from patients.models import Clinic, User


class ModelVersion(models.Model):
    """A registered model folder. `sha256` is the hash of its weights: a worker refuses any other file."""

    class Status(models.TextChoices):
        SHADOW = "shadow", "Shadow"
        ACTIVE = "active", "Active"
        RETIRED = "retired", "Retired"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    task = models.CharField(max_length=64, default="chest-xray-findings")
    name = models.CharField(max_length=100)
    version = models.CharField(max_length=32)
    sha256 = models.CharField(max_length=64, unique=True)
    card = models.JSONField()
    folder = models.CharField(max_length=255, help_text="Folder name under the model store, or `bundled/…`.")
    status = models.CharField(max_length=8, choices=Status, default=Status.SHADOW)
    approved_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["name", "version"], name="model_name_version"),
            models.UniqueConstraint(fields=["task"], condition=Q(status="active"), name="one_active_per_task"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class OperatingPoint(models.Model):
    """The threshold of one label for one model version, at one clinic or (clinic empty) by default."""

    model_version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="operating_points")
    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    label = models.CharField(max_length=64)
    threshold = models.FloatField()
    chosen_for = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["model_version", "clinic", "label"], nulls_distinct=False, name="operating_point_once"
            ),
            models.CheckConstraint(condition=Q(threshold__gte=0, threshold__lte=1), name="operating_point_range"),
        ]

    def __str__(self) -> str:
        return f"{self.label} ≥ {self.threshold:.2f}"

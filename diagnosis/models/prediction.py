"""What one model version said about one film. Written once, never changed: triggers refuse it.

May import: Django, `diagnosis.models.*`, `diagnosis.querysets`.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from diagnosis.models.model_version import ModelVersion
from diagnosis.models.radiograph import Radiograph
from diagnosis.querysets import FindingQuerySet, PredictionQuerySet


class Prediction(models.Model):
    """One result. `image_sha256` is the hash the worker found inside the model input; together with the
    radiograph it is a foreign key to (radiograph.id, radiograph.sha256), so a result cannot land on another film."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    radiograph = models.ForeignKey(Radiograph, on_delete=models.PROTECT, related_name="predictions")
    image_sha256 = models.CharField(max_length=64)
    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="predictions")
    shadow = models.BooleanField(default=False, help_text="Made on trial: shown to nobody, also not later.")
    engine = models.CharField(max_length=64)
    urgency = models.FloatField(default=0.0, help_text="max of severity × calibrated probability")
    map_key = models.CharField(max_length=128, blank=True, help_text="class-activation maps of all labels")
    timings_ms = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = PredictionQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["-created_at", "-id"], name="prediction_recent")]
        constraints = [
            models.UniqueConstraint(fields=["radiograph", "model_version"], name="prediction_once"),
        ]

    def __str__(self) -> str:
        return f"Prediction {str(self.id)[:8]}"


class Finding(models.Model):
    """One label: the word beside the raw number, the calibrated number and the threshold that applied."""

    class Word(models.TextChoices):
        PRESENT = "present", "Present"
        LIKELY = "likely", "Likely"
        POSSIBLE = "possible", "Possible"
        ABSENT = "absent", "Absent"

    prediction = models.ForeignKey(Prediction, on_delete=models.PROTECT, related_name="findings")
    label = models.CharField(max_length=64)
    probability = models.FloatField()
    calibrated = models.FloatField()
    threshold = models.FloatField()
    word = models.CharField(max_length=8, choices=Word)

    objects = FindingQuerySet.as_manager()

    class Meta:
        ordering = ["-calibrated"]
        constraints = [
            models.UniqueConstraint(fields=["prediction", "label"], name="finding_once"),
            models.CheckConstraint(
                condition=Q(probability__range=(0, 1), calibrated__range=(0, 1), threshold__range=(0, 1)),
                name="finding_ranges",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label}: {self.word}"

"""How films and answers of a clinic are distributed, at first and of late: counts per bin, nothing of a patient.

May import: Django, `patients.models`, `diagnosis.models.model_version`, `diagnosis.querysets`, `mlcore.drift`.
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from diagnosis.models.model_version import ModelVersion
from diagnosis.querysets import DistributionQuerySet
from mlcore.drift import Shift, shift
from patients.models import Clinic


class Distribution(models.Model):
    """One quantity of the films that one model version answered at one clinic: `reference` counts its first films
    there, `last_7` and `last_30` those of the last days that came after them, each in the bins of `bins`.

    A quantity of words has them as bins. One of numbers has the reference's deciles: between `edges` lie the bins, and
    `bins` says their borders. `reference_until` is empty while the reference still grows; then it is written no more.
    `alarm_since` is when the shift of the last seven or thirty days was first found large and beyond chance.
    """

    DAYS = (7, 30)

    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, related_name="+")
    model_version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="+")
    quantity = models.CharField(max_length=72, help_text="An input (`view`, `age`), or `finding:` and a label.")
    bins = ArrayField(models.CharField(max_length=32))
    edges = ArrayField(models.FloatField(), default=list)
    reference = ArrayField(models.PositiveIntegerField())
    reference_until = models.DateTimeField(null=True)
    last_7 = ArrayField(models.PositiveIntegerField())
    last_30 = ArrayField(models.PositiveIntegerField())
    alarm_since = models.DateTimeField(null=True)
    measured_at = models.DateTimeField(db_index=True)

    objects = DistributionQuerySet.as_manager()

    class Meta:
        ordering = ["clinic", "model_version", "quantity"]
        constraints = [
            models.UniqueConstraint(fields=["clinic", "model_version", "quantity"], name="distribution_once"),
        ]
        indexes = [
            models.Index(fields=["alarm_since"], condition=Q(alarm_since__isnull=False), name="distribution_alarm"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} at {self.clinic_id}"

    @property
    def shifts(self) -> dict[int, Shift]:
        """By number of days; too few films while the reference still grows."""
        if self.reference_until is None:
            return {days: Shift(sum(self.reference), 0) for days in self.DAYS}
        return {days: shift(self.reference, getattr(self, f"last_{days}")) for days in self.DAYS}

    @property
    def is_output(self) -> bool:
        return self.quantity.startswith("finding:")

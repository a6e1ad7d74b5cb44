"""How a clinic came by its own thresholds: who proposed which, on how many cases, and who approved it.

May import: Django, `patients.models`, `diagnosis.models.model_version`, `diagnosis.querysets`.
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from diagnosis.models.model_version import ModelVersion
from diagnosis.querysets import ThresholdChangeQuerySet
from patients.models import Clinic, User


class ThresholdChange(models.Model):
    """One step in the life of a clinic's threshold of one label of one model version. Append only.

        card's threshold ─propose─► proposed ─approve, by another─► the clinic's ─restore─► card's threshold
                                        └─decline─► as it was

    What applies now is the clinic's `OperatingPoint`; here stands how it came about. An approval repeats what was
    proposed: threshold, reason, by whom, on how many cases. Another model version has steps of its own.
    """

    class Verb(models.TextChoices):
        PROPOSE = "propose", "Proposed"
        APPROVE = "approve", "Approved"
        DECLINE = "decline", "Declined"
        RESTORE = "restore", "Back to the card's threshold"

    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+")
    label = models.CharField(max_length=64)
    verb = models.CharField(max_length=8, choices=Verb)
    threshold = models.FloatField(help_text="Proposed, approved or declined; of a restoration, the card's.")
    before = models.FloatField(help_text="The threshold that applied at the clinic until then.")
    reason = models.CharField(max_length=300)
    positives = models.PositiveIntegerField(default=0, help_text="Signed cases with the finding, when it was proposed.")
    negatives = models.PositiveIntegerField(default=0, help_text="Signed cases without it, when it was proposed.")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    proposed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ThresholdChangeQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["model_version", "clinic", "label", "-id"], name="threshold_change_newest")]
        constraints = [
            models.CheckConstraint(
                condition=Q(threshold__range=(0, 1), before__range=(0, 1)), name="threshold_change_range"
            ),
            models.CheckConstraint(
                condition=~Q(verb="approve") | (Q(proposed_by__isnull=False) & ~Q(proposed_by=F("user"))),
                name="threshold_two_people",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label} ≥ {self.threshold:.3f}: {self.verb}"

    @property
    def cases(self) -> int:
        return self.positives + self.negatives

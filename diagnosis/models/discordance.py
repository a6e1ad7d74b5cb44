"""Findings on which a confident model and a signed report disagree, and what a second reader made of each.

May import: Django, `patients.models`, `diagnosis.models.report`, `.study`, `.prediction`, `diagnosis.querysets`.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from diagnosis.models.prediction import Finding
from diagnosis.models.report import ReportedFinding
from diagnosis.models.study import Study
from diagnosis.querysets import DiscordanceQuerySet
from patients.history import tracked
from patients.models import Clinic, User


@tracked(by="study")
class Discordance(models.Model):
    """One finding that waits for a second look: one row per answer of the model, written with the signature.

    `finding` is what lay before the signer, with its model version, threshold and word; `decision` is what they said.
    It is never judged anew by thresholds of later. It ends with an `outcome`, by a reader who did not sign.
    """

    class Kind(models.TextChoices):
        MODEL_ONLY = "model_only", "The model is sure, the report says no"
        READER_ONLY = "reader_only", "The report says it, the model is sure it is absent"

    class Outcome(models.TextChoices):
        STANDS = "stands", "The report stands"
        AMEND = "amend", "The report is amended"

    class ModelWas(models.TextChoices):
        RIGHT = "right", "The model was right"
        WRONG = "wrong", "The model was wrong"
        UNSURE = "unsure", "Cannot be decided on these films"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="discordances")
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=12, choices=Kind)
    finding = models.OneToOneField(Finding, on_delete=models.PROTECT, related_name="discordance")
    decision = models.ForeignKey(ReportedFinding, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    looked_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    looked_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=8, choices=Outcome, blank=True, default="")
    model_was = models.CharField(max_length=8, choices=ModelWas, blank=True, default="")
    note = models.CharField(max_length=500, blank=True, default="")

    objects = DiscordanceQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]
        indexes = [
            models.Index(
                fields=["clinic", "created_at"], condition=Q(looked_at__isnull=True), name="discordance_waiting"
            ),
            models.Index(
                fields=["clinic", "-looked_at"], condition=Q(looked_at__isnull=False), name="discordance_closed"
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(looked_at__isnull=True, looked_by__isnull=True, outcome="", model_was="", note="")
                | Q(looked_at__isnull=False, looked_by__isnull=False) & ~Q(outcome=""),
                name="second_look_whole",
            ),
        ]

    def __str__(self) -> str:
        return f"Discordance {str(self.id)[:8]}"

"""What one person asks for and a second one decides: the fields and constraints that such requests share.

May import: Django, `patients.models`, `diagnosis.models.study`.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from diagnosis.models.study import Study
from patients.models import Clinic, User


class StudyRequest(models.Model):
    """Something is to be done with a study. It waits while `outcome` is empty, once per study, and the row stays."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="+")
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=160)
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(default=timezone.now, editable=False)
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=10, blank=True, default="")

    class Meta:
        abstract = True
        ordering = ["asked_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["study"], condition=Q(outcome=""), name="%(class)s_once"),
            models.CheckConstraint(
                condition=Q(outcome="", decided_by__isnull=True, decided_at__isnull=True)
                | Q(decided_by__isnull=False, decided_at__isnull=False) & ~Q(outcome=""),
                name="%(class)s_whole",
            ),
        ]

    def __str__(self) -> str:
        return f"{type(self).__name__} {str(self.id)[:8]}"


def done_by_two(outcome: str, name: str) -> models.CheckConstraint:
    """Whoever asked cannot bring about this outcome."""
    return models.CheckConstraint(condition=~Q(outcome=outcome) | ~Q(decided_by=F("asked_by")), name=name)

"""Films whose picture is no longer kept, and studies whose pictures a clinic wants removed.

May import: Django, `patients.models`, `diagnosis.models.radiograph`, `.study`, `diagnosis.querysets`.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from diagnosis.models.radiograph import Radiograph
from diagnosis.models.study import Study
from diagnosis.querysets import StudyRemovalQuerySet
from patients.history import tracked
from patients.models import Clinic, User


@tracked(by="radiograph")
class FilmExpiry(models.Model):
    """The picture of this film went, when, and by which rule of the clinic, in words. Append only.

    The film's row stays, its `display_key` and `reading_key` are empty. `size` is how many bytes its files had.
    """

    radiograph = models.OneToOneField(Radiograph, on_delete=models.PROTECT, related_name="expiry")
    expired_at = models.DateTimeField(default=timezone.now, editable=False)
    rule = models.CharField(max_length=200)
    size = models.BigIntegerField()

    class Meta:
        verbose_name_plural = "film expiries"

    def __str__(self) -> str:
        return f"Expiry of film {str(self.radiograph_id)[:8]}"


@tracked(by="study")
class StudyRemoval(models.Model):
    """That the pictures of a study go before their time: the clinic's administrator asks, the system administrator
    decides. The row stays, and so do the study, its results and reports."""

    class Outcome(models.TextChoices):
        REMOVED = "removed", "Removed"
        REFUSED = "refused", "Refused"
        WITHDRAWN = "withdrawn", "Withdrawn"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="removals")
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=160)
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(default=timezone.now, editable=False)
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=10, choices=Outcome, blank=True, default="")

    objects = StudyRemovalQuerySet.as_manager()

    class Meta:
        ordering = ["asked_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["study"], condition=Q(outcome=""), name="study_removal_once"),
            models.CheckConstraint(
                condition=Q(outcome="", decided_by__isnull=True, decided_at__isnull=True)
                | Q(decided_by__isnull=False, decided_at__isnull=False) & ~Q(outcome=""),
                name="study_removal_whole",
            ),
            models.CheckConstraint(
                condition=~Q(outcome="removed") | ~Q(decided_by=F("asked_by")), name="study_removal_by_two"
            ),
        ]

    def __str__(self) -> str:
        return f"Removal {str(self.id)[:8]}"

"""That a radiologist took signed reports out of the site as a table: who, of which clinic and days, why, how many.

May import: Django, `patients.models`, `diagnosis.querysets`.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from diagnosis.querysets import ReportExportQuerySet
from patients.models import Clinic, User


class ReportExport(models.Model):
    """One table that left. Append only. Of `first` to `last` (both included) by the clinic's clock, the days on which
    the reports were signed; of one finding where `label` says so. Whose data was in it stands in the audit."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=500)
    first = models.DateField()
    last = models.DateField()
    label = models.CharField(max_length=64, blank=True, default="")
    studies = models.PositiveIntegerField()
    at = models.DateTimeField(default=timezone.now, editable=False)

    #: The finding's name, where a page shows it.
    finding: str

    objects = ReportExportQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [
            models.Index(fields=["clinic", "-at"], name="report_export_of_clinic"),
            models.Index(fields=["user", "-at"], name="report_export_of_user"),
        ]
        constraints = [
            models.CheckConstraint(condition=~Q(reason=""), name="report_export_has_reason"),
            models.CheckConstraint(
                condition=Q(studies__gte=1) & Q(first__lte=F("last")), name="report_export_of_something"
            ),
        ]

    def __str__(self) -> str:
        return f"Export {str(self.id)[:8]}"

"""The doctor's words about a study: preliminary → final → amended. A signed row cannot change.

May import: Django, `patients.models`, `diagnosis.models.study`, `diagnosis.querysets`.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from diagnosis.models.study import Study
from diagnosis.querysets import ReportQuerySet
from patients.history import tracked
from patients.models import User


@tracked(by="study")
class Report(models.Model):
    """One version of the report; an amendment is a new row that supersedes a signed one."""

    class Status(models.TextChoices):
        DRAFT = "draft", "Draft"
        PRELIMINARY = "preliminary", "Preliminary"
        FINAL = "final", "Final"
        AMENDED = "amended", "Amended"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="reports")
    status = models.CharField(max_length=12, choices=Status, default=Status.DRAFT)
    findings = models.JSONField(default=list, blank=True)
    findings_text = models.TextField(blank=True)
    impression = models.TextField(blank=True)
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    signed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    signed_at = models.DateTimeField(null=True, blank=True)
    supersedes = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="superseded_by"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ReportQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["study"], condition=Q(status__in=["draft", "preliminary"]), name="one_live_draft"
            ),
            models.CheckConstraint(
                condition=Q(status__in=["draft", "preliminary"]) | Q(signed_by__isnull=False, signed_at__isnull=False),
                name="signed_has_signer",
            ),
            models.CheckConstraint(
                condition=~Q(status="amended") | Q(supersedes__isnull=False), name="amendment_supersedes"
            ),
        ]

    def __str__(self) -> str:
        return f"Report {str(self.id)[:8]} ({self.status})"

    @property
    def is_signed(self) -> bool:
        return self.status in (self.Status.FINAL, self.Status.AMENDED)

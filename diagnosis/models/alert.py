"""Critical findings that the sending clinic has to acknowledge, and the mails that say that some wait.

May import: Django, `patients.models`, `diagnosis.models.report`, `.study`, `diagnosis.querysets`.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.db import models
from django.db.models import Q
from django.utils import timezone

from diagnosis.models.report import Report
from diagnosis.models.study import Study
from diagnosis.querysets import CriticalAlertQuerySet
from patients.history import tracked
from patients.models import Clinic, Mailed, User


class AlertMail(Mailed):
    """One mail about the critical findings of one study; it names neither. `diagnosis.services.alerts` writes it."""

    class Kind(models.TextChoices):
        RAISED = "raised", "A critical finding waits"
        ESCALATED = "escalated", "Nobody has acknowledged it in time"
        WITHDRAWN = "withdrawn", "A critical finding is withdrawn"

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="+")
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=10, choices=Kind)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["created_at"]
        indexes = [models.Index(fields=["created_at"], condition=Q(mailed_at__isnull=True), name="alert_mail_waiting")]

    def __str__(self) -> str:
        return f"Mail {self.pk} ({self.kind})"


@tracked(by="study")
class CriticalAlert(models.Model):
    """A critical finding that a reader reported: one row per study and label, written with the step that reports it.

        sent ──► seen ──► acknowledged     by the sending clinic, with what was done
          └────────┴────► escalated        after the clinic's `acknowledge_minutes`; it still waits
        any ──► void                       a later report does not say it any more, and why

    `report` is the version that raised it, `raised_by` who took that step, `title` the name of the finding then.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="alerts")
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+")
    report = models.ForeignKey(Report, on_delete=models.PROTECT, related_name="+")
    label = models.CharField(max_length=64)
    title = models.CharField(max_length=100)
    raised_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    mail = models.ForeignKey(AlertMail, on_delete=models.PROTECT, related_name="alerts")
    seen_at = models.DateTimeField(null=True)
    seen_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    escalated_at = models.DateTimeField(null=True)
    escalation_mail = models.ForeignKey(AlertMail, on_delete=models.PROTECT, null=True, related_name="escalations")
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    action_taken = models.CharField(max_length=500, blank=True, default="")
    voided_at = models.DateTimeField(null=True)
    void_reason = models.CharField(max_length=500, blank=True, default="")

    objects = CriticalAlertQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]
        indexes = [
            models.Index(
                fields=["clinic", "created_at"],
                condition=Q(acknowledged_at__isnull=True, voided_at__isnull=True),
                name="alert_open",
            ),
            models.Index(fields=["clinic", "-created_at", "-id"], name="alert_recent"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["study", "label"], condition=Q(voided_at__isnull=True), name="one_alert_per_finding"
            ),
            models.CheckConstraint(
                condition=Q(acknowledged_at__isnull=True, acknowledged_by__isnull=True, action_taken="")
                | Q(acknowledged_at__isnull=False, acknowledged_by__isnull=False) & ~Q(action_taken=""),
                name="acknowledged_says_what_was_done",
            ),
            models.CheckConstraint(
                condition=Q(voided_at__isnull=True, void_reason="") | Q(voided_at__isnull=False) & ~Q(void_reason=""),
                name="void_says_why",
            ),
            models.CheckConstraint(
                condition=Q(escalated_at__isnull=True, escalation_mail__isnull=True)
                | Q(escalated_at__isnull=False, escalation_mail__isnull=False),
                name="escalation_is_mailed",
            ),
        ]

    def __str__(self) -> str:
        return f"Critical alert {str(self.id)[:8]}"

    @property
    def is_open(self) -> bool:
        """Does it wait for somebody to acknowledge it?"""
        return self.acknowledged_at is None and self.voided_at is None

    @property
    def state(self) -> str:
        """`void`, `acknowledged`, `escalated`, `seen` or `sent`: how far it has come."""
        reached = {
            "void": self.voided_at,
            "acknowledged": self.acknowledged_at,
            "escalated": self.escalated_at,
            "seen": self.seen_at,
        }
        return next((state for state, at in reached.items() if at is not None), "sent")

    @property
    def due_at(self) -> datetime:
        """When the clinic's time is up."""
        return self.created_at + timedelta(minutes=self.clinic.acknowledge_minutes)

    @property
    def is_late(self) -> bool:
        return self.is_open and self.due_at <= timezone.now()

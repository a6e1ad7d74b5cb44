"""The doctor's words about a study: draft → preliminary → final → amended. A signed row cannot change.

May import: Django, `patients.models`, `diagnosis.models.*`, `diagnosis.querysets`.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from diagnosis.models.prediction import Finding
from diagnosis.models.study import Study
from diagnosis.querysets import FirstImpressionQuerySet, ReportedFindingQuerySet, ReportQuerySet
from patients.history import tracked
from patients.models import User


@tracked(by="study")
class Report(models.Model):
    """One version of the report; an amendment is a new row that supersedes a signed one, which stays as it was.

        draft ──► preliminary ──► final       a first report
        draft ──► preliminary ──► amended     one that supersedes, with its reason

    `version` counts the changes of a live draft, so that a page that is behind is refused. `drafted_text` is what was
    last drafted from the decided findings: while `findings_text` equals it, nobody has edited.
    """

    class Status(models.TextChoices):
        DRAFT = "draft", "Draft"
        PRELIMINARY = "preliminary", "Preliminary"
        FINAL = "final", "Final"
        AMENDED = "amended", "Amended"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="reports")
    status = models.CharField(max_length=12, choices=Status, default=Status.DRAFT)
    version = models.PositiveIntegerField(default=0, db_default=0)
    findings_text = models.TextField(blank=True)
    drafted_text = models.TextField(blank=True, default="", db_default="")
    impression = models.TextField(blank=True)
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    preliminary_at = models.DateTimeField(null=True, blank=True)
    signed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    signed_at = models.DateTimeField(null=True, blank=True)
    registration_number = models.CharField(
        max_length=64, blank=True, default="", db_default="", help_text="The signer's, as it was at the signature."
    )
    supersedes = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="superseded_by"
    )
    amendment_reason = models.CharField(max_length=500, blank=True, default="", db_default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ReportQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="report_recent"),
            models.Index(fields=["signed_at"], condition=Q(signed_at__isnull=False), name="report_signed"),
            models.Index(
                fields=["preliminary_at"], condition=Q(preliminary_at__isnull=False), name="report_preliminary"
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["study"], condition=Q(status__in=["draft", "preliminary"]), name="one_live_draft"
            ),
            models.UniqueConstraint(fields=["study"], condition=Q(status="final"), name="one_final_report"),
            models.CheckConstraint(
                condition=Q(status__in=["draft", "preliminary"]) | Q(signed_by__isnull=False, signed_at__isnull=False),
                name="signed_has_signer",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["draft", "preliminary"]) | ~Q(registration_number=""),
                name="signed_has_registration",
            ),
            models.CheckConstraint(
                condition=~Q(status="preliminary") | Q(preliminary_at__isnull=False), name="preliminary_has_time"
            ),
            models.CheckConstraint(
                condition=~Q(status="amended") | Q(supersedes__isnull=False), name="amendment_supersedes"
            ),
            models.CheckConstraint(
                condition=Q(supersedes__isnull=True) | (~Q(status="final") & ~Q(amendment_reason="")),
                name="amendment_has_reason",
            ),
        ]

    def __str__(self) -> str:
        return f"Report {str(self.id)[:8]} ({self.status})"

    @property
    def is_signed(self) -> bool:
        return self.status in (self.Status.FINAL, self.Status.AMENDED)


@tracked(by="report")
class ReportedFinding(models.Model):
    """What a report says about one label, beside what the model had said: one row per report and label.

        verdict     model    reader
        accepted    yes      yes       true positive
        rejected    yes      no        false positive, with a reason
        added       no       yes       false negative; without a `finding` the model does not know the label
        absent      no       no        true negative, written when the report is signed

    So every figure of agreement is a count over the verdicts of signed reports. `finding` is the model's answer that
    was decided on: of several films the one that speaks loudest. Of the study as a whole, not of a film.
    """

    class Verdict(models.TextChoices):
        ACCEPTED = "accepted", "Accepted"
        REJECTED = "rejected", "Rejected"
        ADDED = "added", "Added"
        ABSENT = "absent", "Absent"

    class Reason(models.TextChoices):
        """Why an answer of the model is rejected."""

        NO_CORRELATE = "no_correlate", "Nothing to see there"
        NORMAL_VARIANT = "normal_variant", "Normal anatomy or variant"
        ARTEFACT = "artefact", "Artefact, device or overlap"
        OTHER_FINDING = "other_finding", "Another finding explains it"
        OLD_CHANGE = "old_change", "Old, known change"
        NOT_DECIDABLE = "not_decidable", "Cannot be decided on this film"

    report = models.ForeignKey(Report, on_delete=models.PROTECT, related_name="decisions")
    label = models.CharField(max_length=64)
    verdict = models.CharField(max_length=8, choices=Verdict)
    reason = models.CharField(max_length=16, choices=Reason, blank=True, default="")
    finding = models.ForeignKey(Finding, on_delete=models.PROTECT, null=True, related_name="+")
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(default=timezone.now)

    objects = ReportedFindingQuerySet.as_manager()

    class Meta:
        ordering = ["label"]
        constraints = [
            models.UniqueConstraint(fields=["report", "label"], name="reported_finding_once"),
            models.CheckConstraint(
                condition=Q(verdict="rejected") & ~Q(reason="") | ~Q(verdict="rejected") & Q(reason=""),
                name="rejected_has_reason",
            ),
            models.CheckConstraint(
                condition=Q(verdict="added") | Q(finding__isnull=False), name="verdict_on_a_finding"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label}: {self.verdict}"

    @property
    def is_present(self) -> bool:
        """Does the reader say that it is there?"""
        return self.verdict in (self.Verdict.ACCEPTED, self.Verdict.ADDED)


class FirstImpression(models.Model):
    """What a reader thought before the model's answer was shown to them (`Clinic.read_first`). Written once."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="first_impressions")
    reader = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    text = models.TextField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = FirstImpressionQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["study", "reader"], name="first_impression_once")]

    def __str__(self) -> str:
        return f"First impression of study {str(self.study_id)[:8]}"

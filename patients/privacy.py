"""What a patient agreed to, and the rules by which a clinic uses and keeps its films. `patients.models` hands them on.

May import: Django, `patients.history`, `patients.querysets`. The rule that follows from the rows is one expression,
`patients.querysets.consent_permits`; docs/consent.md says it in words.
"""

from __future__ import annotations

import uuid

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from patients.history import tracked
from patients.querysets import ConsentQuerySet


@tracked(by="patient")
class Consent(models.Model):
    """One decision of a patient about one purpose. Append only: a withdrawal is a later row that denies.

    In the words of FHIR's Consent: `decision` permits or denies, `purpose` is the provision's, `given_on` its date.
    `text_version` names the text that the patient was shown or read. Of a purpose the decision of the latest day holds,
    and of one day the one recorded last.
    """

    class Purpose(models.TextChoices):
        CARE = "care", "Care"
        AI_ASSISTANCE = "ai_assistance", "AI assistance"
        TRAINING = "training", "Training of models"

    class Decision(models.TextChoices):
        PERMIT = "permit", "Agrees"
        DENY = "deny", "Does not agree"

    class How(models.TextChoices):
        WRITTEN = "written", "In writing"
        VERBAL = "verbal", "By word of mouth"
        GUARDIAN = "guardian", "By parent or guardian"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    patient = models.ForeignKey("patients.Patient", on_delete=models.PROTECT, related_name="consents")
    clinic = models.ForeignKey("patients.Clinic", on_delete=models.PROTECT, related_name="+")
    purpose = models.CharField(max_length=16, choices=Purpose)
    decision = models.CharField(max_length=8, choices=Decision)
    given_on = models.DateField()
    given_how = models.CharField(max_length=8, choices=How)
    text_version = models.CharField(max_length=64)
    recorded_by = models.ForeignKey("patients.User", on_delete=models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField(default=timezone.now, editable=False)

    #: Did the patient agree before, and no longer? Known where `patients.consents.consents_read` has read them all.
    withdraws: bool

    objects = ConsentQuerySet.as_manager()

    class Meta:
        ordering = ["-given_on", "-recorded_at"]
        indexes = [models.Index(fields=["patient", "purpose", "-given_on", "-recorded_at"], name="consent_newest")]

    def __str__(self) -> str:
        return f"Consent {str(self.id)[:8]}"

    @property
    def permits(self) -> bool:
        return self.decision == self.Decision.PERMIT


@tracked(by="clinic")
class DataPolicy(models.Model):
    """A clinic's own rules; a clinic without a row has the defaults.

    `implied_consent` is what a patient of whom nothing is recorded counts as agreeing to. Training is never implied.
    `keep_years` is for the files of films only: results, reports and audit stay (`diagnosis.services.retention`).
    """

    class Implied(models.TextChoices):
        CARE_AND_AI = "care_and_ai", "Care and AI assistance"
        CARE = "care", "Care"
        NOTHING = "nothing", "Nothing"

    clinic = models.OneToOneField("patients.Clinic", on_delete=models.PROTECT, related_name="data_policy")
    implied_consent = models.CharField(
        max_length=12,
        choices=Implied,
        default=Implied.CARE_AND_AI,
        help_text="What patients count as agreeing to while nothing is recorded of them. Never the training of models.",
    )

    keep_years = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="How long films are kept; of children this long after they come of age. Empty: for ever.",
    )

    class Meta:
        verbose_name_plural = "data policies"

    def __str__(self) -> str:
        return f"Rules of {self.clinic}"


@tracked(by="patient")
class LegalHold(models.Model):
    """A patient's films are not to expire, or may again. Append only; the row recorded last holds."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    patient = models.ForeignKey("patients.Patient", on_delete=models.PROTECT, related_name="legal_holds")
    clinic = models.ForeignKey("patients.Clinic", on_delete=models.PROTECT, related_name="+")
    holds = models.BooleanField()
    reason = models.CharField(max_length=500)
    recorded_by = models.ForeignKey("patients.User", on_delete=models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-recorded_at"]
        indexes = [models.Index(fields=["patient", "-recorded_at"], name="legal_hold_newest")]

    def __str__(self) -> str:
        return f"Legal hold {str(self.id)[:8]}"


#: What each rule does not imply; without a rule training alone is not implied.
NOT_IMPLIED: dict[str, tuple[str, ...]] = {
    Consent.Purpose.CARE: (DataPolicy.Implied.NOTHING,),
    Consent.Purpose.AI_ASSISTANCE: (DataPolicy.Implied.CARE, DataPolicy.Implied.NOTHING),
}

"""How a clinic writes its reports. May import: Django, `patients.models`, `diagnosis.phrases`."""

from __future__ import annotations

from django.db import models

from diagnosis.phrases import LANGUAGES
from patients.history import tracked
from patients.models import Clinic


@tracked(by="clinic")
class ReportSettings(models.Model):
    """The language of a clinic's reports on paper and of the sentences that are drafted, and its own sentences:
    language → label of a finding, or `normal` → text. A clinic without a row writes English, in the usual words."""

    clinic = models.OneToOneField(Clinic, on_delete=models.PROTECT, primary_key=True, related_name="report_settings")
    language = models.CharField(
        max_length=8, choices=[(code, phrases.name) for code, phrases in LANGUAGES.items()], default="en"
    )
    texts = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name_plural = "report settings"

    def __str__(self) -> str:
        return f"Reports of {self.clinic}"

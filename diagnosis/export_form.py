"""Of which clinic, days and finding reports are to be taken out, and why. May import: Django, `diagnosis.forms`,
`.sentences`, `.services.report_export`, `.worklist`, `patients`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms

from diagnosis.forms import StyledForm
from diagnosis.sentences import TITLES
from diagnosis.services.report_export import REASON_LEAST
from diagnosis.worklist import labels_to_choose
from patients.access import Action
from patients.audit import REASON_LIMIT
from patients.forms import LineField, offer_clinics
from patients.models import Clinic, User

DAYS = 7
DAYS_AT_MOST = 366


def findings() -> dict[str, str]:
    """label → name of what a report can speak of, by name: one query."""
    known = TITLES | dict(labels_to_choose())
    return dict(sorted(known.items(), key=lambda each: each[1]))


def _day(label: str) -> forms.DateField:
    return forms.DateField(label=label, widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}))


class ExportForm(StyledForm):
    """Its cleaned data are the arguments of `report_export`, without the user."""

    only_clinic: Clinic | None
    clinic = forms.ModelChoiceField(Clinic.objects.none(), empty_label=None)
    first = _day("Signed from")
    last = _day("to")
    label = forms.ChoiceField(required=False, label="Finding")
    reason = LineField(
        limit=REASON_LIMIT,
        label="What it is for",
        help_text="One sentence without a patient's name. The clinic's administrator and the patients' access reports "
        "show it.",
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer_clinics(self, user, Action.EXPORT_REASONED)
        self.fields["label"].choices = [("", "All findings"), *findings().items()]
        self.fields["reason"].widget.attrs["minlength"] = REASON_LEAST
        today = max(clinic.today for clinic in self.fields["clinic"].queryset)
        self.initial |= {"first": today - timedelta(days=DAYS - 1), "last": today}

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if self.errors:
            return given
        first, last = given["first"], given["last"]
        if last > given["clinic"].today:
            self.add_error("last", "This day has not come yet.")
        elif first > last:
            self.add_error("first", "This is after the last day.")
        elif (last - first).days >= DAYS_AT_MOST:
            self.add_error("first", f"Choose {DAYS_AT_MOST} days at most.")
        return given

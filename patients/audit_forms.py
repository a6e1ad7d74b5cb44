"""What to look for in the audit. May import: Django, `patients.audit_read`, `patients.forms`, `patients.models`."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import QuerySet

from patients.audit_read import VERBS
from patients.forms import LineField
from patients.models import Clinic, User


def _select() -> forms.Select:
    return forms.Select(attrs={"class": "form-select"})


def _day(label: str) -> forms.DateField:
    widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", "class": "form-control"})
    return forms.DateField(required=False, label=label, widget=widget)


class PeriodForm(forms.Form):
    """From one day to another, both included."""

    date_from = _day("From")
    date_to = _day("To")


class AuditForm(PeriodForm):
    """Whose deeds, of which kind, about whom, when."""

    field_order = ("person", "verb", "date_from", "date_to", "patient")

    person = forms.ModelChoiceField(
        User.objects.none(),
        required=False,
        empty_label="Everybody",
        widget=_select(),
    )
    verb = forms.ChoiceField(
        required=False,
        label="What",
        choices=[("", "Everything"), *VERBS.items()],
        widget=_select(),
    )
    patient = forms.UUIDField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, clinics: QuerySet[Clinic], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = User.objects.filter(memberships__clinic__in=clinics).distinct().order_by("last_name", "username")
        self.fields["person"].queryset = people
        self.fields["person"].label_from_instance = lambda user: user.display_name


class NumberForm(forms.Form):
    """A patient's number, exactly as the clinic writes it. It travels in the body, never in an address."""

    number = LineField(limit=64, label="Patient's number")

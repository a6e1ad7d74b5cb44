"""Of which clinic, reader and period the numbers are asked for. May import: Django, `diagnosis.forms`, `.numbers`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django import forms

from diagnosis.forms import StyledForm
from diagnosis.numbers import Scope, readers_of
from patients.models import Clinic

DAYS = 30
DAYS_AT_MOST = 366


class NumbersForm(StyledForm):
    """Empty fields stand for all of one's clinics, everybody, and the last thirty days until today."""

    clinic = forms.TypedChoiceField(required=False, coerce=UUID, empty_value=None)
    reader = forms.ModelChoiceField(queryset=None, required=False, empty_label="Everybody")
    date_from = forms.DateField(
        required=False, label="From", widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
    )
    date_to = forms.DateField(
        required=False, label="To", widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
    )

    def __init__(self, *args: Any, clinics: Sequence[Clinic], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.clinics = clinics
        self.today = max(clinic.today for clinic in clinics)
        self.fields["clinic"].choices = [("", "All my clinics"), *((str(each.pk), each.name) for each in clinics)]
        if len(clinics) < 2:
            del self.fields["clinic"]
        reader = self.fields["reader"]
        reader.queryset = readers_of(clinics)
        reader.label_from_instance = lambda user: user.display_name

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if self.errors:
            return given
        last = given.get("date_to") or self.today
        first = given.get("date_from") or self._before(last, DAYS)
        if last > self.today:
            self.add_error("date_to", "This day has not come yet.")
        elif first > last:
            self.add_error("date_from", "This is after the last day.")
        elif (last - first).days >= DAYS_AT_MOST:
            self.add_error("date_from", f"Choose {DAYS_AT_MOST} days at most.")
        return given | {"date_from": first, "date_to": last}

    def scope(self) -> Scope:
        """What is asked for; where the form is wrong, what an empty one asks for."""
        given = self.cleaned_data if self.is_valid() else {}
        wanted = given.get("clinic")
        return Scope(
            clinics=[clinic for clinic in self.clinics if wanted in (None, clinic.pk)],
            first=given.get("date_from") or self._before(self.today, DAYS),
            last=given.get("date_to") or self.today,
            reader=given.get("reader"),
        )

    @staticmethod
    def _before(last: date, days: int) -> date:
        """The first of so many days; the calendar has a beginning."""
        return last - timedelta(days=min(days - 1, (last - date.min).days))

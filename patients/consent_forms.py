"""The form by which a patient's decisions are recorded. It checks shape; `patients.consents` checks meaning.

May import: Django, `patients.forms`, `patients.models`.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from patients.errors import ApplicationError
from patients.forms import LineField
from patients.models import Consent

#: What each purpose asks, as it is read out to a patient.
QUESTIONS = {
    Consent.Purpose.CARE: "X-ray films are taken, kept and read here",
    Consent.Purpose.AI_ASSISTANCE: "A computer model reads the films as a second look",
    Consent.Purpose.TRAINING: "Films and reports, without name, number or date, teach computer models",
}


class ConsentForm(forms.Form):
    """One sheet: a decision or none for each purpose, the day, the way, and the version of the text."""

    given_on = forms.DateField(
        label="Decided on", widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", "class": "form-control"})
    )
    given_how = forms.ChoiceField(label="How", choices=Consent.How, widget=forms.Select(attrs={"class": "form-select"}))
    text_version = LineField(limit=64, label="Version of the text", help_text="As it stands on the clinic's sheet.")

    def __init__(self, *args: Any, today: date, **kwargs: Any) -> None:
        super().__init__(*args, initial={"given_on": today}, auto_id="consent_%s", **kwargs)
        self.fields["given_on"].widget.attrs["max"] = today.isoformat()
        for purpose in Consent.Purpose:
            self.fields[purpose.value] = forms.ChoiceField(
                label=purpose.label,
                required=False,
                choices=[*Consent.Decision.choices, ("", "No change")],
                widget=forms.RadioSelect(attrs={"class": "form-check-input"}),
                help_text=QUESTIONS[purpose],
            )

    @property
    def purposes(self) -> list[Any]:
        return [self[purpose.value] for purpose in Consent.Purpose]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if not any(values.get(purpose.value) for purpose in Consent.Purpose):
            raise ValidationError("Choose “Agrees” or “Does not agree” for at least one purpose.", code="required")
        return values

    def recorded(self) -> dict[str, Any]:
        """The arguments of `consents_record`, without user and patient."""
        values = dict(self.cleaned_data)
        decisions = {purpose.value: values.pop(purpose.value) for purpose in Consent.Purpose}
        return values | {"decisions": {purpose: said for purpose, said in decisions.items() if said}}

    def refuse(self, error: ApplicationError) -> None:
        """Show a refusal of the service beside its field."""
        named = error.params.get("field")
        for field, sentences in (error.fields or {named: [error.detail]}).items():
            self.add_error(field if field in self.fields else None, sentences)

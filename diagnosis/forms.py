"""The forms of the flow: sending a film, narrowing the worklist. They check shape; services check meaning.

May import: Django, `diagnosis.models`, `diagnosis.selectors`, `diagnosis.wording`, `patients.models`.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import QuerySet

from diagnosis.models import Finding, Radiograph, Study
from diagnosis.selectors import referring_doctors
from diagnosis.wording import SIGNS
from patients.models import Clinic, User

VIEWS = [("unknown", "Not sure"), ("PA", "PA – from behind, standing"), ("AP", "AP – from the front, lying or sitting")]
URGENCIES = [("routine", "Routine"), ("urgent", "Urgent"), ("emergency", "Emergency")]


class StyledForm(forms.Form):
    """Every visible field carries Bootstrap's class, and says so when it is wrong."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            if isinstance(field.widget, forms.CheckboxInput):
                css = "form-check-input"
            else:
                css = "form-select" if isinstance(field.widget, forms.Select) else "form-control"
            invalid = " is-invalid" if self.is_bound and name in self.errors else ""
            field.widget.attrs["class"] = css + invalid


class FilmForm(StyledForm):
    """One more film of a study that exists: only how it was taken. The file itself is checked by intake."""

    view = forms.ChoiceField(choices=VIEWS, required=False, initial=Radiograph.View.UNKNOWN, label="How was it taken?")
    idempotency_key = forms.CharField(widget=forms.HiddenInput, max_length=255, required=False)

    def details(self) -> dict[str, Any]:
        """The arguments for intake, empty ones left out."""
        return {name: value for name, value in self.cleaned_data.items() if value and name != "idempotency_key"}


class SendForm(FilmForm):
    """A new study with its first film."""

    field_order = ["view", "urgency", "referring_doctor", "indication", "accession_number"]

    urgency = forms.ChoiceField(choices=URGENCIES, required=False, initial=Study.Urgency.ROUTINE)
    indication = forms.CharField(
        required=False,
        max_length=500,
        label="Why was the film taken?",
        widget=forms.TextInput(attrs={"placeholder": "Cough and fever for five days", "autocomplete": "off"}),
    )
    accession_number = forms.CharField(
        required=False, max_length=64, label="Accession number", widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    referring_doctor = forms.ModelChoiceField(queryset=User.objects.none(), required=False, empty_label="Nobody named")

    def __init__(self, *args: Any, clinic: Clinic, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        doctor_field = self.fields["referring_doctor"]
        doctor_field.queryset = referring_doctors(clinic)
        doctor_field.label_from_instance = lambda user: user.get_full_name() or user.get_username()


class PatientSearchForm(StyledForm):
    """Whose film is it? The query is a name or a number and travels in the body, never in an address."""

    query = forms.CharField(required=False, max_length=200, label="Patient's name or number")


class WorklistForm(StyledForm):
    """Which films to list. Its cleaned data are the filters of `selectors.worklist`."""

    progress = forms.ChoiceField(
        required=False, label="State", choices=[("", "All states"), *((key, word) for key, (_, word) in SIGNS.items())]
    )
    clinic = forms.ModelChoiceField(queryset=Clinic.objects.none(), required=False, empty_label="All my clinics")
    word = forms.ChoiceField(required=False, label="A finding is", choices=[("", "Any"), *Finding.Word.choices])
    date_from = forms.DateField(required=False, label="From", widget=forms.DateInput(attrs={"type": "date"}))
    date_to = forms.DateField(required=False, label="To", widget=forms.DateInput(attrs={"type": "date"}))
    mine = forms.BooleanField(required=False, label="Only films I sent")

    def __init__(self, *args: Any, clinics: QuerySet[Clinic], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["clinic"].queryset = clinics
        if len(clinics) < 2:
            del self.fields["clinic"]


class ReportForm(forms.Form):
    """What the reading page sends along with every change: the draft and version it shows, and the texts."""

    report = forms.UUIDField(required=False)
    version = forms.IntegerField(min_value=0, max_value=2**31 - 1)
    findings_text = forms.CharField(required=False, strip=False)
    impression = forms.CharField(required=False, strip=False)

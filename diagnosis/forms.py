"""The forms of the flow: sending a film, narrowing the lists. They check shape; services check meaning.

May import: Django, `diagnosis.models`, `.selectors`, `.wording`, `.worklist`, `patients.models`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django import forms

from diagnosis.models import Discordance, Finding, Radiograph, Study
from diagnosis.selectors import referring_doctors
from diagnosis.wording import SIGNS
from diagnosis.worklist import STATES
from patients.models import Clinic, User

VIEWS = [("unknown", "Not sure"), ("PA", "PA – from behind, standing"), ("AP", "AP – from the front, lying or sitting")]
URGENCIES = [("routine", "Routine"), ("urgent", "Urgent"), ("emergency", "Emergency")]


class StyledForm(forms.Form):
    """Every visible field carries Bootstrap's class, and says so when it is wrong."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if isinstance(field.widget, forms.CheckboxInput):
                css = "form-check-input"
            else:
                css = "form-select" if isinstance(field.widget, forms.Select) else "form-control"
            field.widget.attrs["class"] = css

    def full_clean(self) -> None:
        """Only now, and not at the beginning: a form that has choices of its own gets them after it was made."""
        super().full_clean()
        for name in self.errors.keys() & self.fields.keys():
            attrs = self.fields[name].widget.attrs
            attrs["class"] = f"{attrs.get('class', '')} is-invalid".strip()  # a hidden one carries none


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
        doctor_field.label_from_instance = lambda user: user.display_name


class PatientSearchForm(StyledForm):
    """Whose film is it? The query is a name or a number and travels in the body, never in an address."""

    query = forms.CharField(required=False, max_length=200, label="Patient's name or number")


def _clinics_offer(form: forms.Form, clinics: Sequence[Clinic]) -> None:
    """Let a form choose among several clinics; of one there is nothing to choose."""
    if len(clinics) > 1:
        form.fields["clinic"].choices = [("", "All my clinics"), *((str(each.pk), each.name) for each in clinics)]
    else:
        del form.fields["clinic"]


class WorklistForm(StyledForm):
    """Which unread studies to list. Its cleaned data are the filters of `worklist.worklist_page`."""

    clinic = forms.TypedChoiceField(required=False, coerce=UUID, empty_value=None)
    label = forms.ChoiceField(required=False, label="Finding")
    state = forms.ChoiceField(required=False, label="State", choices=[("", "All unread"), *STATES.items()])
    age_from = forms.IntegerField(required=False, min_value=0, max_value=130, label="Age from")
    age_to = forms.IntegerField(required=False, min_value=0, max_value=130, label="to")
    date_from = forms.DateField(required=False, label="Received from", widget=forms.DateInput(attrs={"type": "date"}))
    date_to = forms.DateField(required=False, label="to", widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(
        self, *args: Any, clinics: Sequence[Clinic], labels: Sequence[tuple[str, str]] = (), **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.fields["label"].choices = [("", "Any or none"), *labels]
        _clinics_offer(self, clinics)


class SavedViewForm(StyledForm):
    """A name for the filters that are set now."""

    name = forms.CharField(max_length=40, label="Name of this view", widget=forms.TextInput({"autocomplete": "off"}))
    query = forms.CharField(max_length=500, required=False, widget=forms.HiddenInput)


class FilmListForm(StyledForm):
    """Which films to list. Its cleaned data are the filters of `selectors.film_list`."""

    progress = forms.ChoiceField(
        required=False, label="State", choices=[("", "All states"), *((key, word) for key, (_, word) in SIGNS.items())]
    )
    clinic = forms.TypedChoiceField(required=False, coerce=UUID, empty_value=None)
    word = forms.ChoiceField(required=False, label="A finding is", choices=[("", "Any"), *Finding.Word.choices])
    date_from = forms.DateField(required=False, label="From", widget=forms.DateInput(attrs={"type": "date"}))
    date_to = forms.DateField(required=False, label="To", widget=forms.DateInput(attrs={"type": "date"}))
    mine = forms.BooleanField(required=False, label="Only films I sent")

    def __init__(self, *args: Any, clinics: Sequence[Clinic], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _clinics_offer(self, clinics)


class SecondLookFilterForm(StyledForm):
    """Which closed second looks to list. Its cleaned data are the filters of `second_look.discordances_closed`."""

    outcome = forms.ChoiceField(required=False, label="Outcome", choices=[("", "Any"), *Discordance.Outcome.choices])
    model_was = forms.ChoiceField(required=False, label="Model", choices=[("", "Any"), *Discordance.ModelWas.choices])
    kind = forms.ChoiceField(required=False, label="Disagreement", choices=[("", "Both"), *Discordance.Kind.choices])


class ReportForm(forms.Form):
    """What the reading page sends along with every change: the draft and version it shows, and the texts."""

    report = forms.UUIDField(required=False)
    version = forms.IntegerField(min_value=0, max_value=2**31 - 1)
    findings_text = forms.CharField(required=False, strip=False)
    impression = forms.CharField(required=False, strip=False)

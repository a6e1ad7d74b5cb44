"""Forms of the patient pages. They read what was typed; the rules live in `patients.text` and the services.

May import: Django, `patients.models`, `patients.access`, `patients.text`.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from patients import access
from patients.access import Action
from patients.errors import ApplicationError
from patients.models import Clinic, Patient, User
from patients.text import clean_text


class LineField(forms.CharField):
    """One line of text of at most `limit` characters under the rules of `clean_text`."""

    def __init__(self, *, limit: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.limit = limit
        self.validators = []
        self.widget.attrs |= {"maxlength": limit, "class": "form-control", "autocomplete": "off"}

    def clean(self, value: Any) -> str:
        text = super().clean(value)
        try:
            return clean_text(text, field=self.label or "text", limit=self.limit)
        except ApplicationError as error:
            raise ValidationError(error.detail, code=error.code) from error


class YearField(forms.IntegerField):
    """A year of birth; which years are possible is the service's rule."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(label="Birth year", required=False, widget=forms.TextInput, **kwargs)
        self.widget.attrs |= {"class": "form-control", "inputmode": "numeric", "maxlength": 4, "autocomplete": "off"}


class SearchForm(forms.Form):
    """What to look for in the list of patients."""

    only_clinic: Clinic | None
    query = LineField(limit=200, label="Name or number", required=False)
    birth_year = YearField()
    clinic = forms.ModelChoiceField(Clinic.objects.none(), required=False, empty_label="All my clinics")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer_clinics(self, user, Action.PATIENT_VIEW)


class PatientForm(forms.Form):
    """What is known about a person."""

    name = LineField(limit=200, label="Name")
    birth_date = forms.DateField(
        label="Birth date",
        required=False,
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", "class": "form-control"}),
    )
    birth_year = YearField(help_text="Enough where the date is not known.")
    sex = forms.ChoiceField(choices=Patient.Sex, widget=forms.Select(attrs={"class": "form-select"}))
    phone = LineField(limit=32, label="Phone", required=False)
    abha_number = LineField(limit=32, label="ABHA number", required=False, help_text="Fourteen digits.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("initial", {}).setdefault("sex", Patient.Sex.UNKNOWN)
        super().__init__(*args, **kwargs)

    def refuse(self, error: ApplicationError) -> None:
        """Show a refusal of the service beside the field that it names; what the form cannot mend is raised again."""
        if error.status not in (400, 409):
            raise error
        named = error.params.get("field")
        for field, sentences in (error.fields or {named: [error.detail]}).items():
            self.add_error(field if field in self.fields else None, sentences)


class PatientNewForm(PatientForm):
    """A person to be registered: where, and by which number the clinic knows them."""

    only_clinic: Clinic | None
    clinic = forms.ModelChoiceField(Clinic.objects.none(), empty_label=None)
    system = LineField(limit=64, label="Kind of number", required=False, initial="MRN")
    value = LineField(limit=64, label="Number", required=False, help_text="As it stands on the clinic's card or file.")

    field_order = ("clinic", "name")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer_clinics(self, user, Action.PATIENT_CREATE)

    def refuse(self, error: ApplicationError) -> None:
        if error.code == "identifier_taken" and error.params["system"] != "ABHA":
            error = ApplicationError("invalid_input", fields={"value": [error.detail]})
        super().refuse(error)

    def registration(self) -> dict[str, Any]:
        """The arguments of `patient_register` and `patient_duplicates`, without user."""
        values = dict(self.cleaned_data)
        system, value = values.pop("system"), values.pop("value")
        return values | {"identifiers": [{"system": system, "value": value}] if value else []}


class IdentifierForm(forms.Form):
    """One more number of a known patient."""

    system = LineField(limit=64, label="Kind of number", initial="MRN")
    value = LineField(limit=64, label="Number")


def offer_clinics(form: Any, user: User, action: Action) -> None:
    """The clinics where the user may do `action`; the choice disappears where there is no choice."""
    field = form.fields["clinic"]
    clinics = Clinic.objects.filter(id__in=access.clinic_ids(user, action)).order_by("name")
    field.queryset = clinics
    field.widget.attrs["class"] = "form-select"
    form.only_clinic = clinics[0] if len(clinics) == 1 else None
    if form.only_clinic:
        field.initial = form.only_clinic
        field.widget = forms.HiddenInput()

"""Forms of the pages where a clinic's administrator keeps people and programs. The rules live in `patients.members`.

May import: Django, `patients.forms`, `patients.models`, `patients.access`.
"""

from __future__ import annotations

from typing import Any

from django import forms

from patients.access import Action
from patients.errors import ApplicationError
from patients.forms import LineField, offer_clinics
from patients.models import Clinic, Role, User
from patients.policy import Scope

ROLE_HELP = {
    Role.OPERATOR: "registers patients, sends films, follows them",
    Role.RADIOGRAPHER: "the same, and asks for corrections",
    Role.RADIOLOGIST: "sees every film and result, writes and signs reports",
    Role.REFERRING_DOCTOR: "sees what was referred to them, once it is signed",
    Role.CLINIC_ADMIN: "keeps people and programs, reads the audit, sees no patient",
}
SCOPE_HELP = {
    Scope.PATIENT_WRITE: "register patients",
    Scope.STUDY_UPLOAD: "send films for patients it registered",
    Scope.IMAGE_READ: "read the pictures of films it sent",
}


class RefusableForm(forms.Form):
    """A form that shows a refusal of the service beside the field that it names."""

    def refuse(self, error: ApplicationError) -> None:
        """What the form cannot mend is raised again."""
        if error.status not in (400, 409):
            raise error
        named = {"username_taken": "username"}.get(error.code, error.params.get("field"))
        for field, sentences in (error.fields or {named: [error.detail]}).items():
            self.add_error(field if field in self.fields else None, sentences)


class RolesForm(RefusableForm):
    """What a person is at the clinic."""

    roles = forms.MultipleChoiceField(
        choices=[(role.value, f"{role.label}: {ROLE_HELP[role]}") for role in Role.of_people()],
        widget=forms.CheckboxSelectMultiple(attrs={"class": "form-check-input"}),
        error_messages={"required": "Choose at least one role."},
    )
    registration_number = LineField(
        limit=64,
        required=False,
        label="Registration number",
        help_text="Of the medical register. A radiologist needs it to sign reports, and it stands on them.",
    )


class PersonForm(RolesForm):
    """Somebody who begins to work at the clinic."""

    only_clinic: Clinic | None
    clinic = forms.ModelChoiceField(Clinic.objects.none(), empty_label=None)
    first_name = LineField(limit=150, label="First name")
    last_name = LineField(limit=150, label="Last name", required=False)
    username = LineField(limit=150, label="Username", help_text="With which they sign in. It cannot be changed later.")
    email = LineField(limit=254, label="E-mail", required=False)

    field_order = ("clinic", "first_name", "last_name", "username", "email", "roles", "registration_number")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].widget.attrs["autocapitalize"] = "none"
        offer_clinics(self, user, Action.MEMBER_MANAGE)


class ScopesForm(RefusableForm):
    """What an API client may do beyond reading what it created."""

    scopes = forms.MultipleChoiceField(
        choices=[(scope.value, f"{scope.value}: {SCOPE_HELP[scope]}") for scope in Scope],
        widget=forms.CheckboxSelectMultiple(attrs={"class": "form-check-input"}),
        required=False,
        label="It may",
    )


class ClientForm(ScopesForm):
    """A program that begins to send films."""

    only_clinic: Clinic | None
    clinic = forms.ModelChoiceField(Clinic.objects.none(), empty_label=None)
    name = LineField(limit=150, label="Name", help_text="Which program, on which machine: “PACS gateway, ward 2”.")

    field_order = ("clinic", "name", "scopes")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer_clinics(self, user, Action.CLIENT_MANAGE)

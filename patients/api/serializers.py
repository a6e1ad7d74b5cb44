"""Patients, identifiers and the user's own rights, as the API takes and gives them.

May import: DRF, `patients.api.base`, `patients.models`, `patients.access`, `patients.errors`.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from patients import access
from patients.api.base import DayField, IdField, StrictSerializer, TextField
from patients.errors import ApplicationError
from patients.models import Clinic, Membership, Patient, Role

YEARS = (1900, 2100)


@extend_schema_field({"type": "integer", "minimum": YEARS[0], "maximum": YEARS[1]})
class BirthYearField(serializers.IntegerField):
    """A year: `invalid_date` for one that nobody living was born in; more is the services' to say."""

    def to_internal_value(self, data: Any) -> int:
        year = super().to_internal_value(data)
        if not YEARS[0] <= year <= YEARS[1]:
            raise ApplicationError("invalid_date", field=self.field_name)
        return year


class IdentifierSerializer(StrictSerializer):
    """A number by which some system knows the patient."""

    system = TextField(max_length=64, default="MRN", help_text="MRN, ABHA, or DICOM for the PatientID of a device")
    value = TextField(max_length=64)


class PatientEditSerializer(StrictSerializer):
    """What may be corrected; what is not sent stays."""

    name = TextField(max_length=200)
    birth_date = DayField(required=False, allow_null=True)
    birth_year = BirthYearField(required=False, help_text="where nobody knows the date; at most 130 years ago")
    sex = serializers.ChoiceField(Patient.Sex.choices, required=False)
    phone = TextField(max_length=32, required=False, allow_blank=True)
    abha_number = TextField(max_length=20, required=False, allow_blank=True)


class PatientNewSerializer(PatientEditSerializer):
    """A person to be registered, by birth date or birth year."""

    identifiers = IdentifierSerializer(many=True, required=False)
    clinic = IdField(required=False, help_text="needed by who may register at several clinics")


class PatientSerializer(serializers.Serializer):
    """A registered patient."""

    id = serializers.UUIDField()
    clinic = serializers.UUIDField(source="clinic_id")
    name = serializers.CharField()
    birth_date = serializers.DateField(allow_null=True)
    birth_year = serializers.IntegerField()
    sex = serializers.ChoiceField(Patient.Sex.choices)
    phone = serializers.CharField()
    abha_number = serializers.CharField()
    identifiers = IdentifierSerializer(many=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class MatchSerializer(serializers.Serializer):
    """A patient who may be the same person, why, and how alike (1.0: the same number or name)."""

    patient = PatientSerializer()
    reasons = serializers.ListField(child=serializers.CharField())
    score = serializers.FloatField()


class MatchesSerializer(serializers.Serializer):
    matches = MatchSerializer(many=True)


class ClinicRightsSerializer(serializers.Serializer):
    """A clinic of the user, with the roles held there now and all that they allow."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    code = serializers.CharField()
    roles = serializers.ListField(child=serializers.ChoiceField(Role.choices))
    may = serializers.ListField(child=serializers.ChoiceField([action.value for action in access.Action]))


class MeSerializer(serializers.Serializer):
    """The user who asks."""

    username = serializers.CharField()
    name = serializers.CharField()
    is_system_admin = serializers.BooleanField()
    clinics = ClinicRightsSerializer(many=True)


def me(user: Any) -> dict[str, Any]:
    """What `MeSerializer` shows of a user: one query."""
    clinics: dict[Clinic, list[Membership]] = {}
    for held in sorted(access.rights_of(user).memberships, key=lambda each: (each.clinic.name, each.role)):
        clinics.setdefault(held.clinic, []).append(held)
    return {
        "username": user.username,
        "name": user.get_full_name(),
        "is_system_admin": access.is_system_admin(user),
        "clinics": [
            {
                "id": clinic.pk,
                "name": clinic.name,
                "code": clinic.code,
                "roles": [each.role for each in held],
                "may": access.actions_of(held),
            }
            for clinic, held in clinics.items()
        ],
    }

"""`/patients/` and `/me/`: search, register, correct, add a number, compare with likely duplicates.

May import: DRF, `patients.selectors`, `patients.services`, `patients.api.*`.
"""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from django_filters.rest_framework import FilterSet
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_field
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from patients import access
from patients.access import Action
from patients.api.base import RecordedViewSet, required, validated
from patients.api.serializers import (
    IdentifierSerializer,
    MatchesSerializer,
    MeSerializer,
    PatientEditSerializer,
    PatientNewSerializer,
    PatientSerializer,
    me,
)
from patients.audit import audit_list
from patients.errors import ApplicationError
from patients.models import Clinic, Patient, User
from patients.selectors import patient_duplicates, patients_matching
from patients.services import identifier_add, patient_register, patient_update

PATIENT_ID = OpenApiParameter("id", str, OpenApiParameter.PATH, description="The patient's id, a UUID.")


class PatientFilter(FilterSet):
    """Narrow the list; each filter may be given once."""

    q = django_filters.CharFilter(method="search", help_text="Beginnings of words of the name, or of a number.")
    birth_year = extend_schema_field({"type": "integer", "minimum": 1000, "maximum": 9999})(
        django_filters.NumberFilter(min_value=1000, max_value=9999, decimal_places=0)
    )
    clinic = django_filters.UUIDFilter()

    class Meta:
        model = Patient
        fields: list[str] = []

    def search(self, patients: QuerySet[Patient], name: str, words: str) -> QuerySet[Patient]:
        return patients_matching(patients, words)


class PatientViewSet(RecordedViewSet):
    """The patients whom the user may see."""

    serializer_class = PatientSerializer
    filterset_class = PatientFilter

    def get_queryset(self) -> QuerySet[Patient]:
        return Patient.objects.visible_to(self.request.user).select_related("clinic").prefetch_related("identifiers")

    def owner(self, row: Patient) -> Patient:
        return row

    @extend_schema(summary="Search patients, newest first")
    def list(self, request: Request) -> Response:
        return super().list(request)

    @extend_schema(summary="One patient", parameters=[PATIENT_ID])
    def retrieve(self, request: Request, id: str) -> Response:
        return super().retrieve(request, id)

    @extend_schema(summary="Register a patient", request=PatientNewSerializer, responses={201: PatientSerializer})
    def create(self, request: Request) -> Response:
        clinics = _clinics_for(request.user)
        values = validated(PatientNewSerializer(data=request.data))
        clinic = _clinic_of(values.pop("clinic", None), clinics, request.user)
        patient = patient_register(user=request.user, clinic=clinic, **values)
        return Response(self.represent([patient])[0], status=201, headers={"Location": f"{request.path}{patient.pk}/"})

    @extend_schema(
        summary="Correct a patient's record",
        request=PatientEditSerializer(partial=True),
        responses=PatientSerializer,
        parameters=[PATIENT_ID],
    )
    def partial_update(self, request: Request, id: str) -> Response:
        patient = self.visible(id)
        access.require_at(request.user, Action.PATIENT_EDIT, patient.clinic)
        values = validated(PatientEditSerializer(data=request.data, partial=True))
        patient_update(user=request.user, patient=patient, **values)
        return Response(self.represent([self.visible(id)])[0])

    @extend_schema(
        summary="Add a number by which the patient is known",
        request=IdentifierSerializer,
        responses={201: PatientSerializer},
        parameters=[PATIENT_ID],
    )
    def identifiers(self, request: Request, id: str) -> Response:
        patient = self.visible(id)
        access.require_at(request.user, Action.PATIENT_EDIT, patient.clinic)
        identifier_add(user=request.user, patient=patient, **validated(IdentifierSerializer(data=request.data)))
        return Response(self.represent([self.visible(id)])[0], status=201)

    @extend_schema(
        summary="Patients who may already be this person",
        description="Takes what would be registered and registers nothing. A POST: no name in an address.",
        request=PatientNewSerializer,
        responses=OpenApiResponse(MatchesSerializer, description="The likeliest first; empty when there is none."),
    )
    def matches(self, request: Request) -> Response:
        clinics = _clinics_for(request.user)
        values = validated(PatientNewSerializer(data=request.data))
        clinic = _clinic_of(values.pop("clinic", None), clinics, request.user)
        compared = {key: value for key, value in values.items() if key not in ("sex", "phone")}
        found = patient_duplicates(user=request.user, clinic=clinic, **compared)
        audit_list(user=request.user, patients=[match.patient for match in found])
        return Response(MatchesSerializer({"matches": found}).data)


class MeView(APIView):
    """Who asks, in which roles, and what these allow."""

    @extend_schema(summary="The user, roles and rights", responses=MeSerializer)
    def get(self, request: Request) -> Response:
        return Response(MeSerializer(me(request.user)).data)


def _clinics_for(user: User) -> list[Clinic]:
    """Where the user may register patients. Raises `permission_denied` when nowhere."""
    clinics = list(Clinic.objects.filter(pk__in=access.clinic_ids(user, Action.PATIENT_CREATE)))
    if not clinics:
        raise ApplicationError("permission_denied")
    return clinics


def _clinic_of(given: Any, clinics: list[Clinic], user: User) -> Clinic:
    """The clinic that was named, or the only one. A clinic of others is `not_found`."""
    if given is not None:
        return access.get_visible(Clinic.objects, user, pk=given)
    if len(clinics) > 1:
        raise required("clinic")
    return clinics[0]

"""`/patients/<id>/consents/`: what a patient agrees to, read and recorded.

May import: DRF, `diagnosis.services.consent`, `patients`. Names are those of FHIR's Consent where it has one.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from diagnosis.services.consent import consents_record
from patients import access
from patients.access import Action
from patients.api.base import DayField, StrictSerializer, TextField, validated
from patients.audit import audit_record
from patients.consents import consents_read
from patients.models import Consent, Patient, User
from patients.selectors import patient_read

PATIENT_ID = [OpenApiParameter("id", str, OpenApiParameter.PATH, description="The patient's id, a UUID.")]
NO_STORE = {"Cache-Control": "private, no-store"}


class ConsentNewSerializer(StrictSerializer):
    """One decision about one purpose. A withdrawal is a decision of its own: `deny`."""

    purpose = serializers.ChoiceField(Consent.Purpose.choices)
    decision = serializers.ChoiceField(Consent.Decision.choices)
    given_on = DayField()
    given_how = serializers.ChoiceField(Consent.How.choices)
    text_version = TextField(max_length=64, help_text="which text the patient was shown or read")


class ConsentSerializer(serializers.Serializer):
    """A recorded decision; none is ever changed. `withdraws`: the patient agreed before, and no longer."""

    purpose = serializers.ChoiceField(Consent.Purpose.choices)
    decision = serializers.ChoiceField(Consent.Decision.choices)
    withdraws = serializers.BooleanField()
    given_on = serializers.DateField()
    given_how = serializers.ChoiceField(Consent.How.choices)
    text_version = serializers.CharField()
    recorded_by = serializers.CharField(source="recorded_by.username")
    recorded_at = serializers.DateTimeField()


class PermittedSerializer(serializers.Serializer):
    """May the patient's data be used for the purpose now? Where nothing is recorded, the clinic's rule says so."""

    care = serializers.BooleanField()
    ai_assistance = serializers.BooleanField()
    training = serializers.BooleanField()


class ConsentsSerializer(serializers.Serializer):
    """What holds now, and every decision, the latest first."""

    patient = serializers.UUIDField()
    permitted = PermittedSerializer()
    decisions = ConsentSerializer(many=True)


class ConsentsView(APIView):
    """A patient's decisions."""

    @extend_schema(summary="What a patient agrees to", responses=ConsentsSerializer, parameters=PATIENT_ID)
    def get(self, request: Request, id: str) -> Response:
        patient = patient_read(user=request.user, patient_id=id)
        audit_record(user=request.user, verb="read", target=patient, clinic=patient.clinic, patient=patient)
        return Response(_shown(request.user, patient), headers=NO_STORE)

    @extend_schema(
        summary="Record what a patient decided about a purpose",
        request=ConsentNewSerializer,
        responses={201: ConsentsSerializer},
        parameters=PATIENT_ID,
    )
    def post(self, request: Request, id: str) -> Response:
        patient = patient_read(user=request.user, patient_id=id)
        access.require_at(request.user, Action.CONSENT_RECORD, patient.clinic)
        said = validated(ConsentNewSerializer(data=request.data))
        decisions = {said.pop("purpose"): said.pop("decision")}
        consents_record(user=request.user, patient=patient, decisions=decisions, **said)
        return Response(_shown(request.user, patient), status=201, headers=NO_STORE)


def _shown(user: User, patient: Patient) -> dict[str, Any]:
    standings, decisions = consents_read(user=user, patient=patient)
    permitted = {standing.purpose.value: standing.permitted for standing in standings}
    return ConsentsSerializer({"patient": patient.pk, "permitted": permitted, "decisions": decisions}).data

"""`/alerts/`: critical findings that were reported, and their acknowledgement by the clinic.

May import: DRF, `diagnosis.alerts`, `.models`, `.services.alerts`, `.api.*`, `patients`.
"""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from diagnosis import alerts
from diagnosis.api import filters
from diagnosis.api.serializers import LinkField
from diagnosis.api.views import id_of
from diagnosis.models import CriticalAlert
from diagnosis.services.alerts import ACTION_LIMIT, alert_acknowledge
from patients.api.base import RecordedViewSet, StrictSerializer, TextField, validated
from patients.models import Patient

STATES = ("sent", "seen", "escalated", "acknowledged", "void")


class AcknowledgementSerializer(StrictSerializer):
    """What was done about a critical finding, or who was told."""

    action_taken = TextField(max_length=ACTION_LIMIT, allow_blank=True)


class CriticalAlertSerializer(serializers.Serializer):
    """A critical finding of one study. `state` is how far it has come; `due_at` is when the clinic's time is up, `late`
    whether it waits still. A void one is withdrawn by a later report."""

    id = serializers.UUIDField()
    study = serializers.UUIDField(source="study_id")
    patient = serializers.UUIDField(source="study.patient_id")
    clinic = serializers.UUIDField(source="clinic_id")
    label = serializers.CharField()
    title = serializers.CharField()
    state = serializers.ChoiceField(STATES)
    created_at = serializers.DateTimeField()
    raised_by = serializers.CharField(source="raised_by.username")
    due_at = serializers.DateTimeField()
    late = serializers.BooleanField(source="is_late")
    mailed_at = serializers.DateTimeField(source="mail.mailed_at", allow_null=True)
    seen_at = serializers.DateTimeField(allow_null=True)
    escalated_at = serializers.DateTimeField(allow_null=True)
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    acknowledged_by = serializers.CharField(source="acknowledged_by.username", default=None, allow_null=True)
    action_taken = serializers.CharField(allow_blank=True)
    voided_at = serializers.DateTimeField(allow_null=True)
    void_reason = serializers.CharField(allow_blank=True)
    url: Any = LinkField("alert")


class CriticalAlertViewSet(RecordedViewSet):
    """Critical findings, for everybody who may read the reports."""

    serializer_class = CriticalAlertSerializer
    filterset_class = filters.CriticalAlertFilter

    def get_queryset(self) -> QuerySet[CriticalAlert]:
        return alerts.alerts_read(self.request.user)

    def owner(self, row: CriticalAlert) -> Patient:
        return row.study.patient

    @extend_schema(summary="Critical findings, newest first")
    def list(self, request: Request) -> Response:
        return super().list(request)

    @extend_schema(summary="One critical finding", parameters=id_of("alert"))
    def retrieve(self, request: Request, id: str) -> Response:
        return super().retrieve(request, id)

    @extend_schema(
        summary="Acknowledge a critical finding",
        description="Says what was done, or who was told. `alert_acknowledged` (409) where somebody has, `alert_void` "
        "(409) where it is withdrawn.",
        request=AcknowledgementSerializer,
        responses=CriticalAlertSerializer,
        parameters=id_of("alert"),
    )
    def acknowledge(self, request: Request, id: str) -> Response:
        alert = self.visible(id)
        told = validated(AcknowledgementSerializer(data=request.data))
        alert_acknowledge(user=request.user, alert_id=alert.pk, **told)
        return Response(self.represent([self.visible(id)])[0])

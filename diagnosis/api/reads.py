"""Single reads beside the lists: a patient's history, images, the models, the state of the system.

May import: DRF, `diagnosis.selectors`, `diagnosis.monitoring`, `diagnosis.views.images`, `patients.selectors`,
`patients.api.base`.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from diagnosis import monitoring, selectors
from diagnosis.api import filters, serializers
from diagnosis.models import ModelVersion
from diagnosis.views import images
from patients import access
from patients.audit import audit_record
from patients.errors import ApplicationError
from patients.selectors import patient_read

PNG = {(200, "image/png"): OpenApiTypes.BINARY}


def row_id(text: str) -> UUID:
    """The id in an address; a malformed one is as unknown as any other."""
    try:
        return UUID(text)
    except ValueError as error:
        raise ApplicationError("not_found") from error


class HistoryView(APIView):
    """A patient's findings over time."""

    @extend_schema(
        summary="A patient's findings by date",
        responses=serializers.HistorySerializer,
        parameters=[OpenApiParameter("id", str, OpenApiParameter.PATH, description="The patient's id, a UUID.")],
    )
    def get(self, request: Request, id: str) -> Response:
        patient = patient_read(user=request.user, patient_id=id)
        audit_record(user=request.user, verb="read", target=patient, clinic=patient.clinic, patient=patient)
        findings = selectors.findings_by_date(user=request.user, patient=patient)
        history = {"patient": patient.pk, "findings": findings}
        return Response(serializers.HistorySerializer(history).data, headers={"Cache-Control": "private, no-store"})


class _OneKind(BaseContentNegotiation):
    """Images have one form, whatever the client says it prefers; refusals are problem+json as everywhere."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class RadiographImageView(APIView):
    """The film as a PNG, re-encoded, without what its file said about the patient."""

    content_negotiation_class = _OneKind

    @extend_schema(summary="The film as PNG", responses=PNG)
    def get(self, request: Request, id: str) -> HttpResponse:
        return images.radiograph_image(request._request, row_id(id))


class PredictionMapView(APIView):
    """Where the model looked, as a transparent layer over the film; not the outline of a lesion."""

    content_negotiation_class = _OneKind

    @extend_schema(summary="The attention map of one label as PNG", responses=PNG)
    def get(self, request: Request, id: str, label: str) -> HttpResponse:
        return images.prediction_map(request._request, row_id(id), label)


class ModelVersionViewSet(GenericViewSet):
    """The models that speak or spoke here, for everybody who is signed in; those that wait or are on trial, for
    system administrators."""

    serializer_class = serializers.ModelVersionSerializer
    filterset_class = filters.ModelVersionFilter

    def get_queryset(self) -> QuerySet[ModelVersion]:
        return ModelVersion.objects.visible_to(self.request.user)

    @extend_schema(summary="Model versions, newest first")
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(
        summary="One model version with its card",
        parameters=[OpenApiParameter("id", str, OpenApiParameter.PATH, description="The model version's id, a UUID.")],
    )
    def retrieve(self, request: Request, id: str) -> Response:
        return Response(self.get_serializer(access.get_visible(ModelVersion.objects, request.user, pk=id)).data)


class StatusView(APIView):
    """Workers, queues, sweeper, model, Redis and storage, in counts, and what a person should act on."""

    @extend_schema(summary="The state of the system", responses=serializers.StatusSerializer)
    def get(self, request: Request) -> Response:
        status = monitoring.status_read()
        return Response(serializers.StatusSerializer(status | {"alerts": monitoring.alerts_read(status)}).data)

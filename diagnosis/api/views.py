"""`/studies/`, `/radiographs/`, `/jobs/`, `/predictions/`: send films, follow their jobs, read the results.

May import: DRF, `diagnosis.selectors`, `diagnosis.services`, `diagnosis.api.*`, `patients.api.base`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from diagnosis import selectors
from diagnosis.api import filters, serializers
from diagnosis.api.uploads import UPLOAD_PARAMETERS, film_received, sent
from diagnosis.models import Job, Prediction, Radiograph, Study
from diagnosis.services.intake import radiograph_add, study_create
from diagnosis.services.queue import job_cancel, job_retry
from patients import access
from patients.access import Action
from patients.api.base import RecordedViewSet
from patients.errors import ApplicationError
from patients.models import Clinic, Patient, User


def id_of(what: str) -> list[OpenApiParameter]:
    """The path parameter `id` of an operation."""
    return [OpenApiParameter("id", str, OpenApiParameter.PATH, description=f"The {what}'s id, a UUID.")]


class StudyViewSet(RecordedViewSet):
    """Examinations, with their films."""

    serializer_class = serializers.StudySerializer
    filterset_class = filters.StudyFilter
    parser_classes = [MultiPartParser]

    def get_queryset(self) -> QuerySet[Study]:
        return selectors.studies_read(self.request.user)

    def owner(self, row: Study) -> Patient:
        return row.patient

    @extend_schema(summary="Studies, newest first")
    def list(self, request: Request) -> Response:
        return super().list(request)

    @extend_schema(summary="One study", parameters=id_of("study"))
    def retrieve(self, request: Request, id: str) -> Response:
        return super().retrieve(request, id)

    @extend_schema(
        summary="Send a film of a new study",
        description="Answers once film and study are stored; the analysis follows. The same key with the same content "
        "answers 200 with `Idempotent-Replay: true`. Bytes that this patient has already: 200, code `duplicate_of`.",
        request={"multipart/form-data": serializers.StudyNewSerializer},
        responses={200: serializers.StudySentSerializer, 201: serializers.StudySentSerializer},
        parameters=UPLOAD_PARAMETERS,
    )
    def create(self, request: Request) -> Response:
        if not access.clinic_ids(request.user, Action.STUDY_UPLOAD):
            raise ApplicationError("permission_denied")
        film, fields = film_received(request, serializers.StudyNewSerializer)
        patients = Patient.objects.select_related("clinic")
        patient = access.get_visible(patients, request.user, pk=fields.pop("patient"))
        access.require_at(request.user, Action.STUDY_UPLOAD, patient.clinic)
        doctor = _referring_doctor(fields.pop("referring_doctor", ""), patient.clinic)
        result = study_create(user=request.user, patient=patient, referring_doctor=doctor, **fields, **film)
        return sent(request, result)

    @extend_schema(
        summary="Send another film of a study",
        request={"multipart/form-data": serializers.RadiographNewSerializer},
        responses={200: serializers.StudySentSerializer, 201: serializers.StudySentSerializer},
        parameters=[*id_of("study"), *UPLOAD_PARAMETERS],
    )
    def radiographs(self, request: Request, id: str) -> Response:
        study = access.get_visible(Study.objects.select_related("patient", "clinic"), request.user, pk=id)
        access.require_at(request.user, Action.STUDY_UPLOAD, study.clinic)
        film, fields = film_received(request, serializers.RadiographNewSerializer)
        return sent(request, radiograph_add(user=request.user, study=study, **fields, **film))


class RadiographViewSet(RecordedViewSet):
    """Films, with their jobs and results."""

    serializer_class = serializers.RadiographSerializer
    filterset_class = filters.RadiographFilter

    def get_queryset(self) -> QuerySet[Radiograph]:
        return selectors.radiographs_read(self.request.user)

    def owner(self, row: Radiograph) -> Patient:
        return row.study.patient

    def represent(self, rows: Sequence[Radiograph]) -> list[dict[str, Any]]:
        places = selectors.queue_places(job for row in rows for job in row.jobs.all())
        context = self.get_serializer_context() | {"places": places}
        return serializers.RadiographSerializer(rows, many=True, context=context).data

    @extend_schema(summary="Films, newest first")
    def list(self, request: Request) -> Response:
        return super().list(request)

    @extend_schema(summary="One film with its results", parameters=id_of("film"))
    def retrieve(self, request: Request, id: str) -> Response:
        return super().retrieve(request, id)


class PredictionViewSet(RecordedViewSet):
    """What the model said, film by film. Written once, never changed."""

    serializer_class = serializers.PredictionSerializer
    filterset_class = filters.PredictionFilter

    def get_queryset(self) -> QuerySet[Prediction]:
        return selectors.predictions_read(self.request.user).select_related("radiograph__study__patient__clinic")

    def owner(self, row: Prediction) -> Patient:
        return row.radiograph.study.patient

    @extend_schema(summary="Predictions, newest first")
    def list(self, request: Request) -> Response:
        return super().list(request)

    @extend_schema(summary="One prediction", parameters=id_of("prediction"))
    def retrieve(self, request: Request, id: str) -> Response:
        return super().retrieve(request, id)


class JobViewSet(GenericViewSet):
    """Queued work. It says nothing about a patient, so reading it is not recorded; retry and cancel are."""

    serializer_class = serializers.JobSerializer
    filterset_class = filters.JobFilter

    def get_queryset(self) -> QuerySet[Job]:
        return Job.objects.visible_to(self.request.user)

    def represent(self, jobs: Sequence[Job]) -> list[dict[str, Any]]:
        context = self.get_serializer_context() | {"places": selectors.queue_places(jobs)}
        return serializers.JobSerializer(jobs, many=True, context=context).data

    @extend_schema(summary="Jobs, newest first")
    def list(self, request: Request) -> Response:
        return self.get_paginated_response(
            self.represent(self.paginate_queryset(self.filter_queryset(self.get_queryset())))
        )

    @extend_schema(summary="One job", parameters=id_of("job"))
    def retrieve(self, request: Request, id: str) -> Response:
        return Response(self.represent([self._visible(id)])[0])

    @extend_schema(
        summary="Queue a failed job again", request=None, responses=serializers.JobSerializer, parameters=id_of("job")
    )
    def retry(self, request: Request, id: str) -> Response:
        job_retry(user=request.user, job=self._visible(id))
        return self.retrieve(request, id)

    @extend_schema(
        summary="Cancel a waiting or failed job",
        request=None,
        responses=serializers.JobSerializer,
        parameters=id_of("job"),
    )
    def cancel(self, request: Request, id: str) -> Response:
        job_cancel(user=request.user, job=self._visible(id))
        return self.retrieve(request, id)

    def _visible(self, id: str) -> Job:
        return access.get_visible(Job.objects.select_related("radiograph__study__clinic"), self.request.user, pk=id)


def _referring_doctor(username: str, clinic: Clinic) -> User | None:
    if not username:
        return None
    doctor = selectors.referring_doctors(clinic).filter(username=username).first()
    if doctor is None:
        sentence = "No referring doctor of the clinic has this username."
        raise ApplicationError("invalid_input", fields={"referring_doctor": [sentence]})
    return doctor

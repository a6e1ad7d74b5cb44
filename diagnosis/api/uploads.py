"""A film on its way in: what an upload needs besides its bytes, and how the answer says what became of it.

May import: DRF, `diagnosis.selectors`, `.services.intake`, `.uploads`, `.api.serializers`.
"""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.formats import date_format
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from diagnosis import selectors
from diagnosis.api.serializers import RadiographNewSerializer, StudySentSerializer
from diagnosis.services.intake import IntakeResult
from diagnosis.uploads import refuse
from patients.api.base import validated
from patients.errors import ApplicationError, error_sentence

MAX_KEY_LENGTH = 255
UPLOAD_PARAMETERS = [
    OpenApiParameter(
        "Idempotency-Key",
        {"type": "string", "pattern": "^[!-~]([ -~]*[!-~])?$", "maxLength": MAX_KEY_LENGTH},
        OpenApiParameter.HEADER,
        required=True,
        description="Any text of your own, new for each film, the same when you send it again after a fault.",
    ),
    OpenApiParameter(
        "Idempotent-Replay",
        OpenApiTypes.STR,
        OpenApiParameter.HEADER,
        response=[200],
        description="`true` where the key was used before and this is the answer it had.",
    ),
    OpenApiParameter("Location", OpenApiTypes.URI, OpenApiParameter.HEADER, response=[201]),
]


def film_received(
    request: Request, serializer_class: type[RadiographNewSerializer]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The film as the intake takes it, and the other checked fields. The key is looked at before any byte is read."""
    key = _idempotency_key(request)
    if not request.headers.get("Content-Length"):  # DRF takes that for an empty body
        refuse(request, "length_mismatch")
    fields = validated(serializer_class(data=request.data))
    film = {
        "upload": fields.pop("file"),
        "declared_sha256": fields.pop("sha256", "").lower(),
        "idempotency_key": key,
        "source": "api",
    }
    return film, fields


def _idempotency_key(request: Request) -> str:
    key = request.headers.get("Idempotency-Key", "").strip()
    if not key:
        raise ApplicationError("idempotency_key_required")
    if len(key) > MAX_KEY_LENGTH or not (key.isascii() and key.isprintable()):
        raise ApplicationError("invalid_text", field="Idempotency-Key")
    return key


def sent(request: Request, result: IntakeResult) -> Response:
    """201 where a film was added; 200 where the same request or the same bytes had been there before."""
    study = selectors.study_sent(request.user, result.radiograph, only_job=result.only_job)
    study.radiograph, study.warnings = result.radiograph.pk, result.warnings
    study.code = "duplicate_of" if result.duplicate else ""
    study.message = error_sentence(study.code, date=_day(result)) if study.code else ""
    places = selectors.queue_places(job for film in study.films for job in film.jobs.all())
    body = StudySentSerializer(study, context={"request": request, "places": places}).data
    if result.created:
        headers = {"Location": reverse("api:study", args=[study.pk])}
        return Response(body, status=201, headers=headers)
    return Response(body, headers={"Idempotent-Replay": "true"} if result.replayed else {})


def _day(result: IntakeResult) -> str:
    return date_format(result.radiograph.created_at, "j F Y")

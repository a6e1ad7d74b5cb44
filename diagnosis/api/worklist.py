"""`/worklist/`: unread studies in the order in which they should be read, with the reason; claim and release.

May import: DRF, `diagnosis.worklist`, `diagnosis.services.reading`, `diagnosis.api.*`, `patients.api.base`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.helpers import forced_singular_serializer
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from diagnosis import worklist
from diagnosis.api.reads import row_id
from diagnosis.api.serializers import FindingSerializer, LinkField, ModelIdentitySerializer
from diagnosis.models import Reading, Study
from diagnosis.services.reading import reading_claim, reading_release
from patients.api.base import StrictSerializer, TextField, validated
from patients.audit import audit_list
from patients.errors import ApplicationError

STUDY_ID = [OpenApiParameter("id", str, OpenApiParameter.PATH, description="The study's id, a UUID.")]


class _Number(serializers.CharField):
    """A whole number of a query, 0 to 130, in plain digits."""

    def to_internal_value(self, data: Any) -> int:
        if not (data.isascii() and data.isdecimal() and len(data) < 4 and int(data) <= 130):
            self.fail("invalid")
        return int(data)


class _Day(serializers.DateField):
    """A day of a query, in full."""

    def to_internal_value(self, value: Any) -> Any:
        if len(value) != 10:
            self.fail("invalid", format="YYYY-MM-DD")
        return super().to_internal_value(value)


class _Cursor(serializers.CharField):
    def to_internal_value(self, data: Any) -> worklist.Position:
        try:
            return worklist.Position.read(data)
        except ValueError:
            self.fail("invalid")


class WorklistQuery(serializers.Serializer):
    """By what the list can be narrowed, and which page of it is wanted."""

    clinic = serializers.UUIDField(required=False)
    label = serializers.RegexField(r"\A[a-z0-9_]{1,64}\Z", required=False)
    state = serializers.ChoiceField(list(worklist.STATES), required=False)
    age_from = _Number(required=False)
    age_to = _Number(required=False)
    date_from = _Day(required=False)
    date_to = _Day(required=False)
    cursor = _Cursor(required=False)
    page_size = _Number(required=False)


_DAY, _AGE = {"type": "string", "format": "date"}, {"type": "integer", "minimum": 0, "maximum": 130}
#: What is allowed, in words, and the schema.
_QUERY: dict[str, tuple[str, dict[str, Any]]] = {
    "clinic": ("ids", {"type": "string", "format": "uuid"}),
    "label": ("keys of findings", {"type": "string", "pattern": "^[a-z0-9_]{1,64}$"}),
    "state": (", ".join(worklist.STATES), {"type": "string", "enum": list(worklist.STATES)}),
    "age_from": ("0 to 130", _AGE),
    "age_to": ("0 to 130", _AGE),
    "date_from": ("days, such as 2026-05-03", _DAY),
    "date_to": ("days, such as 2026-05-03", _DAY),
    "cursor": ("those given in `next`", {"type": "string"}),
    "page_size": ("1 to 130", {"type": "integer", "minimum": 1, "maximum": 130}),
}
PAGE_SIZE = 50
_SAID = {
    "label": "A finding at or above its threshold.",
    "state": "; ".join(f"`{key}`: {words.lower()}" for key, words in worklist.STATES.items()) + ".",
    "age_from": "By the year of birth.",
    "date_from": "Received on this day or later, in UTC.",
    "cursor": "From the `next` address of the page before.",
}
PARAMETERS = [
    OpenApiParameter(name, schema, OpenApiParameter.QUERY, description=_SAID.get(name, ""))
    for name, (_, schema) in _QUERY.items()
]


class ClaimSerializer(serializers.Serializer):
    """Who reads the study now, since when, and until when without another sign of life."""

    by = serializers.CharField(source="claimed_by.username")
    since = serializers.DateTimeField(source="claimed_at")
    until = serializers.DateTimeField(source="claimed_until")


class ClaimedSerializer(serializers.Serializer):
    """A study on the worklist. `claim` is null while nobody reads it; `closed_at` says since when it is read."""

    study = serializers.UUIDField(source="study_id")
    closed_at = serializers.DateTimeField(allow_null=True)
    claim = serializers.SerializerMethodField()

    @extend_schema_field(ClaimSerializer(allow_null=True))
    def get_claim(self, reading: Reading) -> dict[str, Any] | None:
        return ClaimSerializer(reading).data if reading.is_claimed else None


class ReasonSerializer(FindingSerializer):
    """The finding that decides where the study stands, and which model said it."""

    model = ModelIdentitySerializer(source="prediction.model_version")


class EntrySerializer(ClaimedSerializer):
    """An unread study and why it stands where it stands: emergencies first, then by `stands_at`, the moment of arrival
    less a head start that grows with `urgency` (0 to 1). `answered` is false while a film has no answer."""

    patient = serializers.UUIDField(source="study.patient_id")
    clinic = serializers.UUIDField(source="clinic_id")
    received_at = serializers.DateTimeField()
    stands_at = serializers.DateTimeField()
    requested = serializers.ChoiceField(Study.Urgency.choices, source="study.urgency")
    urgency = serializers.FloatField()
    critical = serializers.BooleanField()
    answered = serializers.BooleanField()
    labels = serializers.ListField(child=serializers.CharField())
    reason = ReasonSerializer(source="finding", allow_null=True)
    max_wait_minutes = serializers.IntegerField(source="clinic.max_wait_minutes")
    over = serializers.SerializerMethodField(help_text="waiting longer than the clinic's maximum wait")
    report_begun = serializers.SerializerMethodField()
    url: Any = LinkField("study")

    def get_over(self, reading: Reading) -> bool:
        return timezone.now() - reading.received_at > timedelta(minutes=reading.clinic.max_wait_minutes)

    def get_report_begun(self, reading: Any) -> bool:
        return reading.draft is not None


class PageSerializer(serializers.Serializer):
    """A page of the worklist."""

    next = serializers.URLField(allow_null=True)
    results = EntrySerializer(many=True)


class ClaimNewSerializer(StrictSerializer):
    """`instead_of` takes the study over knowingly: the username of whom a `reading_claimed` or the list told of."""

    instead_of = TextField(max_length=150, required=False, allow_blank=True)


class WorklistViewSet(ViewSet):
    """For who reads films: what is unread at the clinics that one reads for."""

    @extend_schema(
        summary="Unread studies, what presses most first",
        operation_id="worklist_list",
        parameters=PARAMETERS,
        responses=forced_singular_serializer(PageSerializer),
    )
    def list(self, request: Request) -> Response:
        query = _query(request)
        after, size = query.pop("cursor", None), query.pop("page_size", PAGE_SIZE)
        clinics = worklist.clinics_read_for(request.user)
        if not clinics:
            raise ApplicationError("permission_denied")
        rows, more = worklist.worklist_page(user=request.user, clinics=clinics, filters=query, after=after, size=size)
        audit_list(user=request.user, patients={row.study.patient for row in rows})
        following = _next(request, rows[-1]) if more else None
        page = PageSerializer({"next": following, "results": rows}, context={"request": request})
        return Response(page.data)

    @extend_schema(
        summary="Read a study oneself",
        description="For some minutes, and again with each call. `reading_claimed` says who reads it already.",
        request=ClaimNewSerializer,
        responses=ClaimedSerializer,
        parameters=STUDY_ID,
    )
    def claim(self, request: Request, id: str) -> Response:
        body = validated(ClaimNewSerializer(data=request.data))
        return Response(ClaimedSerializer(reading_claim(user=request.user, study_id=row_id(id), **body)).data)

    @extend_schema(
        summary="Let somebody else read a study", request=None, responses=ClaimedSerializer, parameters=STUDY_ID
    )
    def release(self, request: Request, id: str) -> Response:
        return Response(ClaimedSerializer(reading_release(user=request.user, study_id=row_id(id))).data)


def _query(request: Request) -> dict[str, Any]:
    """The checked parameters, or `invalid_parameter` for the first that is unknown or wrong."""
    for name in request.query_params:
        if name not in _QUERY:
            raise ApplicationError("invalid_parameter", field=name, allowed=", ".join(_QUERY))
    query = WorklistQuery(data=request.query_params.dict())
    size_wrong = query.is_valid() and query.validated_data.get("page_size") == 0
    if query.errors or size_wrong:
        name = next(iter(query.errors), "page_size")
        raise ApplicationError("invalid_parameter", field=name, allowed=_QUERY[name][0])
    return dict(query.validated_data)


def _next(request: Request, last: Reading) -> str:
    params = request.query_params.copy()
    params["cursor"] = str(worklist.Position.of(last))
    return request.build_absolute_uri(f"{request.path}?{params.urlencode()}")

"""`/reports/`: read signed reports; for radiologists also write, decide, sign and amend them.

A change of a draft says in `If-Match` which version it was made from; the answer's `ETag` is the version after it.
May import: DRF, `diagnosis.models`, `.services.reporting`, `.api.serializers`, `patients`.
"""

from __future__ import annotations

import re
from typing import Any

from django.db.models import Prefetch, QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from diagnosis.api import filters
from diagnosis.api.serializers import LinkField, ModelIdentitySerializer
from diagnosis.api.views import id_of
from diagnosis.models import Finding, Report, ReportedFinding, Study
from diagnosis.services import reporting
from patients import access
from patients.api.base import IdField, RecordedViewSet, StrictSerializer, TextField, validated
from patients.errors import ApplicationError
from patients.models import Patient
from patients.stepup import require_recent_sign_in
from patients.text import clean_lines

VERSION = re.compile(r'"(0|[1-9][0-9]{0,8})"')
IF_MATCH = OpenApiParameter(
    "If-Match",
    {"type": "string", "pattern": '^"(0|[1-9][0-9]{0,8})"$'},
    OpenApiParameter.HEADER,
    required=True,
    description="The version that you change, from the `ETag` with which you read it. `stale_page` (412) where the "
    "report has changed since.",
)
ETAG = OpenApiParameter(
    "ETag", OpenApiTypes.STR, OpenApiParameter.HEADER, response=[200, 201], description="The report's version."
)


class LinesField(serializers.CharField):
    """Text of several lines, in any script."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return clean_lines(data, field=str(self.field_name), limit=self.max_length or 0)


# --- what is sent


class ReportNewSerializer(StrictSerializer):
    """Whose films are to be reported on."""

    study = IdField(help_text="the study's id")


class ReportEditSerializer(StrictSerializer):
    """What was written; what is not sent stays."""

    findings_text = LinesField(max_length=reporting.FINDINGS_LIMIT, required=False, allow_blank=True)
    impression = LinesField(max_length=reporting.IMPRESSION_LIMIT, required=False, allow_blank=True)


class DecisionSerializer(StrictSerializer):
    """The reader's word about one label: `accepted` or `rejected` (with a `reason`) of what the model reports, `added`
    of what it does not; `undecided` takes a decision back."""

    label = TextField(max_length=64, allow_blank=True)
    verdict = serializers.ChoiceField(["accepted", "rejected", "added", "undecided"])
    reason = serializers.ChoiceField(ReportedFinding.Reason.choices, required=False)


class ReasonSerializer(StrictSerializer):
    """Why a signed report is amended."""

    reason = TextField(max_length=reporting.REASON_LIMIT, allow_blank=True)


class FirstImpressionNewSerializer(StrictSerializer):
    """What the reader thinks before the model's answer is shown."""

    study = IdField(help_text="the study's id")
    impression = LinesField(max_length=reporting.IMPRESSION_LIMIT, allow_blank=True)


# --- what is given


class ReportedFindingSerializer(serializers.Serializer):
    """What the reader said of one label, beside what the model had said; `model` is null where it does not know the
    label. `absent`: neither the model nor the reader saw it."""

    label = serializers.CharField()
    verdict = serializers.ChoiceField(ReportedFinding.Verdict.choices)
    reason = serializers.CharField(allow_blank=True)
    probability = serializers.FloatField(source="finding.probability", default=None, allow_null=True)
    calibrated = serializers.FloatField(source="finding.calibrated", default=None, allow_null=True)
    threshold = serializers.FloatField(source="finding.threshold", default=None, allow_null=True)
    word = serializers.ChoiceField(Finding.Word.choices, source="finding.word", default=None, allow_null=True)
    model = ModelIdentitySerializer(source="finding.prediction.model_version", default=None, allow_null=True)


class ReportSerializer(serializers.Serializer):
    """One version of a report. `findings` is empty for who may not see the model's answer. A signed report stays as it
    is; `supersedes` and `amendment_reason` tell of an amendment."""

    id = serializers.UUIDField()
    study = serializers.UUIDField(source="study_id")
    patient = serializers.UUIDField(source="study.patient_id")
    status = serializers.ChoiceField(Report.Status.choices)
    version = serializers.IntegerField()
    impression = serializers.CharField(allow_blank=True)
    findings_text = serializers.CharField(allow_blank=True)
    findings = ReportedFindingSerializer(source="shown_decisions", many=True)
    author = serializers.CharField(source="author.username")
    created_at = serializers.DateTimeField()
    preliminary_at = serializers.DateTimeField(allow_null=True)
    signed_by = serializers.SerializerMethodField()
    registration_number = serializers.CharField(allow_blank=True)
    signed_at = serializers.DateTimeField(allow_null=True)
    supersedes = serializers.UUIDField(source="supersedes_id", allow_null=True)
    amendment_reason = serializers.CharField(allow_blank=True)
    url: Any = LinkField("report")

    def get_signed_by(self, report: Report) -> str | None:
        signer = report.signed_by
        return (signer.display_name) if signer else None


class FirstImpressionSerializer(serializers.Serializer):
    """The first impression as it is kept; a later one changes nothing."""

    study = serializers.UUIDField(source="study_id")
    impression = serializers.CharField(source="text")
    created_at = serializers.DateTimeField()


class FirstImpressionView(APIView):
    """At a clinic that has films read first: the model's answer is shown to the reader after this."""

    @extend_schema(
        summary="Save a first impression",
        request=FirstImpressionNewSerializer,
        responses=FirstImpressionSerializer,
    )
    def post(self, request: Request) -> Response:
        told = validated(FirstImpressionNewSerializer(data=request.data))
        study = _study(request, told["study"])
        kept = reporting.first_impression_save(user=request.user, study=study, text=told["impression"])
        return Response(FirstImpressionSerializer(kept).data)


class ReportViewSet(RecordedViewSet):
    """Reports: signed ones for everybody whom they are for, drafts for those who write them."""

    serializer_class = ReportSerializer
    filterset_class = filters.ReportFilter

    def get_queryset(self) -> QuerySet[Report]:
        user = self.request.user
        decisions = ReportedFinding.objects.visible_to(user).select_related("finding__prediction")
        decisions = decisions.prefetch_related("finding__prediction__model_version")
        return (
            Report.objects.visible_to(user)
            .select_related("study__patient__clinic", "author", "signed_by")
            .prefetch_related(Prefetch("decisions", decisions, to_attr="shown_decisions"))
        )

    def owner(self, row: Report) -> Patient:
        return row.study.patient

    def answered(self, report: Report, status: int = 200) -> Response:
        """The report as it is now, with its version."""
        fresh = self.visible(str(report.pk))
        return Response(self.represent([fresh])[0], status=status, headers={"ETag": f'"{fresh.version}"'})

    def changed(self, request: Request, id: str, change: Any, **values: Any) -> Response:
        """The answer to a change of a draft that was made from the version of `If-Match`."""
        report = self.visible(id)
        return self.answered(change(user=request.user, report=report, version=_version(request), **values))

    @extend_schema(summary="Reports, newest first")
    def list(self, request: Request) -> Response:
        return super().list(request)

    @extend_schema(summary="One report", parameters=[*id_of("report"), ETAG])
    def retrieve(self, request: Request, id: str) -> Response:
        row = self.visible(id)
        return Response(self.shown(row), headers={"ETag": f'"{row.version}"'})

    @extend_schema(
        summary="Begin a report",
        description="201 with a new draft, 200 with the one that is there. `first_impression_needed` (409) at a clinic "
        "that has films read first.",
        request=ReportNewSerializer,
        responses={200: ReportSerializer, 201: ReportSerializer},
        parameters=[ETAG],
    )
    def create(self, request: Request) -> Response:
        study = _study(request, validated(ReportNewSerializer(data=request.data))["study"])
        there = Report.objects.visible_to(request.user).filter(study=study, status__in=reporting.LIVE).first()
        if there is not None:
            return self.retrieve(request, str(there.pk))
        return self.answered(reporting.draft_open(user=request.user, study=study), 201)

    @extend_schema(summary="Save a draft", request=ReportEditSerializer, parameters=[*id_of("report"), IF_MATCH, ETAG])
    def partial_update(self, request: Request, id: str) -> Response:
        self._require_writer(id)
        texts = validated(ReportEditSerializer(data=request.data))
        return self.changed(request, id, reporting.draft_save, **texts)

    @extend_schema(
        summary="Decide on a finding",
        request=DecisionSerializer,
        responses=ReportSerializer,
        parameters=[*id_of("report"), IF_MATCH, ETAG],
    )
    def decide(self, request: Request, id: str) -> Response:
        self._require_writer(id)
        decision = validated(DecisionSerializer(data=request.data))
        decision["verdict"] = decision["verdict"].replace("undecided", "")
        return self.changed(request, id, reporting.finding_decide, **decision)

    @extend_schema(
        summary="Make a report preliminary",
        request=None,
        responses=ReportSerializer,
        parameters=[*id_of("report"), IF_MATCH, ETAG],
    )
    def preliminary(self, request: Request, id: str) -> Response:
        self._require_writer(id)
        return self.changed(request, id, reporting.report_preliminary)

    @extend_schema(
        summary="Sign a report",
        description="By a person in a browser who has signed in within the last minutes; a token cannot.",
        request=None,
        responses=ReportSerializer,
        parameters=[*id_of("report"), IF_MATCH, ETAG],
    )
    def sign(self, request: Request, id: str) -> Response:
        self._require_writer(id)
        require_recent_sign_in(request._request)
        return self.changed(request, id, reporting.report_sign)

    @extend_schema(
        summary="Begin the amendment of a signed report",
        request=ReasonSerializer,
        responses={201: ReportSerializer},
        parameters=[*id_of("report"), ETAG],
    )
    def amend(self, request: Request, id: str) -> Response:
        report = self._require_writer(id)
        reason = validated(ReasonSerializer(data=request.data))["reason"]
        return self.answered(reporting.report_amend(user=request.user, report=report, reason=reason), 201)

    def _require_writer(self, id: str) -> Report:
        """Who only reads a report is told so before what they sent is looked at."""
        report = self.visible(id)
        access.require_at(self.request.user, access.Action.REPORT_WRITE, report.study.clinic)
        return report


def _study(request: Request, id: Any) -> Study:
    """The study that somebody who writes reports names."""
    if not access.clinic_ids(request.user, access.Action.REPORT_WRITE):
        raise ApplicationError("permission_denied")
    studies = Study.objects.select_related("clinic", "patient")
    return access.get_visible(studies, request.user, pk=id)


def _version(request: Request) -> int:
    """The version in `If-Match`. Raises `version_required` and `invalid_parameter`."""
    given = request.headers.get("If-Match", "").strip()
    if not given:
        raise ApplicationError("version_required")
    match = VERSION.fullmatch(given)
    if match is None:
        raise ApplicationError("invalid_parameter", field="If-Match", allowed='a version in quotes, such as "3"')
    return int(match[1])

"""By what lists can be narrowed. A filter never reaches what the user may not see.

May import: django-filter, `diagnosis.models`, `diagnosis.selectors`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django_filters import CharFilter, ChoiceFilter, IsoDateTimeFilter, UUIDFilter
from django_filters.fields import IsoDateTimeField
from django_filters.rest_framework import FilterSet
from drf_spectacular.utils import extend_schema_field

from diagnosis import selectors
from diagnosis.models import CriticalAlert, Finding, Job, ModelVersion, Prediction, Radiograph, Report, Study


class MomentField(IsoDateTimeField):
    """A moment in UTC: PostgreSQL knows no offset beyond sixteen hours."""

    def clean(self, value: Any) -> datetime | None:
        moment = super().clean(value)
        try:
            return moment and moment.astimezone(UTC)
        except OverflowError as error:
            raise ValidationError(self.error_messages["invalid"]) from error


class MomentFilter(IsoDateTimeFilter):
    field_class = MomentField


class ArrivalFilter(FilterSet):
    """Everything has an arrival; films are sent for a patient at a clinic."""

    created_after = MomentFilter("created_at", "gte")
    created_before = MomentFilter("created_at", "lt")


class StudyFilter(ArrivalFilter):
    patient = UUIDFilter()
    clinic = UUIDFilter()
    urgency = ChoiceFilter(choices=Study.Urgency.choices)
    accession_number = CharFilter()

    class Meta:
        model = Study
        fields: list[str] = []


class RadiographFilter(ArrivalFilter):
    study = UUIDFilter()
    patient = UUIDFilter("study__patient")
    clinic = UUIDFilter()
    state = ChoiceFilter(choices=Radiograph.State.choices)
    code = CharFilter()
    sha256 = CharFilter(help_text="Hash of the bytes that were sent.")
    progress = ChoiceFilter(choices=[(key, key) for key in selectors.PROGRESS], method="by_progress")
    word = ChoiceFilter(choices=Finding.Word.choices, method="by_word", help_text="Of any finding that you may see.")

    class Meta:
        model = Radiograph
        fields: list[str] = []

    def by_progress(self, films: QuerySet[Radiograph], name: str, progress: str) -> QuerySet[Radiograph]:
        return films.filter(selectors.PROGRESS[progress])

    @extend_schema_field({"type": "string", "enum": Finding.Word.values})
    def by_word(self, films: QuerySet[Radiograph], name: str, word: str) -> QuerySet[Radiograph]:
        return films.filter(selectors.said_of_film(self.request.user, word))


class JobFilter(ArrivalFilter):
    radiograph = UUIDFilter()
    study = UUIDFilter("radiograph__study")
    kind = ChoiceFilter(choices=Job.Kind.choices)
    state = ChoiceFilter(choices=Job.State.choices)

    class Meta:
        model = Job
        fields: list[str] = []


class PredictionFilter(ArrivalFilter):
    radiograph = UUIDFilter()
    study = UUIDFilter("radiograph__study")
    patient = UUIDFilter("radiograph__study__patient")
    model_version = UUIDFilter()

    class Meta:
        model = Prediction
        fields: list[str] = []


class ReportFilter(ArrivalFilter):
    study = UUIDFilter()
    patient = UUIDFilter("study__patient")
    clinic = UUIDFilter("study__clinic")
    status = ChoiceFilter(choices=Report.Status.choices)

    class Meta:
        model = Report
        fields: list[str] = []


class CriticalAlertFilter(ArrivalFilter):
    """`waiting` are neither acknowledged nor void."""

    STATES = {
        "waiting": Q(acknowledged_at__isnull=True, voided_at__isnull=True),
        "acknowledged": Q(acknowledged_at__isnull=False, voided_at__isnull=True),
        "void": Q(voided_at__isnull=False),
    }
    study = UUIDFilter()
    patient = UUIDFilter("study__patient")
    clinic = UUIDFilter()
    state = ChoiceFilter(choices=[(key, key) for key in STATES], method="by_state")

    class Meta:
        model = CriticalAlert
        fields: list[str] = []

    def by_state(self, alerts: QuerySet[CriticalAlert], name: str, state: str) -> QuerySet[CriticalAlert]:
        return alerts.filter(self.STATES[state])


class ModelVersionFilter(FilterSet):
    status = ChoiceFilter(choices=ModelVersion.Status.choices)

    class Meta:
        model = ModelVersion
        fields: list[str] = []

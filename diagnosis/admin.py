"""The flow as a system administrator sees it: searchable, read-only, without pixels; retry and cancel call services.

Patients have no names here, and results are not shown, except of clinics that the administrator opened by emergency
access. Every list and row of a patient is recorded in the audit before it is shown. What a version on trial said of a
film is not shown here either. May import: Django, `diagnosis.models`, `diagnosis.services`, `patients`; registers
`diagnosis.model_admin` too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html

import diagnosis.model_admin  # noqa: F401  registers the model versions
from diagnosis.models import Finding, Job, Prediction, Radiograph, Report, Study, Worker
from diagnosis.querysets import holds, with_version
from diagnosis.services.queue import job_cancel, job_retry
from patients.admin import LinesInline, ReadOnlyAdmin
from patients.audit import audit_record
from patients.errors import ApplicationError
from patients.models import Patient
from patients.querysets import patient_scope
from patients.selectors import patients_matching


class FlowAdmin(ReadOnlyAdmin):
    """A read-only list of rows that belong to a patient.

    The search takes an id, the exact text of one of `exact`, or a patient's name or number: each is an indexed look-up.
    `study_path` leads from the row to its study, `""` for the study itself.
    """

    study_path: ClassVar[str] = "study"
    ids: ClassVar[tuple[str, ...]] = ("pk",)
    exact: ClassVar[tuple[str, ...]] = ()

    search_fields = ("pk",)
    search_help_text = "An id; during emergency access a patient's name or number"
    show_full_result_count = False
    list_per_page = 50

    @classmethod
    def to_patient(cls) -> str:
        return f"{cls.study_path}__patient" if cls.study_path else "patient"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request).select_related(f"{self.to_patient()}__clinic")
        return rows.annotate(patient_visible=holds(patient_scope(request.user, self.to_patient())))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        return (queryset.filter(self._matching(request.user, term)) if term else queryset), False

    def _matching(self, user: Any, term: str) -> Q:
        try:
            wanted = UUID(term)
        except ValueError:
            patients = patients_matching(Patient.objects.visible_to(user), term).values("pk")
            return Q((f"{self.to_patient()}__in", patients), *((field, term) for field in self.exact), _connector=Q.OR)
        return Q(*((field, wanted) for field in (*self.ids, self.to_patient())), _connector=Q.OR)

    def lookup_allowed(self, lookup: str, value: str, request: Any = None) -> bool:
        """Links between the lists narrow them to one patient."""
        return lookup == f"{self.to_patient()}__id__exact" or super().lookup_allowed(lookup, value, request)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        audit_record(user=request.user, verb="list")
        return super().changelist_view(request, extra_context)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            patient = self.owner(row)
            audit_record(user=request.user, verb="read", target=row, clinic=patient.clinic, patient=patient)
        return row

    @admin.display(description="patient")
    def patient(self, row: Any) -> str:
        patient = self.owner(row)
        return patient.name if row.patient_visible else str(patient)

    def owner(self, row: Any) -> Patient:
        for step in self.to_patient().split("__"):
            row = getattr(row, step)
        return row

    @admin.display(description="clinic")
    def at_clinic(self, row: Any) -> str:
        return self.owner(row).clinic.name


class RadiographInline(LinesInline):
    model = Radiograph
    fields = ("view", "format", "width", "height", "state", "code", "created_at")


class JobInline(LinesInline):
    model = Job
    fields = ("kind", "model_version", "state", "attempt", "error_code", "queued_at", "finished_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        return with_version(super().get_queryset(request))


class PredictionInline(LinesInline):
    model = Prediction
    fields = ("model_version", "engine", "urgency", "created_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Prediction]:
        return with_version(super().get_queryset(request).visible_to(request.user))


class FindingInline(LinesInline):
    model = Finding
    fields = ("label", "word", "calibrated", "threshold", "probability")
    show_change_link = False


@admin.register(Study)
class StudyAdmin(FlowAdmin):
    study_path = ""
    exact = ("accession_number",)
    search_help_text = "An id or accession number; during emergency access a patient's name or number"
    list_display = ("__str__", "patient", "at_clinic", "urgency", "source", "created_at")
    list_filter = ("urgency", "source", "clinic")
    date_hierarchy = "created_at"
    exclude = ("accession_number", "indication")
    inlines = (RadiographInline,)


@admin.register(Radiograph)
class RadiographAdmin(FlowAdmin):
    ids = ("pk", "study")
    exact = ("sha256", "sop_instance_uid")
    search_help_text = "An id, a sha256, a SOP instance UID; during emergency access a patient's name or number"
    list_display = ("__str__", "patient", "at_clinic", "view", "format", "state", "code", "created_at")
    list_filter = ("state", "format", "view", "clinic")
    date_hierarchy = "created_at"
    exclude = ("display_key", "reading_key", "reading", "message", "warnings")
    inlines = (JobInline, PredictionInline)


@admin.register(Job)
class JobAdmin(FlowAdmin):
    study_path = "radiograph__study"
    ids = ("pk", "radiograph")
    exact = ("error_code", "worker")
    search_help_text = "An id, an error code, a worker; during emergency access a patient's name or number"
    list_display = ("__str__", "kind", "state", "attempt", "error_code", "patient", "at_clinic", "worker", "queued_at")
    list_filter = ("state", "kind", "shadow", "error_code", "radiograph__clinic")
    date_hierarchy = "queued_at"
    actions = ("retry", "cancel")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        return with_version(super().get_queryset(request).select_related("radiograph__clinic"))

    @admin.action(description="Try the failed or cancelled jobs again")
    def retry(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, job_retry, "queued again")

    @admin.action(description="Cancel the waiting or failed jobs")
    def cancel(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, job_cancel, "cancelled")

    def _each(self, request: HttpRequest, jobs: QuerySet[Job], move: Callable[..., Job], done: str) -> None:
        moved = 0
        for job in jobs:
            try:
                move(user=request.user, job=job)
                moved += 1
            except ApplicationError as error:
                self.message_user(request, f"{job}: {error.detail}", messages.WARNING)
        if moved:
            self.message_user(request, f"{moved} {'job was' if moved == 1 else 'jobs were'} {done}.", messages.SUCCESS)


@admin.register(Prediction)
class PredictionAdmin(FlowAdmin):
    study_path = "radiograph__study"
    ids = ("pk", "radiograph", "radiograph__study")
    list_display = ("__str__", "patient", "at_clinic", "model_version", "engine", "how_urgent", "created_at")
    list_filter = ("model_version", "engine", "radiograph__clinic")
    date_hierarchy = "created_at"
    exclude = ("map_key", "shadow")
    inlines = (FindingInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Prediction]:
        return with_version(super().get_queryset(request).visible_to(request.user))

    @admin.display(description="urgency", ordering="urgency")
    def how_urgent(self, prediction: Prediction) -> str:
        return f"{prediction.urgency:.2f}"


@admin.register(Finding)
class FindingAdmin(FlowAdmin):
    """Every finding by date; narrowed to one patient it is that patient's history in one view."""

    study_path = "prediction__radiograph__study"
    ids = ("prediction", "prediction__radiograph", "prediction__radiograph__study")
    list_display = ("date", "patient", "label", "word", "numbers", "said_by", "study")
    list_filter = ("label", "word", "prediction__model_version", "prediction__radiograph__clinic")
    ordering = ("-prediction__created_at", "-calibrated")
    date_hierarchy = "prediction__created_at"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Finding]:
        return with_version(super().get_queryset(request).visible_to(request.user), "prediction__model_version")

    @admin.display(description="date", ordering="prediction__created_at")
    def date(self, finding: Finding) -> Any:
        return finding.prediction.created_at

    @admin.display(description="calibrated (threshold)", ordering="calibrated")
    def numbers(self, finding: Finding) -> str:
        """In one column, so that no narrow screen shows a probability without its threshold."""
        return f"{finding.calibrated:.3f} ({finding.threshold:.3f})"

    @admin.display(description="model")
    def said_by(self, finding: Finding) -> str:
        return str(finding.prediction.model_version)

    @admin.display(description="study")
    def study(self, finding: Finding) -> str:
        return _link(finding.prediction.radiograph.study)


@admin.register(Report)
class ReportAdmin(FlowAdmin):
    """Who signed what, when. What a report says is read where the clinic reads it."""

    ids = ("pk", "study")
    list_display = ("__str__", "patient", "at_clinic", "status", "author", "signed_by", "signed_at")
    list_filter = ("status", "study__clinic")
    date_hierarchy = "created_at"
    exclude = ("findings_text", "drafted_text", "impression", "amendment_reason")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Report]:
        return super().get_queryset(request).select_related("author", "signed_by", "supersedes")


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = ("name", "kind", "engine", "seen_at", "started_at", "note")
    list_filter = ("kind",)
    search_fields = ("name",)


def _link(row: Model) -> str:
    address = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
    return format_html('<a href="{}">{}</a>', address, row)

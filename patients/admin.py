"""What a system administrator keeps in order: clinics, people and their roles. Patients and audit are read-only.

Names and numbers of patients are masked in the audit: who read what is the administrator's business, whose record it
was is the clinic's. May import: Django, `patients`.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html

from patients.audit import audit_record
from patients.models import AuditEvent, Clinic, DataPolicy, Membership, Patient, PatientIdentifier, User
from patients.selectors import patients_matching
from patients.sessions import access_end

admin.site.unregister(Group)


class ReadOnlyAdmin(admin.ModelAdmin):
    """Lists and shows; adds, changes and deletes nothing."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class LinesInline(admin.TabularInline):
    """Rows under a row, to be looked at."""

    can_delete = False
    extra = 0
    show_change_link = True

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields or ()

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class MembershipInline(admin.TabularInline):
    model = Membership
    extra = 0
    autocomplete_fields = ("clinic",)


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    """Roles come from memberships; groups and single permissions are not used."""

    inlines = (MembershipInline,)
    list_display = ("username", "first_name", "last_name", "roles", "is_active", "is_superuser", "last_login")
    list_filter = ("is_active", "is_superuser", "memberships__role")
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Access", {"fields": ("is_active", "is_staff", "is_superuser")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("last_login", "date_joined")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("memberships__clinic")

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        access_end(user=form.instance)

    @admin.display(description="roles")
    def roles(self, user: User) -> str:
        return ", ".join(str(membership) for membership in user.memberships.all())

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """People who left are deactivated: the audit keeps naming them."""
        return False


class DataPolicyInline(admin.StackedInline):
    """What a clinic without rules of its own does: the defaults."""

    model = DataPolicy
    can_delete = False


@admin.register(Clinic)
class ClinicAdmin(admin.ModelAdmin):
    list_display = ("name", "code", "time_zone", "max_wait_minutes", "show_unread_results", "privacy_contact")
    search_fields = ("name", "code")

    def get_inlines(self, request: HttpRequest, obj: Clinic | None = None) -> Any:
        return [DataPolicyInline] if obj is not None else []

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class IdentifierInline(LinesInline):
    model = PatientIdentifier
    fields = ("system", "value")
    show_change_link = False


@admin.register(Patient)
class PatientAdmin(ReadOnlyAdmin):
    """Who the patients are is shown and searched for clinics whose records the administrator opened in an emergency."""

    list_display = ("name_if_open", "numbers", "birth_year_if_open", "clinic", "created_at")
    list_filter = ("clinic",)
    list_select_related = ("clinic",)
    show_full_result_count = False
    search_fields = ("name",)
    search_help_text = "An id; during emergency access a name, a number, or the birth year"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Patient]:
        patients = super().get_queryset(request).prefetch_related("identifiers")
        is_open = Exists(Patient.objects.visible_to(request.user).filter(pk=OuterRef("pk")))
        return patients.annotate(is_open=is_open)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Patient], search_term: str
    ) -> tuple[QuerySet[Patient], bool]:
        try:
            return (queryset.filter(pk=UUID(search_term.strip())) if search_term.strip() else queryset), False
        except ValueError:
            return patients_matching(queryset.filter(is_open=True), search_term), False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        audit_record(user=request.user, verb="list")
        return super().changelist_view(request, extra_context)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Patient | None:
        patient = super().get_object(request, object_id, from_field)
        if patient is not None:
            audit_record(user=request.user, verb="read", target=patient, clinic=patient.clinic, patient=patient)
        return patient

    def get_fields(self, request: HttpRequest, obj: Patient | None = None) -> Any:
        always = ("id", "clinic", "created_at", "findings_over_time")
        known = ("name", "birth_date", "birth_year", "sex", "phone", "abha_number")
        return (*known, *always) if obj is not None and obj.is_open else always

    def get_readonly_fields(self, request: HttpRequest, obj: Patient | None = None) -> Any:
        return self.get_fields(request, obj)

    def get_inlines(self, request: HttpRequest, obj: Patient | None = None) -> Any:
        return [IdentifierInline] if obj is not None and obj.is_open else []

    @admin.display(description="findings over time")
    def findings_over_time(self, patient: Patient) -> str:
        address = reverse("admin:diagnosis_finding_changelist")
        query = f"prediction__radiograph__study__patient__id__exact={patient.pk}"
        return format_html('<a href="{}?{}">Every finding of every film, by date</a>', address, query)

    @admin.display(description="patient")
    def name_if_open(self, patient: Patient) -> str:
        return patient.name if patient.is_open else str(patient)

    @admin.display(description="numbers", empty_value="–")
    def numbers(self, patient: Patient) -> str | None:
        return ", ".join(str(each) for each in patient.identifiers.all()) if patient.is_open else None

    @admin.display(description="born", empty_value="–")
    def birth_year_if_open(self, patient: Patient) -> int | None:
        return patient.birth_year if patient.is_open else None


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    """Who did what, when. The patient is masked: an object's id leads to it only for those who may see it."""

    list_display = ("at", "user", "role", "clinic", "verb", "object_type", "object_id", "outcome", "request_id")
    list_filter = ("verb", "outcome", "clinic", "object_type")
    list_select_related = ("user", "clinic")
    search_fields = ("=verb", "=object_id", "=request_id", "=user__username")
    date_hierarchy = "at"
    show_full_result_count = False
    fields = (
        "at",
        "user",
        "role",
        "clinic",
        "verb",
        "object_type",
        "object_id",
        "outcome",
        "changed_fields",
        "purpose",
        "ip_address",
        "session",
        "request_id",
    )

    @admin.display(description="changed")
    def changed_fields(self, event: AuditEvent) -> str:
        return ", ".join(event.changes)

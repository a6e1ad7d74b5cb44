"""Addresses of the audit's pages, under `/audit/`. The histories of rows are in `diagnosis.urls`."""

from __future__ import annotations

from django.urls import path

from patients import audit_views as views

urlpatterns = [
    path("", views.audit_list, name="audit_list"),
    path("patient/", views.audit_patient_find, name="audit_patient_find"),
    path("patients/<uuid:patient_id>/", views.access_report, name="access_report"),
    path("patients/<uuid:patient_id>/print/", views.access_report_print, name="access_report_print"),
    path("patients/<uuid:patient_id>/csv/", views.access_report_csv, name="access_report_csv"),
]

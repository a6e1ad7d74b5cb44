"""Addresses of the patient pages, under `/patients/`. `patient_detail` is in `diagnosis.urls`."""

from __future__ import annotations

from django.urls import path

from patients import views

urlpatterns = [
    path("", views.patient_list, name="patient_list"),
    path("new/", views.patient_new, name="patient_new"),
    path("<uuid:patient_id>/edit/", views.patient_edit, name="patient_edit"),
    path("<uuid:patient_id>/identifiers/", views.patient_identifier_add, name="patient_identifier_add"),
    path(
        "<uuid:patient_id>/identifiers/<int:identifier_id>/remove/",
        views.patient_identifier_remove,
        name="patient_identifier_remove",
    ),
]

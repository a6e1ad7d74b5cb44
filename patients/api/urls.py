"""API addresses of patients. May import: `patients.api.views`."""

from __future__ import annotations

from django.urls import path

from patients.api.views import MeView, PatientViewSet

urlpatterns = [
    path("me/", MeView.as_view(), name="me"),
    path("patients/", PatientViewSet.as_view({"get": "list", "post": "create"}), name="patient-list"),
    path("patients/matches/", PatientViewSet.as_view({"post": "matches"}), name="patient-matches"),
    path("patients/<str:id>/", PatientViewSet.as_view({"get": "retrieve", "patch": "partial_update"}), name="patient"),
    path("patients/<str:id>/identifiers/", PatientViewSet.as_view({"post": "identifiers"}), name="patient-identifiers"),
]

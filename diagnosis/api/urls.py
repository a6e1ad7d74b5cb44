"""API addresses of the flow. May import: `diagnosis.api` views."""

from __future__ import annotations

from django.urls import path

from diagnosis.api.alerts import CriticalAlertViewSet
from diagnosis.api.consents import ConsentsView
from diagnosis.api.reads import HistoryView, ModelVersionViewSet, PredictionMapView, RadiographImageView, StatusView
from diagnosis.api.reports import FirstImpressionView, ReportViewSet
from diagnosis.api.views import JobViewSet, PredictionViewSet, RadiographViewSet, StudyViewSet
from diagnosis.api.worklist import WorklistViewSet

LIST, ONE = {"get": "list"}, {"get": "retrieve"}

urlpatterns = [
    path("patients/<str:id>/history/", HistoryView.as_view(), name="patient-history"),
    path("patients/<str:id>/consents/", ConsentsView.as_view(), name="patient-consents"),
    path("studies/", StudyViewSet.as_view(LIST | {"post": "create"}), name="study-list"),
    path("studies/<str:id>/", StudyViewSet.as_view(ONE), name="study"),
    path("studies/<str:id>/radiographs/", StudyViewSet.as_view({"post": "radiographs"}), name="study-radiographs"),
    path("worklist/", WorklistViewSet.as_view(LIST), name="worklist"),
    path("worklist/<str:id>/claim/", WorklistViewSet.as_view({"post": "claim"}), name="worklist-claim"),
    path("worklist/<str:id>/release/", WorklistViewSet.as_view({"post": "release"}), name="worklist-release"),
    path("radiographs/", RadiographViewSet.as_view(LIST), name="radiograph-list"),
    path("radiographs/<str:id>/", RadiographViewSet.as_view(ONE), name="radiograph"),
    path("radiographs/<str:id>/image/", RadiographImageView.as_view(), name="radiograph-image"),
    path("jobs/", JobViewSet.as_view(LIST), name="job-list"),
    path("jobs/<str:id>/", JobViewSet.as_view(ONE), name="job"),
    path("jobs/<str:id>/retry/", JobViewSet.as_view({"post": "retry"}), name="job-retry"),
    path("jobs/<str:id>/cancel/", JobViewSet.as_view({"post": "cancel"}), name="job-cancel"),
    path("predictions/", PredictionViewSet.as_view(LIST), name="prediction-list"),
    path("predictions/<str:id>/", PredictionViewSet.as_view(ONE), name="prediction"),
    path("predictions/<str:id>/map/<str:label>/", PredictionMapView.as_view(), name="prediction-map"),
    path("alerts/", CriticalAlertViewSet.as_view(LIST), name="alert-list"),
    path("alerts/<str:id>/", CriticalAlertViewSet.as_view(ONE), name="alert"),
    path(
        "alerts/<str:id>/acknowledge/", CriticalAlertViewSet.as_view({"post": "acknowledge"}), name="alert-acknowledge"
    ),
    path("first-impressions/", FirstImpressionView.as_view(), name="first-impressions"),
    path("reports/", ReportViewSet.as_view(LIST | {"post": "create"}), name="report-list"),
    path("reports/<str:id>/", ReportViewSet.as_view(ONE | {"patch": "partial_update"}), name="report"),
    path("reports/<str:id>/decide/", ReportViewSet.as_view({"post": "decide"}), name="report-decide"),
    path("reports/<str:id>/preliminary/", ReportViewSet.as_view({"post": "preliminary"}), name="report-preliminary"),
    path("reports/<str:id>/sign/", ReportViewSet.as_view({"post": "sign"}), name="report-sign"),
    path("reports/<str:id>/amend/", ReportViewSet.as_view({"post": "amend"}), name="report-amend"),
    path("model-versions/", ModelVersionViewSet.as_view(LIST), name="model-version-list"),
    path("model-versions/<str:id>/", ModelVersionViewSet.as_view(ONE), name="model-version"),
    path("status/", StatusView.as_view(), name="status"),
]

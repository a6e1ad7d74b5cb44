"""The pages of the flow. May import: `diagnosis.views`. No page with patient data is kept by a browser's cache."""

from __future__ import annotations

from django.urls import path
from django.views.decorators.cache import never_cache

from diagnosis.views import (
    consent,
    films,
    history,
    images,
    models,
    reporting,
    retention,
    send,
    system,
    viewer,
    worklist,
)

urlpatterns = [
    path("", never_cache(send.home), name="home"),
    path("send/patient/", never_cache(send.patient_pick), name="patient_pick"),
    path("films/", never_cache(films.film_list), name="film_list"),
    path("worklist/", never_cache(worklist.open_studies), name="worklist"),
    path("worklist/views/", worklist.saved_view_keep, name="saved_view_keep"),
    path("worklist/views/remove/", worklist.saved_view_remove, name="saved_view_remove"),
    path("worklist/<uuid:study_id>/", never_cache(worklist.reading_claim_bar), name="reading_claim_bar"),
    path("worklist/<uuid:study_id>/claim/", worklist.reading_claim, name="reading_claim"),
    path("worklist/<uuid:study_id>/release/", worklist.reading_release, name="reading_release"),
    path("patients/<uuid:patient_id>/", never_cache(films.patient_detail), name="patient_detail"),
    path("patients/<uuid:patient_id>/consents/", consent.consent_record, name="consent_record"),
    path("studies/<uuid:study_id>/", never_cache(films.study_detail), name="study_detail"),
    path("studies/<uuid:study_id>/status/", never_cache(films.study_status), name="study_status"),
    path("studies/<uuid:study_id>/read/", never_cache(reporting.read), name="read"),
    path("studies/<uuid:study_id>/read/first/", never_cache(reporting.first), name="read_first"),
    path("studies/<uuid:study_id>/read/decide/", never_cache(reporting.decide), name="report_decide"),
    path("studies/<uuid:study_id>/read/draft/", never_cache(reporting.draft_again), name="report_draft_again"),
    path("studies/<uuid:study_id>/read/preliminary/", never_cache(reporting.preliminary), name="report_preliminary"),
    path("studies/<uuid:study_id>/read/sign/", never_cache(reporting.sign), name="report_sign"),
    path("studies/<uuid:study_id>/report/", never_cache(reporting.report), name="report"),
    path("studies/<uuid:study_id>/report/pdf/", never_cache(reporting.report_print), name="report_pdf"),
    path("studies/<uuid:study_id>/report/amend/", never_cache(reporting.amend), name="report_amend"),
    path("studies/<uuid:study_id>/view/", never_cache(viewer.study_view), name="study_view"),
    path("studies/<uuid:study_id>/view/films/", never_cache(viewer.viewer_films), name="viewer_films"),
    path("audit/patients/<uuid:patient_id>/history/", never_cache(history.patient_history), name="patient_history"),
    path("audit/studies/<uuid:study_id>/history/", never_cache(history.study_history), name="study_history"),
    path("jobs/<uuid:job_id>/retry/", films.job_retry, name="job_retry"),
    path("images/<uuid:radiograph_id>/", images.radiograph_image, name="radiograph_image"),
    path("images/<uuid:radiograph_id>/reading/", images.reading_copy, name="reading_copy"),
    path("images/<uuid:prediction_id>/map/<slug:label>/", images.prediction_map, name="prediction_map"),
    path("retention/", never_cache(retention.retention), name="retention"),
    path("status/", never_cache(system.status), name="status"),
    path("models/", never_cache(models.model_list), name="model_list"),
    path("models/<uuid:model_id>/", never_cache(models.model_detail), name="model_detail"),
    path("models/<uuid:model_id>/figures/<slug:figure>.svg", models.model_figure, name="model_figure"),
    path("about/", system.about, name="about"),
]

"""The pages of the flow. May import: `diagnosis.views`. No page with patient data is kept by a browser's cache."""

from __future__ import annotations

from django.urls import path
from django.views.decorators.cache import never_cache

from diagnosis.views import films, history, images, models, send, system, viewer

urlpatterns = [
    path("", never_cache(send.home), name="home"),
    path("send/patient/", never_cache(send.patient_pick), name="patient_pick"),
    path("worklist/", never_cache(films.worklist), name="worklist"),
    path("patients/<uuid:patient_id>/", never_cache(films.patient_detail), name="patient_detail"),
    path("studies/<uuid:study_id>/", never_cache(films.study_detail), name="study_detail"),
    path("studies/<uuid:study_id>/status/", never_cache(films.study_status), name="study_status"),
    path("studies/<uuid:study_id>/view/", never_cache(viewer.study_view), name="study_view"),
    path("studies/<uuid:study_id>/view/films/", never_cache(viewer.viewer_films), name="viewer_films"),
    path("audit/patients/<uuid:patient_id>/history/", never_cache(history.patient_history), name="patient_history"),
    path("audit/studies/<uuid:study_id>/history/", never_cache(history.study_history), name="study_history"),
    path("jobs/<uuid:job_id>/retry/", films.job_retry, name="job_retry"),
    path("images/<uuid:radiograph_id>/", images.radiograph_image, name="radiograph_image"),
    path("images/<uuid:radiograph_id>/reading/", images.reading_copy, name="reading_copy"),
    path("images/<uuid:prediction_id>/map/<slug:label>/", images.prediction_map, name="prediction_map"),
    path("status/", never_cache(system.status), name="status"),
    path("models/", never_cache(models.model_list), name="model_list"),
    path("models/<uuid:model_id>/", never_cache(models.model_detail), name="model_detail"),
    path("models/<uuid:model_id>/figures/<slug:figure>.svg", models.model_figure, name="model_figure"),
    path("about/", system.about, name="about"),
]

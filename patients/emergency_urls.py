"""Addresses of emergency access, under `/emergency/`."""

from __future__ import annotations

from django.urls import path

from patients import emergency_views as views

urlpatterns = [
    path("", views.emergency, name="emergency"),
    path("uses/", views.emergency_uses, name="emergency_uses"),
    path("<uuid:use_id>/end/", views.emergency_end, name="emergency_end"),
]

"""Addresses of the pages that keep people and programs, under `/people/`."""

from __future__ import annotations

from django.urls import path

from patients import member_views as views

PERSON = "<uuid:clinic_id>/<int:person_id>/"
CLIENT = "<uuid:clinic_id>/programs/<int:client_id>/"

urlpatterns = [
    path("", views.member_list, name="member_list"),
    path("new/", views.person_new, name="person_new"),
    path(PERSON, views.person_detail, name="person_detail"),
    path(f"{PERSON}link/", views.person_link, name="person_link"),
    path(f"{PERSON}end/", views.person_end, name="person_end"),
    path("programs/new/", views.client_new, name="client_new"),
    path(CLIENT, views.client_detail, name="client_detail"),
    path(f"{CLIENT}token/", views.client_token, name="client_token"),
    path(f"{CLIENT}end/", views.client_revoke, name="client_revoke"),
]

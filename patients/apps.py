"""Registers the app with Django."""

from django.apps import AppConfig


class PatientsConfig(AppConfig):
    name = "patients"

"""Registers the app with Django."""

from django.apps import AppConfig


class PatientsConfig(AppConfig):
    name = "patients"

    def ready(self) -> None:
        from patients import actor  # noqa: F401  tells every new connection who acts

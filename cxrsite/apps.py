"""Registers the wiring with Django: its commands and start-up checks."""

from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "cxrsite"

    def ready(self) -> None:
        from cxrsite import checks  # noqa: F401  registers the checks

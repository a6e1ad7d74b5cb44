"""Registers the wiring with Django: its commands and start-up checks."""

from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "cxrsite"

    def ready(self) -> None:
        from django.conf import settings

        from cxrsite import celery, checks  # noqa: F401  the application that publishes hints; the start-up checks

        if settings.SENTRY_DSN:
            from cxrsite.sentry import sentry_start

            sentry_start(settings.SENTRY_DSN)

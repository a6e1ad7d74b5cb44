"""`manage.py worker_alive prepare|infer`: a container's health check, by what the worker said in the database.

A process that runs but does not work is not alive. May import: `diagnosis.models`.
"""

from __future__ import annotations

import socket
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management import BaseCommand, CommandError
from django.db.models.functions import Now

from diagnosis.models import Worker

SILENT = timedelta(seconds=60)


class Command(BaseCommand):
    help = "Exit 0 when this computer's worker of that kind was heard of within the last minute."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("kind", choices=[Worker.Kind.PREPARE, Worker.Kind.INFER])

    def handle(self, *args: Any, kind: str, **options: Any) -> None:
        here = Worker.objects.filter(kind=kind, name__contains=socket.gethostname(), seen_at__gt=Now() - SILENT)
        if not here.exists():
            raise CommandError(f"No {kind} worker of {socket.gethostname()} was heard of within the last minute.")

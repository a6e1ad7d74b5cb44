"""`manage.py sweeper`: looks after lost work until it is told to stop. Run two; each takes over from the other.

May import: `diagnosis.services`.
"""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management import BaseCommand

from diagnosis.services.recovery import sweep_until


class Command(BaseCommand):
    help = "Take back lost work whenever a sweep is due, until SIGTERM."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, lambda *_: stop.set())
        sweep_until(stop)

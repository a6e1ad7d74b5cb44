"""The Celery application. Workers import it; the web process uses it to publish hints.

May import: Celery, Django settings.
"""

from __future__ import annotations

import os
import warnings

from celery import Celery, signals
from celery.platforms import SecurityWarning

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cxrsite.settings.local")
# Celery would run every check, those of the pages too, and drop what they find; `prove_configuration` does it instead.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

# Celery's advice against root is about pickled messages; only JSON is accepted here.
warnings.filterwarnings("ignore", category=SecurityWarning)

app = Celery("cxrsite")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.worker_init.connect
def prove_configuration(**kwargs: object) -> None:
    """A worker that could not do its work says why and does not start."""
    from django.core.checks import run_checks

    from cxrsite.checks import OF_WORKERS
    from patients.actor import SYSTEM, process_acts_as

    process_acts_as(SYSTEM)
    found = run_checks(tags=OF_WORKERS, databases=["default"])
    if errors := [str(message) for message in found if message.is_serious()]:
        raise SystemExit("\n".join(errors))

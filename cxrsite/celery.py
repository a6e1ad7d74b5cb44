"""The Celery application. Workers import it; the web process uses it to publish hints.

May import: Celery, Django settings.
"""

from __future__ import annotations

import os
import warnings

from celery import Celery
from celery.platforms import SecurityWarning

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cxrsite.settings.local")

# Celery's advice against root is about pickled messages; only JSON is accepted here.
warnings.filterwarnings("ignore", category=SecurityWarning)

app = Celery("cxrsite")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

"""Settings of the naive design: Celery as it comes, on the same site, model and folders.

May import: `tests.faults.settings`.
"""

from __future__ import annotations

from tests.faults import settings as _settings
from tests.faults.settings import *  # noqa: F403

_SAME = ("CELERY_BROKER_URL", "CELERY_WORKER_HIJACK_ROOT_LOGGER", "CELERY_TASK_IGNORE_RESULT")
for _name in [name for name in vars(_settings) if name.startswith("CELERY_") and name not in _SAME]:
    del globals()[_name]

CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_IMPORTS = ["tests.faults.inside", "tests.faults.naive"]
INSTALLED_APPS = [*_settings.INSTALLED_APPS, "tests.faults.naive.Naive"]

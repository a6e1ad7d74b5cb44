"""Settings of the naive design after the usual advice: late acknowledgement, lost tasks back in the queue, short
visibility timeout, no hoarding.

May import: `tests.faults.naive_settings`.
"""

from __future__ import annotations

from tests.faults.naive_settings import *  # noqa: F403

CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 10}

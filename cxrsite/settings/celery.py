"""Celery's settings: Redis carries hints, PostgreSQL owns the jobs, so early acknowledgement is right.

May import: `cxrsite.settings.env`.
"""

from __future__ import annotations

from cxrsite.settings import env

CELERY_TASK_ACKS_LATE = False
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_BACKEND = None
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "prepare"
CELERY_TASK_ROUTES = {
    "diagnosis.prepare": {"queue": "prepare"},
    "diagnosis.infer": {"queue": "infer"},
}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_LOG_FORMAT = CELERY_WORKER_TASK_LOG_FORMAT = "%(levelname)s %(message)s"
CELERY_WORKER_LOG_COLOR = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_timeout": 10,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 10,
    "global_keyprefix": "cxr:",
}
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 25
# Prefork only, that is prepare: the solo infer worker has a watchdog of its own.
CELERY_WORKER_CONCURRENCY = env.PREPARE_CONCURRENCY
CELERY_TASK_TIME_LIMIT = 60
CELERY_TASK_SOFT_TIME_LIMIT = 45
# A child that decodes has an end. Both often reach it together, and nothing is prepared for a second or two.
CELERY_WORKER_MAX_TASKS_PER_CHILD = 500
# Celery would close the connection to the database around each task; `diagnosis.worker` keeps it as Django does.
CELERY_DB_REUSE_MAX = 1_000_000_000

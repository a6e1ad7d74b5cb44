"""Reads the process environment once and gives typed values. The only module that may read `os.environ`.

`.env.example` explains every variable. May import: the standard library and django-environ.
"""

from __future__ import annotations

from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve().parents[2]

_env = environ.Env()
_env_file = BASE_DIR / ".env"
if _env_file.is_file():
    _env.read_env(_env_file)

SECRET_KEY: str = _env.str("SECRET_KEY", default="")
DATABASE_URL: str = _env.str("DATABASE_URL", default="")
DATABASE_OWNER_URL: str = _env.str("DATABASE_OWNER_URL", default="")
REDIS_URL: str = _env.str("REDIS_URL", default="")
ALLOWED_HOSTS: list[str] = _env.list("ALLOWED_HOSTS", default=[])
CSRF_TRUSTED_ORIGINS: list[str] = _env.list("CSRF_TRUSTED_ORIGINS", default=[])
VAR_DIR = Path(_env.str("VAR_DIR", default="") or BASE_DIR / "var").resolve()
MEDIA_DIR = Path(_env.str("MEDIA_DIR", default="") or VAR_DIR / "media").resolve()
MODEL_DIR = Path(_env.str("MODEL_DIR", default="") or VAR_DIR / "models").resolve()
HOST: str = _env.str("HOST", default="127.0.0.1")
PORT: int = _env.int("PORT", default=8000)
MFA_REQUIRED: bool | None = _env.bool("MFA_REQUIRED", default=None)
SESSION_IDLE_MINUTES: int = _env.int("SESSION_IDLE_MINUTES", default=15)
SESSION_HOURS: int = _env.int("SESSION_HOURS", default=12)
MAX_UPLOAD_MB: int = _env.int("MAX_UPLOAD_MB", default=64)
MODEL_APPROVALS: int = _env.int("MODEL_APPROVALS", default=2)
INFER_BATCH: int = _env.int("INFER_BATCH", default=8)
INFER_ENGINE: str = _env.str("INFER_ENGINE", default="auto")
PREPARE_CONCURRENCY: int = _env.int("PREPARE_CONCURRENCY", default=2)
WEB_WORKERS: int = _env.int("WEB_WORKERS", default=2)
JOB_LEASE_SECONDS: int = _env.int("JOB_LEASE_SECONDS", default=60)
SWEEP_SECONDS: int = _env.int("SWEEP_SECONDS", default=10)
RATE_LIMITS: dict[str, int] = _env.dict("RATE_LIMITS", cast={"value": int}, default={})
SITE_URL: str = _env.str("SITE_URL", default="")
EMAIL_URL: str = _env.str("EMAIL_URL", default="")
CLAMAV_URL: str = _env.str("CLAMAV_URL", default="")
LOG_LEVEL: str = _env.str("LOG_LEVEL", default="INFO")
LOG_FORMAT: str = _env.str("LOG_FORMAT", default="line")
SENTRY_DSN: str = _env.str("SENTRY_DSN", default="")
METRICS_TOKEN: str = _env.str("METRICS_TOKEN", default="")
TEST_PROCESS: str = _env.str("PYTEST_XDIST_WORKER", default="")
SENDFILE_NGINX: bool = _env.bool("SENDFILE_NGINX", default=False)


def database_config(url: str) -> dict[str, object]:
    """Django's DATABASES entry for a `postgres://` URL: connections are kept, and checked before they serve again. They
    are kept for ten minutes, for where films come one by one each would else find new ones, and PostgreSQL cold."""
    return {**environ.Env.db_url_config(url), "CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True}


def email_config() -> dict[str, object]:
    """Django's EMAIL_ settings for `EMAIL_URL`; without one, mails are written to the log."""
    return dict(environ.Env.email_url_config(EMAIL_URL or "consolemail://"))

"""One computer, nothing installed beforehand: embedded servers, demo data, plain HTTP on loopback.

May import: `base`, `cxrsite.embedded`.
"""

from __future__ import annotations

import secrets

from cxrsite import embedded
from cxrsite.settings import env
from cxrsite.settings.base import *

for _folder in (VAR_DIR / "incoming", MEDIA_ROOT, MODEL_ROOT):
    _folder.mkdir(parents=True, exist_ok=True)


def _local_secret() -> str:
    """A secret of this checkout's own, made once and kept, so that sessions outlive a restart."""
    path = env.VAR_DIR / "secret_key"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(64))
    return path.read_text()


SECRET_KEY = env.SECRET_KEY or _local_secret()
ALLOWED_HOSTS = env.ALLOWED_HOSTS or ["*"]
DATABASES = {"default": env.database_config(embedded.database_url())}
CELERY_BROKER_URL = embedded.redis_url()
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"

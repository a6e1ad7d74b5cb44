"""One computer, nothing installed beforehand: embedded servers, demo data, plain HTTP on loopback.

May import: `base`, `cxrsite.embedded`.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress

from cxrsite import embedded
from cxrsite.settings import env
from cxrsite.settings.base import *


def _local_secret() -> str:
    """A secret of this checkout's own, made once and kept, so that sessions outlive a restart."""
    path = env.VAR_DIR / "secret_key"
    if not path.exists():
        draft = path.with_suffix(f".{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(64))
        with suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text()


SECRET_KEY = env.SECRET_KEY or _local_secret()
ALLOWED_HOSTS = env.ALLOWED_HOSTS or ["*"]
DATABASES = {"default": env.database_config(embedded.database_url())}
DATABASE_OWNER = env.database_config(embedded.owner_url())
ONE_DATABASE_LOGIN_WILL_DO = True
CELERY_BROKER_URL = embedded.redis_url()
# A browser takes localhost for a safe place also without TLS.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = True

"""A clinic's server: secrets from the environment, HTTPS only, second factor for everybody.

Refuses to start while a secret is missing. May import: `base`, `cxrsite.settings.env`.
"""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

from cxrsite.settings import env
from cxrsite.settings.base import *

NEEDED = {
    "SECRET_KEY": "a long random text: python -c 'import secrets; print(secrets.token_urlsafe(64))'",
    "DATABASE_URL": "where PostgreSQL is: postgres://user:password@host:5432/name",
    "REDIS_URL": "where Redis is: redis://host:6379/0",
    "ALLOWED_HOSTS": "the names people type, separated by commas: xray.example.org",
}
if missing := [name for name in NEEDED if not getattr(env, name)]:
    raise ImproperlyConfigured(
        "The site does not start without these variables (see .env.example). "
        + " ".join(f"{name}: {NEEDED[name]}." for name in missing)
    )

DATABASES = {"default": env.database_config(env.DATABASE_URL)}
DATABASE_OWNER = env.database_config(env.DATABASE_OWNER_URL or env.DATABASE_URL)
CELERY_BROKER_URL = env.REDIS_URL
MFA_REQUIRED = env.MFA_REQUIRED is not False

# nginx terminates TLS, sets this header itself and never passes a client's own.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = True
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$", r"^progressz$"]
SECURE_HSTS_SECONDS = 365 * 24 * 60 * 60
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_NAME = "__Host-sessionid"
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_NAME = "__Host-csrftoken"
CSRF_COOKIE_SECURE = True
CSRF_COOKIE_HTTPONLY = True
CSRF_TRUSTED_ORIGINS = env.CSRF_TRUSTED_ORIGINS or [f"https://{host}" for host in env.ALLOWED_HOSTS if host != "*"]
SITE_URL = env.SITE_URL or next(iter(CSRF_TRUSTED_ORIGINS), SITE_URL)
MIDDLEWARE = ["cxrsite.middleware.ForwardedAddressMiddleware", *MIDDLEWARE]

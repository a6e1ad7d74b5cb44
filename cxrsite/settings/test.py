"""The test run: as local, with its own media folder and fast password hashing.

May import: `local`.
"""

from __future__ import annotations

from cxrsite.settings.local import *

MEDIA_ROOT = VAR_DIR / "test-media"
MEDIA_ROOT.mkdir(exist_ok=True)
SENDFILE_ROOT = str(MEDIA_ROOT)
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# A site running beside the tests shares their Redis and must not take their hints; nor must tests in another process.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    **CELERY_BROKER_TRANSPORT_OPTIONS,
    "global_keyprefix": f"cxr-test{env.TEST_PROCESS}:",
}
# Each test client would otherwise read the whole static folder anew.
WHITENOISE_AUTOREFRESH = True
# `make lint` reads migrations with it.
INSTALLED_APPS = [*INSTALLED_APPS, "django_migration_linter"]
# Most tests need a model that speaks, not how it came to; those of the two-person rule set it to 2.
MODEL_APPROVALS = 1
# A test that is about the shared cache asks for it.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

"""The test run: as local, with its own media folder and fast password hashing.

May import: `local`.
"""

from __future__ import annotations

from cxrsite.settings.local import *  # noqa: F403

MEDIA_ROOT = VAR_DIR / "test-media"  # noqa: F405
SENDFILE_ROOT = str(MEDIA_ROOT)
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

"""Keys of second factors lie encrypted in the database, so that a copy of it lets nobody in.

May import: allauth, cryptography, Django.
"""

from __future__ import annotations

import base64
import hashlib
import logging

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.totp.internal.auth import generate_totp_secret
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

logger = logging.getLogger(__name__)
#: What begins so is encrypted; what does not was stored before there was encryption.
_MARK = "fernet:"


class MFAAdapter(DefaultMFAAdapter):
    """The key is made from `SECRET_KEY`; those of `SECRET_KEY_FALLBACKS` still open what was written with them."""

    def encrypt(self, text: str) -> str:
        return _MARK + _keys().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Where no key opens it, a key that nobody knows: the factor is refused, and the log says why."""
        if not encrypted_text.startswith(_MARK):
            return encrypted_text
        try:
            return _keys().decrypt(encrypted_text.removeprefix(_MARK)).decode()
        except InvalidToken:
            logger.error("a second factor cannot be read: SECRET_KEY is not the one it was stored with")
            return generate_totp_secret()


def _keys() -> MultiFernet:
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    digests = (hashlib.sha256(f"keys of second factors {secret}".encode()).digest() for secret in secrets)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])

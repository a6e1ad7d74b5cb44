"""Receives an upload: streams to disk, counts and hashes while receiving.

May import: Django only.
"""

from __future__ import annotations

from django.core.files.uploadhandler import TemporaryFileUploadHandler


class FilmUploadHandler(TemporaryFileUploadHandler):
    """First version: Django's own; the flow replaces it by one that counts and hashes."""

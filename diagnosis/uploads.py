"""Receives an upload: streams it to disk, counts and hashes while receiving, refuses early what cannot be a film.

May import: Django, `patients.audit`, `patients.errors`. Serves Django's and DRF's multipart parsing alike; the file
it hands over goes to `diagnosis.services.intake`.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Any, NoReturn

from django.conf import settings
from django.core.exceptions import BadRequest, TooManyFilesSent
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest
from django.http.multipartparser import MultiPartParser, MultiPartParserError

from patients.audit import audit_record
from patients.errors import ApplicationError

#: What Django's parser raises, as people read it.
_REFUSALS = {TooManyFilesSent: "too_many_files", MultiPartParserError: "length_mismatch"}
#: A boundary has at most 200 bytes (Django's limit), a little may follow the last.
_LONGEST_END = 512
#: What form fields and part headers may add to the film's own bytes.
FORM_OVERHEAD_BYTES = 1_000_000


class UploadRefusedError(ApplicationError, BadRequest):
    """A coded refusal while the body is still being read. As a BadRequest it also surfaces where no view runs yet
    (the CSRF check reads the form): Django then asks `handler400`, which answers with the code's own status."""


class FilmUpload(TemporaryUploadedFile):
    """A received file, in a temporary file that vanishes when the request ends. `sha256` is of its bytes."""

    sha256: str = ""


class FilmUploadHandler(FileUploadHandler):
    """The handler named in the settings. Measures the whole body; `_FilmReceiver` takes the file out of it.

    Raises UploadRefusedError: `content_encoding_unsupported`, `length_mismatch` (no length, or cut off),
    `file_too_large`, `too_many_files`, `storage_unavailable`.
    """

    def __init__(self, request: HttpRequest | None = None) -> None:
        super().__init__(request)
        headers = request.META if request is not None else {}
        if headers.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() != "identity":
            refuse(request, "content_encoding_unsupported")
        if "HTTP_TRANSFER_ENCODING" in headers and not headers.get("CONTENT_LENGTH"):
            refuse(request, "length_mismatch")

    def handle_raw_input(
        self, input_data: Any, META: Any, content_length: int, boundary: Any, encoding: str | None = None
    ) -> tuple[Any, Any]:
        """Parses the body itself, so that a body shorter than its declared length is noticed, and one that was declared
        too short: its last boundary is missing."""
        body: Any = _WatchedBody(input_data)
        receiver = _FilmReceiver(self.request, content_length)
        try:
            fields, files = MultiPartParser(META, body, [receiver], encoding).parse()
        except BaseException as error:
            receiver.discard()
            if code := _REFUSALS.get(type(error)):
                refuse(self.request, code)
            raise
        if body.count < content_length or not body.ends_with(boundary):
            for each in (file for _, group in files.lists() for file in group):
                each.close()
            refuse(self.request, "length_mismatch")
        return fields, files


class _FilmReceiver(FileUploadHandler):
    """Writes one file part to disk."""

    chunk_size = 256 * 1024

    def __init__(self, request: HttpRequest | None, content_length: int) -> None:
        super().__init__(request)
        self._content_length = content_length
        self._file: FilmUpload | None = None

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        if self._content_length > settings.MAX_UPLOAD_BYTES + FORM_OVERHEAD_BYTES:
            self._refuse_size(self._content_length)
        try:
            self._file = FilmUpload(self.file_name or "", self.content_type, 0, self.charset, self.content_type_extra)
        except OSError:
            refuse(self.request, "storage_unavailable")
        self._hash = hashlib.sha256()
        self._size = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        assert self._file is not None
        self._size += len(raw_data)
        if self._size > settings.MAX_UPLOAD_BYTES:
            self._refuse_size(max(self._size, self._content_length))
        self._hash.update(raw_data)
        try:
            self._file.write(raw_data)
        except OSError:
            refuse(self.request, "storage_unavailable")

    def file_complete(self, file_size: int) -> FilmUpload:
        assert self._file is not None
        try:
            self._file.seek(0)
        except OSError:  # the last bytes leave the buffer here
            refuse(self.request, "storage_unavailable")
        self._file.size = self._size
        self._file.sha256 = self._hash.hexdigest()
        return self._file

    def upload_interrupted(self) -> None:
        self.discard()

    def discard(self) -> None:
        """Remove what was received. Safe to repeat."""
        if self._file is not None:
            with suppress(OSError):  # closing flushes, and the disk may be what failed
                self._file.close()

    def _refuse_size(self, size: int) -> NoReturn:
        limit = settings.MAX_UPLOAD_BYTES
        refuse(
            self.request,
            "file_too_large",
            size=max(round(size / 1_000_000), limit // 1_000_000 + 1),
            limit=limit // 1_000_000,
        )


class _WatchedBody:
    """The request's body, with how much of it was read and how it ended."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._tail = b""
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._stream.read(size)
        self.count += len(data)
        self._tail = (self._tail + data[-_LONGEST_END:])[-_LONGEST_END:]
        return data

    def ends_with(self, boundary: bytes) -> bool:
        """Whether the last boundary came, which only blanks or a short epilogue may follow."""
        return b"--" + boundary + b"--" in self._tail


def refuse(request: HttpRequest | None, code: str, **params: object) -> NoReturn:
    """Record the refusal for whoever is signed in, then raise it."""
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        audit_record(user=user, verb="upload", outcome=code)
    raise UploadRefusedError(code, fields=None, **params)

"""Fixtures of the flow: received uploads made from synthetic films."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from diagnosis.uploads import FilmUpload
from tests.synthetic import as_png, synthetic_film


@pytest.fixture
def upload_of() -> Callable[..., FilmUpload]:
    """`upload_of(data, name, content_type)`: a file as the upload handler hands it over."""

    def make(data: bytes, name: str = "film.png", content_type: str = "image/png") -> FilmUpload:
        upload = FilmUpload(name, content_type, len(data), None)
        upload.write(data)
        upload.flush()
        upload.sha256 = hashlib.sha256(data).hexdigest()
        return upload

    return make


@pytest.fixture
def film(upload_of: Callable[..., FilmUpload]) -> FilmUpload:
    return upload_of(as_png(synthetic_film(1)))

"""Synthetic films and bad files for every test: the one import a test needs.

May import `tests.films`, `tests.encodings`, `tests.bad_inputs.files`. Nothing here comes from a patient.
"""

from __future__ import annotations

from tests.bad_inputs.files import BadFile, bad_files
from tests.encodings import WRITABLE_SYNTAXES, as_dicom, as_gif, as_jpeg, as_png, as_png16, written
from tests.films import read_film_id, synthetic_film

__all__ = [
    "WRITABLE_SYNTAXES",
    "BadFile",
    "as_dicom",
    "as_gif",
    "as_jpeg",
    "as_png",
    "as_png16",
    "bad_files",
    "read_film_id",
    "synthetic_film",
    "written",
]

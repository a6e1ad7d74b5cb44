"""Joins the image codes of `mlcore` to the one table of coded errors, each with its HTTP status.

May import: `patients.errors`, `mlcore.contracts`.
"""

from __future__ import annotations

from mlcore.contracts import IMAGE_CODES
from patients.errors import CODES, ErrorCode

_STATUS = {"file_empty": 400, "unsupported_media_type": 415, "type_mismatch": 415}
_WARNINGS = {"trailing_data_removed", "low_resolution", "quality_low_contrast", "quality_inverted", "quality_unusual"}

for _code, _sentence in IMAGE_CODES.items():
    _status = 201 if _code in _WARNINGS else _STATUS.get(_code, 422)
    CODES[_code] = ErrorCode(_status, _code.replace("_", " ").capitalize(), _sentence)

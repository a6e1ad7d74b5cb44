"""What every refusal of the API must look like.

May import: the table of codes.
"""

from __future__ import annotations

import json
import re
from typing import Any

from patients.errors import CODES

_INTERNAL = re.compile(r"Traceback|File \"|/[a-z]+/[a-z_]+/.*\.py|SELECT |psycopg|Exception|django", re.IGNORECASE)


def assert_problem(response: Any, code: str, status: int | None = None) -> dict[str, Any]:
    """RFC 9457 with our code and a reference, and nothing of our insides; returns the body."""
    text = response.content.decode()
    assert response.headers["Content-Type"] == "application/problem+json", (response.status_code, text[:300])
    body = json.loads(text)
    assert body["code"] == code, body
    assert response.status_code == body["status"] == (status or CODES[code].status)
    assert body["type"] == f"urn:cxr:problem:{code}"
    assert body["title"] == CODES[code].title
    assert body["detail"]
    assert body["request_id"] == response.headers["X-Request-ID"]
    assert not _INTERNAL.search(text), text
    assert set(body) <= {"type", "title", "status", "detail", "code", "request_id", "errors"}
    return body

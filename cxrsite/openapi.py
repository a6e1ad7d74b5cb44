"""The published description of the API and its page. Errors are described once, here, for every operation.

May import: drf-spectacular, `patients.errors`, `cxrsite.api`.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.authentication import SessionScheme
from drf_spectacular.contrib.knox_auth_token import KnoxTokenScheme
from drf_spectacular.views import SpectacularSwaggerSplitView

from patients.errors import CODES


class TokenScheme(KnoxTokenScheme):
    """`manage.py issue_token USERNAME` prints a token."""

    target_class = "cxrsite.api.TokenAuthentication"
    name = "token"


class BrowserScheme(SessionScheme):
    target_class = "cxrsite.api.SessionAuthentication"
    name = "session"


_TEXT = {"type": "string"}
PROBLEM = {
    "type": "object",
    "description": "RFC 9457. `code` is stable; `detail` is a sentence for a person; quote `request_id` to your "
    "administrator. `errors` names fields, where fields are at fault.",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "code": {"type": "string", "enum": []},
        "request_id": _TEXT,
        "errors": {"type": "object", "additionalProperties": {"type": "array", "items": _TEXT}},
    },
    "example": {
        "type": "urn:cxr:problem:not_found",
        "title": "Not found",
        "status": 404,
        "detail": "There is nothing here, or you may not see it.",
        "code": "not_found",
        "request_id": "5b0c2a0e-5f0e-4d0e-9b6e-0f3f6f1f5a10",
    },
}


def document_problems(result: dict[str, Any], **kwargs: object) -> dict[str, Any]:
    """drf-spectacular's hook: every operation may answer with a problem."""
    refusals = sorted(code for code, entry in CODES.items() if entry.status >= 400)
    properties = PROBLEM["properties"] | {"code": {"type": "string", "enum": refusals}}
    result["components"].setdefault("schemas", {})["Problem"] = PROBLEM | {"properties": properties}
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path in result["paths"].values():
        for operation in path.values():
            operation["responses"]["default"] = {"description": "Any refusal or fault.", "content": content}
    return result


def document_births(result: dict[str, Any], **kwargs: object) -> dict[str, Any]:
    """drf-spectacular's hook: a new patient comes with a birth date or a birth year, which no serializer can say."""
    new = result["components"]["schemas"]["PatientNewRequest"]
    new["properties"]["birth_date"].pop("nullable", None)
    new["anyOf"] = [{"required": ["birth_date"]}, {"required": ["birth_year"]}]
    return result


class SwaggerView(SpectacularSwaggerSplitView):
    """The page of the description: local files, its script from an address of its own, nothing inline."""

    url_name = "api:schema"
    template_name = "api/docs.html"

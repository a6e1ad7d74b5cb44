"""Errors as people and clients see them: RFC 9457 problem+json in the API, the same sentence on a page.

May import: Django, DRF, `patients.errors`, `diagnosis.errors`.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

import diagnosis.errors  # noqa: F401  joins the image codes to the table
from patients.errors import CODES, ApplicationError, error_sentence


def problem(request: HttpRequest | None, code: str, *, errors: dict[str, Any] | None = None, **params: Any) -> JsonResponse:
    """The RFC 9457 answer for a code of the table."""
    entry = CODES[code]
    request_id = getattr(request, "request_id", "")
    body: dict[str, Any] = {
        "type": f"urn:cxr:problem:{code}",
        "title": entry.title,
        "status": entry.status,
        "detail": error_sentence(code, **{"request_id": request_id, **params}),
        "code": code,
        "request_id": request_id,
    }
    if errors:
        body["errors"] = errors
    return JsonResponse(body, status=entry.status, content_type="application/problem+json")


def error_page(request: HttpRequest, error: ApplicationError) -> HttpResponse:
    """A page (or JSON where the caller asked for it) with the sentence of the error."""
    if request.path.startswith("/api/"):
        return problem(request, error.code, errors=error.fields, **error.params)
    context = {"code": error.code, "title": CODES[error.code].title, "detail": error.detail}
    return render(request, "errors/error.html", context, status=error.status)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's CSRF failure view in our words."""
    return error_page(request, ApplicationError("csrf_failed"))


def exception_handler(error: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """DRF's exception handler (first version)."""
    request = context["request"]
    if isinstance(error, ApplicationError):
        return problem(request, error.code, errors=error.fields, **error.params)
    from rest_framework.views import exception_handler as default

    return default(error, context)

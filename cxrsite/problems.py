"""Errors as people and clients see them: RFC 9457 problem+json under `/api/`, the same sentence on a page elsewhere.

Every exception becomes one code of the table; what has no code of its own is `internal_error` with a reference.
Never in an answer: traces, paths, SQL, values. May import: Django, DRF, `patients.errors`, `diagnosis.errors`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any

from django.core import exceptions as django_errors
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.shortcuts import render
from rest_framework import exceptions as drf_errors

import diagnosis.errors  # noqa: F401  joins the image codes to the table
from cxrsite.logs import fault_facts
from patients.errors import CODES, ApplicationError

log = logging.getLogger("cxrsite.problems")

#: Seconds after which a client may try again, by code.
RETRY_AFTER = {"idempotency_in_progress": 2, "storage_unavailable": 30, "temporarily_unavailable": 30}


# --- any exception → one coded error


class CsrfFailedError(drf_errors.PermissionDenied):
    """A browser's request without the token of its page."""


def coded(error: BaseException) -> ApplicationError:
    """The coded error that stands for any exception; `internal_error` where nothing fits better."""
    if isinstance(error, ApplicationError):
        return error
    for kinds, answer in _ANSWERS:
        if isinstance(error, kinds):
            return answer(error) if callable(answer) else ApplicationError(answer)
    return ApplicationError("internal_error")


def _invalid(error: drf_errors.ValidationError) -> ApplicationError:
    """A serializer's refusal: one sentence list per field, nested ones under `outer.inner`."""
    if isinstance(error.detail, dict):
        return ApplicationError("invalid_input", fields=dict(_flat(error.detail)))
    return ApplicationError("invalid_json")


def _flat(detail: Any, name: str = "") -> list[tuple[str, list[str]]]:
    if isinstance(detail, Mapping):
        return [pair for key, value in detail.items() for pair in _flat(value, f"{name}.{key}".strip("."))]
    if any(isinstance(each, (Mapping, list)) for each in detail):
        return [pair for place, value in enumerate(detail) if value for pair in _flat(value, f"{name}.{place}")]
    return [(name, [str(sentence) for sentence in detail])]


def _unreadable_body(error: drf_errors.ParseError) -> ApplicationError:
    broken_upload = isinstance(error.__context__, MultiPartParserError)
    return ApplicationError("length_mismatch" if broken_upload else "invalid_json")


def _throttled(error: drf_errors.Throttled) -> ApplicationError:
    return ApplicationError("rate_limited", seconds=error.wait or 1)


def _wrong_method(error: drf_errors.MethodNotAllowed) -> ApplicationError:
    return ApplicationError("method_not_allowed", method=error.args[0] if error.args else "this method")


Answer = str | Callable[[Any], ApplicationError]

#: First match wins; a code, or what makes the coded error.
_ANSWERS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], Answer], ...] = (
    (drf_errors.ValidationError, _invalid),
    (drf_errors.ParseError, _unreadable_body),
    (drf_errors.Throttled, _throttled),
    (drf_errors.MethodNotAllowed, _wrong_method),
    (drf_errors.NotAcceptable, "not_acceptable"),
    (drf_errors.UnsupportedMediaType, "unsupported_body"),
    ((drf_errors.NotAuthenticated, drf_errors.AuthenticationFailed), "not_authenticated"),
    (CsrfFailedError, "csrf_failed"),
    ((drf_errors.PermissionDenied, django_errors.PermissionDenied), "permission_denied"),
    ((drf_errors.NotFound, Http404), "not_found"),
    (django_errors.TooManyFilesSent, "too_many_files"),
    (django_errors.RequestDataTooBig, "invalid_json"),
    ((UnreadablePostError, MultiPartParserError), "length_mismatch"),
    (django_errors.SuspiciousOperation, "invalid_input"),
    ((OperationalError, InterfaceError), "temporarily_unavailable"),
    (OSError, "storage_unavailable"),
)


# --- one coded error → an answer


def problem(request: HttpRequest | None, error: ApplicationError) -> JsonResponse:
    """The RFC 9457 answer, with `Retry-After` where waiting helps."""
    reference = getattr(request, "request_id", "")
    error.params.setdefault("request_id", reference)
    body: dict[str, Any] = {
        "type": f"urn:cxr:problem:{error.code}",
        "title": CODES[error.code].title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "request_id": reference,
    }
    if error.fields:
        body["errors"] = error.fields
    response = JsonResponse(body, status=error.status, content_type="application/problem+json")
    return _with_headers(response, error)


def for_program(request: HttpRequest) -> bool:
    """Is the answer read by a program: a client of the API, or a page's script that asks for problem+json?"""
    return request.path.startswith("/api/") or "application/problem+json" in request.headers.get("Accept", "")


def error_page(request: HttpRequest, error: ApplicationError) -> HttpResponse:
    """A page with the sentence of the error; problem+json for programs."""
    if for_program(request):
        return problem(request, error)
    reference = getattr(request, "request_id", "")
    error.params.setdefault("request_id", reference)
    context = {"code": error.code, "title": CODES[error.code].title, "detail": error.detail, "request_id": reference}
    try:
        response = render(request, "errors/error.html", context, status=error.status)
    except Exception as failure:  # the database may be away: then the page cannot say who is signed in
        log_fault(failure)
        response = HttpResponse(error.detail, status=error.status, content_type="text/plain; charset=utf-8")
    return _with_headers(response, error)


def _with_headers(response: HttpResponse, error: ApplicationError) -> Any:
    wait = error.params.get("seconds") if error.code == "rate_limited" else RETRY_AFTER.get(error.code)
    if wait is not None:
        response["Retry-After"] = str(wait)
    response["Cache-Control"] = "no-store"
    return response


def log_fault(error: BaseException) -> None:
    """What went wrong and where, without the message: it may hold a patient's data. The line carries the reference."""
    log.error("a request met a fault", extra=fault_facts(error))


# --- where Django and DRF ask


def exception_handler(error: Exception, context: dict[str, Any]) -> HttpResponse:
    """DRF's: whatever a view, an authenticator or a parser raised."""
    request = context["request"]
    answer = coded(error)
    if answer.code == "unsupported_body":
        answer.params["expected"] = " or ".join(sorted({each.media_type for each in context["view"].parser_classes}))
    if answer.status >= 500 and not isinstance(error, ApplicationError):
        log_fault(error)
    response = problem(request, answer)
    if challenge := getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = challenge
    return response


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return error_page(request, ApplicationError("csrf_failed"))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_page(request, coded(exception))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_page(request, coded(exception))


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_page(request, ApplicationError("not_found"))


def server_error(request: HttpRequest) -> HttpResponse:
    """Anything uncaught, in a view or a middleware: the database or the disk may be away, else it is our fault."""
    error = sys.exc_info()[1]
    if error is None:
        return error_page(request, ApplicationError("internal_error"))
    log_fault(error)
    return error_page(request, coded(error))

"""Per-request wiring: the request's reference, the second-factor rule, and coded errors on pages.

May import: Django, `cxrsite.problems`, `cxrsite.accounts`, and of `patients`: access, actor, context, errors.
"""

from __future__ import annotations

import hashlib
import logging
import time
import uuid
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from pghistory.middleware import HistoryMiddleware
from structlog.contextvars import bound_contextvars

from cxrsite import problems
from cxrsite.accounts import sign_in_again
from patients import actor
from patients.access import is_system_admin
from patients.context import RequestContext, set_current_request
from patients.errors import ApplicationError

log = logging.getLogger("cxrsite.requests")

GetResponse = Callable[[HttpRequest], HttpResponse]


class ForwardedAddressMiddleware:
    """Behind our nginx the client's address is the last one of `X-Forwarded-For`: the one nginx itself saw."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if forwarded := request.headers.get("X-Forwarded-For", ""):
            request.META["REMOTE_ADDR"] = forwarded.rsplit(",", 1)[-1].strip()
        return self.get_response(request)


class RequestContextMiddleware:
    """Gives each request a reference that a person can quote and every log line of the request carries; writes one line
    about each request that changed something or failed. Pages that refresh themselves would drown everything else."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.monotonic()
        request.request_id = str(uuid.uuid4())
        address = request.META.get("REMOTE_ADDR") or None
        set_current_request(RequestContext(request.request_id, address, session=lambda: log_in_of(request)))
        with bound_contextvars(request_id=request.request_id):
            try:
                response = self.get_response(request)
                self._log(request, response, time.monotonic() - started)
            finally:
                set_current_request(None)
        response["X-Request-ID"] = request.request_id
        return response

    @staticmethod
    def _log(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
        """The path alone: a query string may hold a patient's name."""
        status = response.status_code
        level = logging.ERROR if status >= 500 else logging.INFO
        if status < 400 and request.method in ("GET", "HEAD", "OPTIONS"):
            level = logging.DEBUG
        said = {"method": request.method, "path": request.path, "status": status, "milliseconds": round(seconds * 1000)}
        log.log(level, "request", extra=said)


class ProtectiveHeadersMiddleware:
    """What the libraries leave out: no other site may embed an answer, and no cache keeps one that did not say how."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        response.headers.setdefault("Cache-Control", "private, no-store")
        return response


def log_in_of(request: HttpRequest) -> str:
    """A short hash that tells the log-in or token of this request from others; empty for anonymous visitors."""
    token = getattr(request, "auth", None)
    session = getattr(request, "session", None)
    key = getattr(token, "token_key", None) or getattr(session, "session_key", None)
    return hashlib.sha256(key.encode()).hexdigest()[:16] if key else ""


class HistoryContextMiddleware(HistoryMiddleware):
    """Rows that this request changes say in their history who did it, in which request."""

    def get_context(self, request: HttpRequest) -> dict[str, Any]:
        return {"user": request.user.pk, "request": request.request_id}


class ActorMiddleware:
    """Tells the database who asks: nobody until a page knows its person, nobody again at the end.

    A system administrator reads across clinics in the administration only. The API tells by itself (`cxrsite.api`).
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with actor.acting_as(actor.NOBODY):
            return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        if not getattr(view, "login_required", True):
            return
        administration = request.resolver_match is not None and "admin" in request.resolver_match.app_names
        as_administrator = administration and is_system_admin(request.user)
        actor.act_as((actor.administrator if as_administrator else actor.person)(request.user))


class MfaRequiredMiddleware:
    """Where `MFA_REQUIRED` is on, a signed-in person without a second factor can only set one up."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.MFA_REQUIRED and request.user.is_authenticated and not self._allowed(request):
            if request.path.startswith("/api/"):
                return problems.error_page(request, ApplicationError("mfa_required"))
            return redirect("mfa_index")
        return self.get_response(request)

    @staticmethod
    def _allowed(request: HttpRequest) -> bool:
        """Recovery codes alone are no factor: they are what is left when an administrator took a lost one away."""
        from allauth.mfa.models import Authenticator
        from allauth.mfa.utils import is_mfa_enabled

        factors = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]
        return request.path.startswith(("/accounts/", "/static/", "/livez")) or is_mfa_enabled(request.user, factors)


class ApplicationErrorMiddleware:
    """A coded refusal raised by a page becomes a page with the same sentence as in the API; so does a bare 405."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code == 405 and not response.content:
            page = problems.error_page(request, ApplicationError("method_not_allowed", method=request.method))
            page["Allow"] = response["Allow"]
            return page
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, ApplicationError):
            return None
        if exception.code == "reauthentication_required" and not problems.for_program(request):
            return sign_in_again(request)
        return problems.error_page(request, exception)

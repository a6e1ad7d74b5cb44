"""Sessions end: after a time without activity, after a day's work, and at once when a person is no longer let in.

May import: Django, `patients.sessions`, `patients.access`, `cxrsite.problems`. The script `static/js/session.js` warns.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode, urlsplit

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from django_htmx.http import HttpResponseClientRedirect

from cxrsite import problems
from patients import access
from patients.errors import ApplicationError
from patients.sessions import access_end, session_renew, session_time_left

SAFE = ("GET", "HEAD", "OPTIONS")


class SessionLimitsMiddleware:
    """Signs out whoever's session is over, and says so on the sign-in page, which brings the person back.

    Needs the person (AuthenticationMiddleware). Leaves `request.session_left` for the pages' warning.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            if why := _ended(request):
                logout(request)
                return _signed_out(request, why)
            if is_activity(request):
                session_renew(request.session)
            request.session_left = session_time_left(request.session)
        return self.get_response(request)


def is_activity(request: HttpRequest) -> bool:
    """Did a person do this: open a page or send something? Pages that refresh themselves, pictures and scripts'
    questions keep no session alive."""
    if request.method not in SAFE:
        return True
    by_itself = "HX-Request" in request.headers or problems.for_program(request)
    return not by_itself and request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"


def _ended(request: HttpRequest) -> str:
    if not access.is_let_in(request.user):
        access_end(user=request.user)
        return "left"
    return session_time_left(request.session).ended


def _signed_out(request: HttpRequest, why: str) -> HttpResponse:
    """To the sign-in page and afterwards back to the page that was open. Programs are told that they are nobody."""
    if problems.for_program(request):
        return problems.problem(request, ApplicationError("not_authenticated"))
    htmx = "HX-Request" in request.headers
    came_from = request.headers.get("HX-Current-URL" if htmx else "Referer", "/")
    page = urlsplit(request.get_full_path() if request.method in SAFE and not htmx else came_from)
    back = page.path + (f"?{page.query}" if page.query else "")
    lost = {} if request.method in SAFE else {"lost": "1"}
    address = f"{reverse('account_login')}?{urlencode({'ended': why, **lost, 'next': back})}"
    return HttpResponseClientRedirect(address) if htmx else redirect(address)


@never_cache
@require_http_methods(["GET", "POST"])
def session_state(request: HttpRequest) -> HttpResponse:
    """For the warning on every page: how long the session lasts. A POST says that the person is there."""
    left = session_time_left(request.session)
    return JsonResponse({"seconds": left.seconds, "renewable": left.can_be_renewed})

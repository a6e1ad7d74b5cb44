"""How people sign in: nobody signs up by themselves; lock-outs answer in our words; step-up leads away and back.

May import: allauth, Django, `cxrsite.problems`, `patients.stepup`, `patients.sessions`,
`patients.locks`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

from allauth.account.adapter import DefaultAccountAdapter, get_adapter
from allauth.account.internal.flows.reauthentication import STATE_SESSION_KEY
from allauth.core.internal.httpkit import serialize_request
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django_htmx.http import HttpResponseClientRedirect

from cxrsite import problems
from patients.errors import ApplicationError
from patients.locks import lock_wait
from patients.sessions import session_begin, sessions_end
from patients.stepup import signed_in_recently


class AccountAdapter(DefaultAccountAdapter):
    """Accounts are made by a clinic or system administrator."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Wrong passwords are counted by axes alone, in the database; allauth would count them a second time."""

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Any:
        """Tries for one name from one address wait for each other: of a hundred at once no more than
        `AXES_FAILURE_LIMIT` are looked at before the name is locked."""
        with transaction.atomic():
            lock_wait(f"sign-in {lockout_username(request, credentials)} {request.META.get('REMOTE_ADDR')}")
            return super().authenticate(request, **credentials)

    def login(self, request: HttpRequest, user: Any) -> None:
        super().login(request, user)
        session_begin(request.session)

    def set_password(self, user: Any, password: str) -> None:
        """A new password signs the person out everywhere."""
        super().set_password(user, password)
        sessions_end(user=user)

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Changes of one's own factors follow the same rule as every other step-up."""
        return not signed_in_recently(self.request)

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        """Whoever has a second factor shows that one: a password alone could have been read over a shoulder."""
        methods = super().get_reauthentication_methods(user)
        return [method for method in methods if method["id"] != "reauthenticate"] or methods


def sign_in_again(request: HttpRequest) -> HttpResponse:
    """Step-up on a page: to the page that asks for password or second factor, and back. A posted form waits in the
    session and is handed to its view, as it was, once the person has signed in again."""
    methods = get_adapter().get_reauthentication_methods(request.user)
    if not methods:
        return problems.error_page(request, ApplicationError("permission_denied"))
    if request.htmx:
        here = urlsplit(request.htmx.current_url or "/")
        query = urlencode({"next": here.path + (f"?{here.query}" if here.query else "")})
        return HttpResponseClientRedirect(f"{methods[0]['url']}?{query}")
    back = request.get_full_path()
    if request.method == "POST":
        request.session[STATE_SESSION_KEY] = {"request": serialize_request(request)}
        back = request.path  # the kept form brings its query along
    return redirect(f"{methods[0]['url']}?{urlencode({'next': back})}")


def lockout_username(request: HttpRequest, credentials: dict[str, str] | None = None) -> str:
    """Whose failed sign-ins are counted together: a name in other letters is the same name."""
    return (credentials or {}).get("username", "").casefold()


def lockout_response(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """Too many sign-in attempts: the same answer whether or not the user exists."""
    return problems.error_page(request, ApplicationError("account_locked"))

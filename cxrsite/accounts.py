"""How people sign in: nobody signs up by themselves; lock-outs answer in our words.

May import: allauth, Django, `cxrsite.problems`.
"""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest, HttpResponse

from cxrsite import problems
from patients.errors import ApplicationError


class AccountAdapter(DefaultAccountAdapter):
    """Accounts are made by a clinic or system administrator."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False


def lockout_username(request: HttpRequest, credentials: dict[str, str] | None = None) -> str:
    """Whose failed sign-ins are counted together: a name in other letters is the same name."""
    return (credentials or {}).get("username", "").casefold()


def lockout_response(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """Too many sign-in attempts: the same answer whether or not the user exists."""
    return problems.error_page(request, ApplicationError("account_locked"))

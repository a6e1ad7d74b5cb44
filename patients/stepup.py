"""Step-up sign-in: what weighs most asks once more who is there. `require_recent_sign_in(request)` and a decorator.

May import: Django, allauth, `patients.errors`. A page is then sent to the sign-in page and comes back by itself
(`cxrsite.accounts.sign_in_again`); the API and scripts answer `reauthentication_required`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any

from allauth.account.authentication import get_authentication_records
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from patients.errors import ApplicationError


def signed_in_recently(request: HttpRequest) -> bool:
    """Was it proved within `STEP_UP_SECONDS` that the person is there: by the second factor where they had one?

    Only a browser's session holds such proof, so a program with a token is never recent. A second factor that was set
    up after the password was given has proved itself by being set up.
    """
    since = time.time() - settings.STEP_UP_SECONDS
    proofs = {
        record["method"]: record["at"]
        for record in get_authentication_records(request, request.user)
        if record["at"] > since
    }
    if "mfa" in proofs or "password" not in proofs:
        return "mfa" in proofs
    at = datetime.fromtimestamp(proofs["password"], UTC)
    return not Authenticator.objects.filter(user=request.user, created_at__lt=at).exists()


def require_recent_sign_in(request: HttpRequest) -> None:
    """Raise `reauthentication_required` (403) unless the person has signed in, or done so again, within 15 minutes.

    Call it before anything is changed: on a page the form is kept and sent once more, unaltered, after the person has
    signed in again. Forms with files and forms sent by htmx are not kept; do not use it for those.
    """
    if not signed_in_recently(request):
        raise ApplicationError("reauthentication_required")


def recent_sign_in_required(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """`require_recent_sign_in` before a view."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        require_recent_sign_in(request)
        return view(request, *args, **kwargs)

    return guarded

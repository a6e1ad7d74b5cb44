"""A person's sessions and tokens: how long they last, and how they end at once when the person is no longer let in.

May import: Django, allauth, knox, `patients.access`. The middleware of `cxrsite.sessions` asks here on every request.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.db import transaction
from knox.models import AuthToken

from patients import access

if TYPE_CHECKING:
    from patients.models import User

#: A page that is opened within so many seconds after another one is not written down anew.
GRANULARITY = 5


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """Seconds until a session ends: for want of activity (`idle`), and however busy the person is (`in_all`)."""

    idle: float
    in_all: float

    @property
    def seconds(self) -> int:
        return max(0, int(min(self.idle, self.in_all)))

    @property
    def can_be_renewed(self) -> bool:
        """Does activity prolong it to more than another minute?"""
        return self.in_all > 60

    @property
    def ended(self) -> str:
        """Why the session is over: `long`, `idle`, or empty while it lasts."""
        return "long" if self.in_all <= 0 else "idle" if self.idle <= 0 else ""


def session_time_left(session: Any) -> TimeLeft:
    """By the server's clock. A session from before there were limits begins now."""
    now = time.time()
    return TimeLeft(
        idle=session.get("active_at", now) + settings.SESSION_IDLE_SECONDS - now,
        in_all=session.get("began_at", now) + settings.SESSION_COOKIE_AGE - now,
    )


def session_begin(session: Any) -> None:
    """The person has signed in now."""
    session["began_at"] = session["active_at"] = time.time()


def session_renew(session: Any) -> None:
    """The person did something now."""
    now = time.time()
    session.setdefault("began_at", now)
    if now - session.get("active_at", 0) >= GRANULARITY:
        session["active_at"] = now


@transaction.atomic
def sessions_end(*, user: User) -> None:
    """Sign the person out everywhere. Repeating it does nothing."""
    for session in UserSession.objects.filter(user=user):
        session.end()


@transaction.atomic
def access_end(*, user: User) -> None:
    """Delete every session and token of a person who is no longer let in (see `access.is_let_in`): call it after a
    deactivation or the end of a membership. Who is still let in elsewhere keeps both."""
    if not access.is_let_in(user):
        sessions_end(user=user)
        AuthToken.objects.filter(user=user).delete()

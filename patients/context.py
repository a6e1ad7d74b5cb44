"""The facts of the current web request that the audit needs, set by `cxrsite.middleware`, empty in workers.

May import: the standard library only.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, replace


def _no_session() -> str:
    return ""


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Where a request came from, the reference a person can quote, and why it is made.

    `session` tells which log-in it belongs to, as a short hash; it is asked late, because a token is only known once
    the API has read it. `purpose` and `reason` are empty unless somebody said them.
    """

    request_id: str
    ip_address: str | None
    session: Callable[[], str] = _no_session
    purpose: str = ""
    reason: str = ""


_current: ContextVar[RequestContext | None] = ContextVar("request_context", default=None)


def current_request() -> RequestContext | None:
    """The context of the request being answered, or None outside one."""
    return _current.get()


def set_current_request(context: RequestContext | None) -> None:
    """Called by the middleware at the start and end of each request."""
    _current.set(context)


def purpose_state(*, purpose: str, reason: str) -> None:
    """From here to the end of the request everything is done for this purpose, and recorded so."""
    if (context := _current.get()) is not None:
        _current.set(replace(context, purpose=purpose, reason=reason))

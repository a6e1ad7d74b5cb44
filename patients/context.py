"""The facts of the current web request that the audit needs, set by `cxrsite.middleware`, empty in workers.

May import: the standard library only.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


def _no_session() -> str:
    return ""


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Where a request came from and the reference a person can quote.

    `session` tells which log-in it belongs to, as a short hash; it is asked late, because a token is only known once
    the API has read it. `rights` is where `patients.access` keeps what it has read for this request, by user.
    """

    request_id: str
    ip_address: str | None
    session: Callable[[], str] = _no_session
    rights: dict[Any, Any] = field(default_factory=dict, compare=False)


_current: ContextVar[RequestContext | None] = ContextVar("request_context", default=None)


def current_request() -> RequestContext | None:
    """The context of the request being answered, or None outside one."""
    return _current.get()


def set_current_request(context: RequestContext | None) -> None:
    """Called by the middleware at the start and end of each request."""
    _current.set(context)

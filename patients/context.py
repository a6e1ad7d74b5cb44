"""The facts of the current web request that the audit needs, set by `cxrsite.middleware`, empty in workers.

May import: the standard library only.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Where a request came from and the reference a person can quote."""

    request_id: str
    ip_address: str | None


_current: ContextVar[RequestContext | None] = ContextVar("request_context", default=None)


def current_request() -> RequestContext | None:
    """The context of the request being answered, or None outside one."""
    return _current.get()


def set_current_request(context: RequestContext | None) -> None:
    """Called by the middleware at the start and end of each request."""
    _current.set(context)

"""Optional: faults are told to a Sentry server (`SENTRY_DSN`), cut down to what cannot name a patient.

Of an event only what is listed here leaves: kind and places of the exception, the log's sentence without its values,
our own reference of the request. May import: sentry-sdk, Django settings. Off unless an address is given.
"""

from __future__ import annotations

from typing import Any

import sentry_sdk
from sentry_sdk.integrations.logging import ignore_logger
from structlog.contextvars import get_contextvars

KEPT = ("event_id", "timestamp", "level", "platform", "logger", "release", "environment", "server_name", "sdk", "type")
FRAME_KEPT = ("filename", "function", "lineno", "module", "in_app")


def sentry_start(dsn: str, **options: Any) -> None:
    """Tell faults to the server at `dsn` from now on."""
    ignore_logger("cxrsite.requests")  # says of a fault only that there was one
    sentry_sdk.init(
        dsn=dsn,
        send_default_pii=False,
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        traces_sample_rate=None,
        before_send=event_scrub,
        **options,
    )


def event_scrub(event: Any, hint: Any) -> Any:
    """A new event made of what may leave; everything that is not named here stays."""
    kept = {name: event[name] for name in KEPT if name in event}
    if values := event.get("exception", {}).get("values"):
        kept["exception"] = {"values": [_exception_scrub(each) for each in values]}
    if sentence := event.get("logentry", {}).get("message"):
        kept["logentry"] = {"message": sentence, "params": []}
    ids = get_contextvars()
    kept["tags"] = {name: str(ids[name]) for name in ("request_id", "job_id") if name in ids}
    return kept


def _exception_scrub(value: dict[str, Any]) -> dict[str, Any]:
    frames = (value.get("stacktrace") or {}).get("frames", [])
    places = [{name: frame[name] for name in FRAME_KEPT if name in frame} for frame in frames]
    return {"type": value.get("type"), "module": value.get("module"), "stacktrace": {"frames": places}}

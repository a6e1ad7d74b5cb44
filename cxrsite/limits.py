"""How often one may ask: counted in PostgreSQL in one statement, so a limit holds across web processes.

Per token or person, per address for visitors; uploads and searches have limits of their own. The numbers are
`RATE_LIMITS` of the settings, per minute. May import: DRF, Django, `patients.errors`, `cxrsite.models`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from cxrsite import problems
from cxrsite.models import RequestCount
from patients.errors import ApplicationError

WINDOW = 60  # seconds
FORGOTTEN_AFTER = timedelta(hours=1)

#: (method, name of the address) → the limit that it has besides that of whoever asks.
OWN_LIMITS = {
    ("POST", "home"): "upload",
    ("POST", "api:study-list"): "upload",
    ("POST", "api:study-radiographs"): "upload",
    ("POST", "patient_list"): "search",
    ("POST", "patient_pick"): "search",
    ("GET", "api:patient-list"): "search",
    ("POST", "api:patient-matches"): "search",
}

# A window begins with its first request. Rows are locked for the time of one statement, always in the same order.
_COUNT = f"""
INSERT INTO {RequestCount._meta.db_table} AS seen (key, began_at, count)
SELECT key, clock_timestamp(), 1 FROM unnest(%(keys)s) AS key
ON CONFLICT (key) DO UPDATE SET
  began_at = CASE WHEN seen.began_at > clock_timestamp() - %(window)s * interval '1 second'
                  THEN seen.began_at ELSE clock_timestamp() END,
  count    = CASE WHEN seen.began_at > clock_timestamp() - %(window)s * interval '1 second'
                  THEN seen.count + 1 ELSE 1 END
RETURNING split_part(key, ':', 1), count, ceil(extract(epoch FROM began_at - clock_timestamp()) + %(window)s)::int
"""  # noqa: S608  the table's own name


def request_count(counted: Mapping[str, object]) -> None:
    """Count one request of somebody against each limit, `{limit: who}`; raise `rate_limited` (429, with the seconds to
    wait) when there were too many for one of them."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, {"keys": [f"{limit}:{who}" for limit, who in counted.items()], "window": WINDOW})
        found = cursor.fetchall()
    waits = [seconds for limit, count, seconds in found if count > settings.RATE_LIMITS[limit]]
    if waits:
        raise ApplicationError("rate_limited", seconds=max(1, *waits))


@transaction.atomic
def request_counts_forget(*, at_most: int = 1000) -> int:
    """Delete counts of windows that were over an hour ago, a bounded number each time, and tell how many. Called by the
    sweeper (`SWEPT_AS_WELL`); a row that is counted at this moment is left alone."""
    over = RequestCount.objects.filter(began_at__lt=Now() - FORGOTTEN_AFTER).order_by()
    idle = list(over.select_for_update(skip_locked=True).values_list("pk", flat=True)[:at_most])
    return RequestCount.objects.filter(pk__in=idle).delete()[0] if idle else 0


def visitor_count(request: HttpRequest | Request) -> None:
    """Count a request of somebody who is not, or not validly, signed in."""
    request_count({"visitor": request.META.get("REMOTE_ADDR", "")})


def _own_limit(request: HttpRequest) -> str | None:
    return OWN_LIMITS.get((request.method or "", request.resolver_match.view_name)) if request.resolver_match else None


class ApiLimits(BaseThrottle):
    """DRF asks this once it knows who is there. Visitors are counted where they are refused (`cxrsite.api`)."""

    def allow_request(self, request: Request, view: Any) -> bool:
        kind, who = ("token", request.auth.pk[:32]) if request.auth else ("person", request.user.pk)
        own = _own_limit(request._request)
        request_count({kind: who} | ({own: f"{kind}:{who}"} if own else {}))
        return True


class PageLimitsMiddleware:
    """The pages that search and upload have the same limits as the API."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        own = _own_limit(request)
        if own is None or request.path.startswith("/api/") or not request.user.is_authenticated:
            return None
        try:
            request_count({own: f"person:{request.user.pk}"})
        except ApplicationError as error:
            return problems.error_page(request, error)
        return None

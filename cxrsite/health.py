"""Three addresses for machines: `/livez` (this process answers), `/readyz` (it can serve a clinic), `/progressz` (films
move on).

May import: Django, `diagnosis.throughput`.
"""

from __future__ import annotations

import os
from ipaddress import ip_address

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from diagnosis.throughput import kinds_stuck


@never_cache
@login_not_required
@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """The process answers. Asks nothing else, so that a sick database does not get the web server restarted."""
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
@login_not_required
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when films can be taken in, 503 with what is missing. Answers this computer only; others see 404."""
    if not _from_here(request):
        raise Http404
    parts = {"database": _database_answers(), "storage": os.access(settings.MEDIA_ROOT, os.W_OK | os.X_OK)}
    return JsonResponse(parts, status=200 if all(parts.values()) else 503)


@never_cache
@login_not_required
@require_safe
def progressz(request: HttpRequest) -> HttpResponse:
    """200 while films move on or none waits, 503 with the kind of work that is stuck. Looks at the jobs, not at the
    processes: one that runs and does nothing is found. Answers this computer only; others see 404."""
    if not _from_here(request):
        raise Http404
    try:
        stuck = kinds_stuck()
    except DatabaseError:
        return JsonResponse({"database": False}, status=503)
    return JsonResponse({"stuck": stuck}, status=503 if stuck else 200)


def _from_here(request: HttpRequest) -> bool:
    try:
        return ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True

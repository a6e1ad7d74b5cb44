"""What every API view shares: closed by default, strict JSON, stable keyset pages.

May import: DRF, `cxrsite.problems`.
"""

from __future__ import annotations

from rest_framework import authentication, pagination, parsers, permissions


class SessionAuthentication(authentication.SessionAuthentication):
    """A signed-in browser; answers 401 rather than 403 to nobody."""

    def authenticate_header(self, request: object) -> str:
        return "Session"


class ClosedByDefault(permissions.BasePermission):
    """Signed in and active, or nothing. What a person may do is decided by `patients.access`."""

    def has_permission(self, request: object, view: object) -> bool:
        return bool(request.user and request.user.is_authenticated and request.user.is_active)


class StrictJSONParser(parsers.JSONParser):
    """JSON without NaN or Infinity."""

    strict = True


class KeysetPagination(pagination.CursorPagination):
    """Pages that stay stable while films arrive: newest first, no count over the table."""

    ordering = ("-created_at", "-id")
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200

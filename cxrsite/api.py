"""The rules that every API view follows, plugged in by the settings: who you are, strict bodies, strict parameters,
stable pages.

May import: DRF, knox, django-filter, `cxrsite.problems`, `cxrsite.limits`, and of `patients` access, actor, errors,
keyset, sessions. What the views of both apps share by import lies in `patients/api/base.py`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import IO, Any
from uuid import UUID

import knox.auth
from django.db.models import QuerySet
from django.utils import timezone
from django_filters.rest_framework import CharFilter, DjangoFilterBackend
from rest_framework import authentication, exceptions, metadata, pagination, parsers, permissions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from cxrsite.limits import visitor_count
from cxrsite.problems import CsrfFailedError
from patients import access, actor
from patients.errors import ApplicationError
from patients.keyset import keyset_page
from patients.sessions import access_end

# --- who you are


class TellsTheDatabase:
    """Whoever is known from here on is who acts in the database, too."""

    def authenticate(self, request: Request) -> Any:
        known = super().authenticate(request)  # type: ignore[misc]
        if known is not None:
            actor.act_as(actor.person(known[0]))
        return known


class TokenAuthentication(TellsTheDatabase, knox.auth.TokenAuthentication):
    """`Authorization: Token …`; a token that is not even text is an unknown token, and so is that of a person who is
    no longer let in."""

    def authenticate(self, request: Request) -> Any:
        try:
            return super().authenticate(request)
        except exceptions.AuthenticationFailed:
            visitor_count(request)
            raise

    def authenticate_credentials(self, token: bytes) -> Any:
        if not token.isalnum():
            raise exceptions.AuthenticationFailed
        user, row = super().authenticate_credentials(token)
        if not access.is_let_in(user):
            access_end(user=user)
            raise exceptions.AuthenticationFailed
        return user, row

    def _cleanup_token(self, auth_token: Any) -> bool:
        """Has the token expired, and is it gone now? knox would read all tokens of the person each time, to remove
        others that have; those the sweeper removes."""
        if auth_token.expiry is None or auth_token.expiry >= timezone.now():
            return False
        auth_token.delete()
        return True

    def validate_user(self, auth_token: Any) -> Any:
        """A program never signs in, so its last sign-in is when its token was last used, to the minute."""
        user, _ = found = super().validate_user(auth_token)
        now = timezone.now()
        if not user.has_usable_password() and (user.last_login is None or now - user.last_login > timedelta(minutes=1)):
            type(user).objects.filter(pk=user.pk).update(last_login=now)
        return found


class SessionAuthentication(TellsTheDatabase, authentication.SessionAuthentication):
    """A signed-in browser, with the token of its page on every change."""

    def authenticate_header(self, request: object) -> str:
        return "Session"

    def enforce_csrf(self, request: Request) -> None:
        try:
            super().enforce_csrf(request)
        except exceptions.PermissionDenied as error:
            raise CsrfFailedError from error


class ClosedByDefault(permissions.BasePermission):
    """Signed in and active, or nothing. What a person may do is decided by `patients.access`."""

    def has_permission(self, request: Request, view: object) -> bool:
        if request.user and request.user.is_authenticated and request.user.is_active:
            return True
        visitor_count(request)
        return False


# --- bodies


class StrictJSONParser(parsers.JSONParser):
    """JSON objects in UTF-8, without NaN or Infinity, without a key twice, of bounded size and depth.

    Being a `JSONParser` it is handed a body of at most `DATA_UPLOAD_MAX_MEMORY_SIZE` bytes.
    """

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: object = None) -> dict[str, Any]:
        try:
            body = json.loads(
                stream.read().decode(), parse_constant=_refuse_constant, object_pairs_hook=_object_with_each_key_once
            )
        except (ValueError, RecursionError) as error:
            raise exceptions.ParseError from error
        if not isinstance(body, dict):
            raise exceptions.ParseError
        return body


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _object_with_each_key_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    body = dict(pairs)
    if len(body) < len(pairs):
        raise ValueError("a key is given twice")
    return body


class MethodsOnly(metadata.BaseMetadata):
    """OPTIONS says which methods an address accepts, nothing about its data."""

    def determine_metadata(self, request: Request, view: Any) -> dict[str, list[str]]:
        return {"methods": view.allowed_methods}


# --- parameters


class StrictFilterBackend(DjangoFilterBackend):
    """Filters that refuse what they do not know: `invalid_parameter` names the parameter and what it may be."""

    def filter_queryset(self, request: Request, queryset: QuerySet, view: Any) -> QuerySet:
        filterset = self.get_filterset(request, queryset, view)
        filters = filterset.filters if filterset else {}
        known = sorted({*filters, *view.paginator.parameters})
        for name in request.query_params:
            if name not in known:
                raise ApplicationError("invalid_parameter", field=name, allowed=", ".join(known))
        for name, each in filters.items():
            # A forgotten value would otherwise be no filter, and the answer everything.
            if request.query_params.get(name) == "" and not isinstance(each, CharFilter):
                raise ApplicationError("invalid_parameter", field=name, allowed=_allowed(each, ["not empty"]))
        if filterset is None:
            return queryset
        if not filterset.is_valid():
            name, sentences = next(iter(filterset.errors.items()))
            raise ApplicationError("invalid_parameter", field=name, allowed=_allowed(filters[name], sentences))
        return filterset.qs


def _allowed(each: Any, sentences: Iterable[str]) -> str:
    """The choices of a filter, or what its form field says of the value."""
    choices = each.extra.get("choices")
    if choices is None:
        return _KINDS.get(type(each).__name__, " ".join(sentences))
    return ", ".join(str(value) for value, _ in choices)


_KINDS = {
    "UUIDFilter": "ids",
    "MomentFilter": "dates with time, such as 2026-05-03T10:15:00Z",
    "NumberFilter": "whole numbers",
    "BooleanFilter": "true, false",
}


# --- pages


@dataclass(frozen=True, slots=True)
class Position:
    """The row with which the page before ended."""

    created_at: datetime
    id: UUID


class KeysetPagination(pagination.BasePagination):
    """Pages that stay stable while films arrive: the cursor holds the last row's time and id, and nothing is counted.

    `ordering` is `-created_at` (newest first, the default) or `created_at`; `page_size` is 1 to 200. The answer is
    `{"next": address or null, "results": […]}`.
    """

    orderings = ("-created_at", "created_at")
    parameters = ("cursor", "ordering", "page_size")
    page_size = 50
    max_page_size = 200

    def paginate_queryset(self, queryset: QuerySet, request: Request, view: Any = None) -> list[Any]:
        ordering = request.query_params.get("ordering", self.orderings[0])
        if ordering not in self.orderings:
            raise ApplicationError("invalid_parameter", field="ordering", allowed=", ".join(self.orderings))
        size = self._size(request.query_params.get("page_size"))
        cursor = request.query_params.get("cursor")
        after = self._position(cursor) if cursor else None
        oldest_first = ordering == "created_at"
        bare = view.filter_queryset(queryset.model._default_manager.all())
        rows, more = keyset_page(queryset, request.user, size=size, bare=bare, after=after, oldest_first=oldest_first)
        self.next = self._link(request, rows[-1]) if more else None
        return rows

    def get_paginated_response(self, data: list[Any]) -> Response:
        return Response({"next": self.next, "results": data})

    def _size(self, given: str | None) -> int:
        if given is None:
            return self.page_size
        if not (given.isascii() and given.isdecimal() and len(given) < 4 and 1 <= int(given) <= self.max_page_size):
            raise ApplicationError("invalid_parameter", field="page_size", allowed=f"1 to {self.max_page_size}")
        return int(given)

    def _position(self, cursor: str) -> Position:
        try:
            moment, row = base64.urlsafe_b64decode(cursor.encode("ascii")).decode("ascii").split("|")
            when = datetime.fromisoformat(moment)
            if when.tzinfo is None:
                raise ValueError("a moment without its offset")
            return Position(when.astimezone(UTC), UUID(row))
        except (ValueError, OverflowError) as error:
            raise ApplicationError("invalid_parameter", field="cursor", allowed="those given in `next`") from error

    def _link(self, request: Request, row: Any) -> str:
        cursor = base64.urlsafe_b64encode(f"{row.created_at.isoformat()}|{row.pk}".encode("ascii")).decode("ascii")
        return replace_query_param(request.build_absolute_uri(), "cursor", cursor)

    # what the OpenAPI schema says of it

    def get_schema_operation_parameters(self, view: object) -> list[dict[str, Any]]:
        def parameter(name: str, description: str, **schema: object) -> dict[str, Any]:
            return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}

        return [
            parameter("cursor", "From the `next` address of the page before.", type="string"),
            parameter("ordering", "Newest or oldest first.", type="string", enum=list(self.orderings)),
            parameter("page_size", "Rows per page.", type="integer", minimum=1, maximum=self.max_page_size),
        ]

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        following = {"type": "string", "format": "uri", "nullable": True, "description": "The next page."}
        return {
            "type": "object",
            "required": ["next", "results"],
            "properties": {"next": following, "results": schema},
        }

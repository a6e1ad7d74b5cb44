"""What API views of both apps share: strict bodies, checked text and days, reads that are recorded.

May import: DRF, `patients.access`, `patients.audit`, `patients.text`. Parsers, paging, filters and errors come from
the settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import models
from rest_framework import serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from patients import access
from patients.audit import audit_list, audit_record
from patients.errors import ApplicationError
from patients.models import Patient
from patients.text import clean_text


class StrictSerializer(serializers.Serializer):
    """A body whose every field is known: `unknown_field` names the first that is not."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            known = {name for name, field in self.fields.items() if not field.read_only}
            unknown = sorted(set(data) - known - {"csrfmiddlewaretoken"})
            if unknown:
                raise ApplicationError("unknown_field", field=unknown[0][:64])
        return super().to_internal_value(data)


class TextField(serializers.CharField):
    """One line of text in any script; `invalid_text` for what cannot be stored or is longer than `max_length`. A JSON
    number is no text: `0017` and 17 are two numbers of two people."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return clean_text(super().to_internal_value(data), field=str(self.field_name), limit=self.max_length)


class DayField(serializers.DateField):
    """A day, `2026-05-03`; `invalid_date` for anything else."""

    def fail(self, key: str, **kwargs: Any) -> None:
        if key in ("invalid", "datetime"):
            raise ApplicationError("invalid_date", field=self.field_name)
        super().fail(key, **kwargs)


class IdField(serializers.UUIDField):
    """The id of a row; what is no id is as unknown as any other: `not_found`."""

    def fail(self, key: str, **kwargs: Any) -> None:
        if key == "invalid":
            raise ApplicationError("not_found")
        super().fail(key, **kwargs)


def validated(serializer: serializers.Serializer) -> dict[str, Any]:
    """The checked body, or the refusal of the first rule that it breaks."""
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data


def required(field: str) -> ApplicationError:
    """The refusal of a body in which `field` is missing."""
    return ApplicationError("invalid_input", fields={field: ["This field is required."]})


class RecordedViewSet(viewsets.GenericViewSet):
    """Lists and single rows of patient data: `visible_to` decides, the audit is written before anything leaves.

    `get_queryset` selects what `owner` needs; rows are narrowed to the user here as well.
    """

    def owner(self, row: Any) -> Patient:
        """The patient whom a row is about, with the clinic selected."""
        raise NotImplementedError

    def represent(self, rows: Sequence[models.Model]) -> list[dict[str, Any]]:
        """Rows as the client sees them."""
        return self.get_serializer(rows, many=True).data

    def visible(self, id: str) -> Any:
        """The row of this id, or `not_found`: the same answer for unknown, foreign and malformed ids."""
        return access.get_visible(self.get_queryset(), self.request.user, pk=id)

    def list(self, request: Request) -> Response:
        rows = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        audit_list(user=request.user, patients={self.owner(row) for row in rows})
        return self.get_paginated_response(self.represent(rows))

    def retrieve(self, request: Request, id: str) -> Response:
        return Response(self.shown(self.visible(id)))

    def shown(self, row: models.Model) -> dict[str, Any]:
        """One row as the client sees it; the read is recorded first."""
        patient = self.owner(row)
        audit_record(user=self.request.user, verb="read", target=row, clinic=patient.clinic, patient=patient)
        return self.represent([row])[0]

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response.headers.setdefault("Cache-Control", "private, no-store")
        return super().finalize_response(request, response, *args, **kwargs)

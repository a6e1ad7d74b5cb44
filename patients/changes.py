"""Reads of the history: who changed which field of a row from what to what, when.

May import: Django, `patients.models`, `patients.history`. Callers decide whose history may be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from django.db.models import QuerySet

from patients.history import History
from patients.models import Consent, PatientIdentifier, User

#: The doctor's and the model's words about a patient: that they changed is told, what they said is not.
CLINICAL = frozenset(
    {
        *("indication", "quality", "warnings", "message"),
        *("findings_text", "drafted_text", "impression", "amendment_reason", "label", "verdict", "reason"),
        *("title", "action_taken", "void_reason", "outcome", "model_was", "note"),
    }
)
_DONE = {"insert": "added", "update": "changed", "delete": "removed", "found": "there when the history began, noted"}
_OUTSIDE = "somebody outside the application"
_WHAT = {"patient": "Record", "radiograph": "Film"}


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field. Without texts only the fact is told."""

    name: str
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One version of one row against the version before it. `user` is the id of who did it; None for the system, or
    for whoever changed the database past the application."""

    at: datetime
    what: str
    done: str
    by: str
    user: int | None
    fields: tuple[FieldChange, ...]


def changes_read(*versions: QuerySet[Any]) -> list[Change]:
    """The changes in these histories, newest first. One query per history, and one for names."""
    found = [pair for each in versions for pair in _pairs(each.order_by("pgh_obj_id", "pgh_id"))]
    names = _names(found)
    changes = [_change(before, version, names) for before, version in found]
    return sorted(changes, key=lambda change: change.at, reverse=True)


def _pairs(versions: QuerySet[Any]) -> Iterator[tuple[History | None, Any]]:
    """Each version with the one before it, None for a row's first."""
    for _, of_row in groupby(versions, key=lambda version: version.pgh_obj_id):
        before = None
        for version in of_row:
            yield before, version
            before = version


def _names(found: Iterable[tuple[Any, Any]]) -> dict[int, str]:
    """Names of everybody who did something or is named in a version."""
    ids = {(version.pgh_context or {}).get("user") for _, version in found}
    for _, version in found:
        ids |= {getattr(version, field.attname) for field in version._meta.fields if field.related_model is User}
    return {user.pk: user.display_name for user in User.objects.filter(pk__in=ids - {None})}


def _change(before: Any, version: Any, names: dict[int, str]) -> Change:
    context = version.pgh_context or {}
    user = context.get("user")
    program = context.get("worker") or context.get("command")
    by = names.get(user, "") if user else f"the system ({program})" if program else _OUTSIDE
    fields = tuple(_differing(before, version, names)) if before is not None else ()
    return Change(version.pgh_created_at, _what(version), _DONE[version.pgh_label], by, user, fields)


def _what(version: Any) -> str:
    """What a version is one of; a number is named, for it is nothing else."""
    model = version.pgh_tracked_model
    if model is PatientIdentifier:
        return f"Number {version.system} {version.value}"
    if model is Consent:
        return f"Consent to {version.get_purpose_display().lower()} ({version.get_decision_display().lower()})"
    return _WHAT.get(model._meta.model_name, model._meta.verbose_name.capitalize())


def _differing(before: Any, version: Any, names: dict[int, str]) -> Iterator[FieldChange]:
    for field in version._meta.fields:
        old, new = getattr(before, field.attname), getattr(version, field.attname)
        if field.name.startswith("pgh_") or old == new:
            continue
        if field.name in CLINICAL:
            yield FieldChange(field.verbose_name)
        else:
            yield FieldChange(field.verbose_name, _text(field, old, names), _text(field, new, names))


def _text(field: Any, value: Any, names: dict[int, str]) -> str:
    if value is None or value == "":
        return ""
    if field.related_model is User:
        return names.get(value, str(value))
    return str(dict(field.flatchoices).get(value, value))

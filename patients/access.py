"""May this user do this to this object? The only place that answers; the policy itself is `patients.policy`.

Memberships are read from the database once in every request, never from a cookie or token. May import: Django,
`patients.context` and `patients.policy`; models are reached lazily so that querysets can use this module.

Out of scope answers 404 (a foreign object does not exist for you); in scope but forbidden answers 403.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.utils import timezone

from patients.context import current_request
from patients.errors import ApplicationError
from patients.policy import (
    BREAK_GLASS,
    BREAK_GLASS_ROLES,
    CLIENT,
    CLINIC_ADMIN,
    DOCTOR,
    MATRIX,
    SCOPES,
    SYSTEM,
    Action,
    Reach,
)

if TYPE_CHECKING:
    from patients.models import BreakGlass, Clinic, Membership, User

__all__ = ["CLIENT", "CLINIC_ADMIN", "DOCTOR", "MATRIX", "SYSTEM", "Action", "Reach"]


def is_system_admin(user: User) -> bool:
    """A superuser runs the system and reads no images."""
    return bool(user.is_authenticated and user.is_active and user.is_superuser)


def holds_now() -> Q:
    """Memberships whose time has come and is not over."""
    now = timezone.now()
    return Q(valid_to__isnull=True, valid_from__lte=now) | Q(valid_to__gt=now, valid_from__lte=now)


def active_memberships(user: User) -> QuerySet:
    """The user's memberships that hold now; none for anonymous or deactivated users."""
    memberships = apps.get_model("patients", "Membership").objects
    if not (user.is_authenticated and user.is_active):
        return memberships.none()
    return memberships.filter(holds_now(), user=user)


class Rights:
    """What a user's memberships and emergency access allow: two queries, asked when they are needed and once."""

    def __init__(self, user: User) -> None:
        self._user = user

    @cached_property
    def memberships(self) -> list[Membership]:
        """Those that hold now, with their clinics."""
        return list(active_memberships(self._user).select_related("clinic"))

    @cached_property
    def break_glass(self) -> list[BreakGlass]:
        """Emergency access that holds now, with its clinics, while the user still is what entitled them to it."""
        if not self.may_break_glass:
            return []
        now = timezone.now()
        uses = apps.get_model("patients", "BreakGlass").objects.select_related("clinic")
        return list(uses.filter(user=self._user, started_at__lte=now, ends_at__gt=now))

    @property
    def may_break_glass(self) -> bool:
        """May this person open a clinic's records in an emergency?"""
        roles = {membership.role for membership in self.memberships}
        return is_system_admin(self._user) or not roles.isdisjoint(BREAK_GLASS_ROLES)

    def clinics(self, action: Action | None = None, reach: Reach = Reach.CLINIC) -> list[UUID]:
        """Ids of the clinics where the user may do `action` with this reach; of all their clinics without an action.

        `Reach.CLINIC` includes what the clinic's policy lets a role reach, and what is read by break-glass.
        """
        held = [each for each in self.memberships if action is None or _reach(each, action) == reach]
        ids = [membership.clinic_id for membership in held]
        if reach == Reach.CLINIC and action in BREAK_GLASS:
            ids += [use.clinic_id for use in self.break_glass]
        return list(dict.fromkeys(ids))


def rights_of(user: User) -> Rights:
    """The user's rights: while a request is answered as they were when it first asked, else as they are now."""
    request = current_request()
    if request is None or not user.is_authenticated:
        return Rights(user)
    return request.rights.setdefault(user.pk, Rights(user))


def rights_changed(user: User) -> None:
    """Whoever asks next within this request reads the user's rights again."""
    if (request := current_request()) is not None:
        request.rights.pop(user.pk, None)


def is_let_in(user: User) -> bool:
    """Has the account a use at all: a system administrator's, or one with a role at some clinic now?"""
    return is_system_admin(user) or bool(rights_of(user).memberships)


def clinic_ids(user: User, action: Action | None = None, reach: Reach = Reach.CLINIC) -> list[UUID]:
    """`Rights.clinics` of this user."""
    return rights_of(user).clinics(action, reach)


def clinics_known(user: User, action: Action) -> list[Clinic]:
    """The clinics of `clinic_ids`, by name; no query beside those of the rights."""
    rights = rights_of(user)
    reached = set(rights.clinics(action))
    held: list[Membership | BreakGlass] = [*rights.memberships, *rights.break_glass]
    found = {each.clinic_id: each.clinic for each in held if each.clinic_id in reached}
    return sorted(found.values(), key=lambda clinic: clinic.name)


def _reach(membership: Membership, action: Action) -> Reach | None:
    """How far the membership lets its holder do `action`; None for not at all."""
    reach = MATRIX[action].get(membership.role)
    if reach == Reach.POLICY:
        return Reach.CLINIC if membership.clinic.show_unread_results else None
    if membership.role == CLIENT and SCOPES.get(action, "") not in ("", *membership.scopes):
        return None
    return reach


def can_at(user: User, action: Action, clinic: Clinic) -> bool:
    """May the user do `action` at this clinic, to whatever they see of it?"""
    return (SYSTEM in MATRIX[action] and is_system_admin(user)) or clinic.pk in clinic_ids(user, action)


def actions_of(held: Iterable[Membership]) -> list[Action]:
    """Everything that these memberships of one clinic allow, to all of it or part, in the order of the table."""
    memberships = list(held)
    return [action for action in MATRIX if any(_reach(each, action) for each in memberships)]


def require_at(user: User, action: Action, clinic: Clinic) -> None:
    """Raise `permission_denied` (403) unless the user may do `action` at this clinic."""
    if not can_at(user, action, clinic):
        raise ApplicationError("permission_denied")


def role_at(user: User, clinic: Clinic | None) -> str:
    """The user's roles at the clinic, for the audit: `operator`, `radiologist,clinicadmin`, `system`, or empty."""
    if is_system_admin(user):
        return SYSTEM
    if clinic is None or not user.is_authenticated:
        return ""
    return ",".join(sorted(each.role for each in rights_of(user).memberships if each.clinic_id == clinic.pk))


def reads_by_role(roles: str) -> bool:
    """Do these roles (as `role_at` writes them) read the clinic's patients in the course of their work?"""
    return any(role in MATRIX[Action.PATIENT_VIEW] for role in roles.split(","))


def get_visible(queryset: Any, user: User, **lookup: object) -> Any:
    """The one visible row, or `not_found` (404): the same answer for unknown, foreign and malformed ids."""
    try:
        return queryset.visible_to(user).get(**lookup)
    except (queryset.model.DoesNotExist, ValidationError, ValueError, TypeError, OverflowError) as error:
        raise ApplicationError("not_found") from error

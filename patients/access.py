"""May this user do this to this object? The only place that answers; the policy itself is `patients.policy`.

Memberships are read from the database on every request, never from a cookie or token. May import: Django and
`patients.policy`; models are reached lazily so that querysets can use this module.

Out of scope answers 404 (a foreign object does not exist for you); in scope but forbidden answers 403.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db.models import Exists, Q, QuerySet
from django.utils import timezone

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
    from patients.models import Clinic, Membership, User

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


def is_let_in(user: User) -> bool:
    """Has the account a use at all: a system administrator's, or one with a role at some clinic now?"""
    return is_system_admin(user) or active_memberships(user).exists()


def clinic_ids(user: User, action: Action | None = None, reach: Reach = Reach.CLINIC) -> QuerySet:
    """Ids of the clinics where the user may do `action` with this reach (any role when no action is given), as a
    subquery. `Reach.CLINIC` includes what the clinic's policy lets a role reach, and what is read by break-glass."""
    memberships = active_memberships(user)
    if action is not None:
        memberships = memberships.filter(_permitting(action, reach))
    ids = memberships.order_by().values("clinic_id")
    if reach == Reach.CLINIC and action in BREAK_GLASS:
        return ids.union(break_glass(user).order_by().values("clinic_id"))
    return ids


def _permitting(action: Action, reach: Reach) -> Q:
    """Memberships that permit `action` with `reach`."""
    given = MATRIX[action]
    allowed = Q(role__in=[role for role in given if given[role] == reach and role != CLIENT])
    if reach == Reach.CLINIC and Reach.POLICY in given.values():
        by_policy = [role for role in given if given[role] == Reach.POLICY]
        allowed |= Q(role__in=by_policy, clinic__show_unread_results=True)
    if given.get(CLIENT) == reach:
        scope = SCOPES.get(action)
        allowed |= Q(role=CLIENT, scopes__contains=[scope]) if scope else Q(role=CLIENT)
    return allowed


def can_at(user: User, action: Action, clinic: Clinic) -> bool:
    """May the user do `action` at this clinic, to whatever they see of it?"""
    if SYSTEM in MATRIX[action] and is_system_admin(user):
        return True
    return apps.get_model("patients", "Clinic").objects.filter(pk=clinic.pk, id__in=clinic_ids(user, action)).exists()


def may_break_glass(user: User) -> bool:
    """May this person open a clinic's records in an emergency?"""
    return is_system_admin(user) or active_memberships(user).filter(role__in=BREAK_GLASS_ROLES).exists()


def break_glass(user: User) -> QuerySet:
    """The user's emergency access that holds now, while they still are what entitled them to it."""
    uses = apps.get_model("patients", "BreakGlass").objects
    if not (user.is_authenticated and user.is_active):
        return uses.none()
    now = timezone.now()
    entitled = Q(user__is_superuser=True) | Exists(active_memberships(user).filter(role__in=BREAK_GLASS_ROLES))
    return uses.filter(entitled, user=user, started_at__lte=now, ends_at__gt=now)


def actions_of(held: Iterable[Membership], clinic: Clinic) -> list[Action]:
    """Everything that these memberships allow at this clinic, to all of it or part, in the order of the table."""
    return [action for action in MATRIX if any(_permits(membership, action, clinic) for membership in held)]


def _permits(membership: Membership, action: Action, clinic: Clinic) -> bool:
    reach = MATRIX[action].get(membership.role)
    if reach is None or (reach == Reach.POLICY and not clinic.show_unread_results):
        return False
    return membership.role != CLIENT or action not in SCOPES or SCOPES[action] in membership.scopes


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
    return ",".join(sorted(active_memberships(user).filter(clinic=clinic).values_list("role", flat=True)))


def reads_by_role(roles: str) -> bool:
    """Do these roles (as `role_at` writes them) read the clinic's patients in the course of their work?"""
    return any(role in MATRIX[Action.PATIENT_VIEW] for role in roles.split(","))


def get_visible(queryset: Any, user: User, **lookup: object) -> Any:
    """The one visible row, or `not_found` (404): the same answer for unknown, foreign and malformed ids."""
    try:
        return queryset.visible_to(user).get(**lookup)
    except (queryset.model.DoesNotExist, ValidationError, ValueError, TypeError, OverflowError) as error:
        raise ApplicationError("not_found") from error

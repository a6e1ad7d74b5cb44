"""May this user do this to this object? The only place that answers.

`MATRIX` is the whole policy: action → roles that may do it in the clinics of their active memberships.
Nothing that is not in the table is allowed. Memberships are read from the database on every request, never
from a cookie or token. May import: Django only; models are reached lazily so that querysets can use this module.

Out of scope answers 404 (a foreign object does not exist for you); in scope but forbidden answers 403.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.utils import timezone

from patients.errors import ApplicationError

if TYPE_CHECKING:
    from patients.models import Clinic, User

OPERATOR, RADIOGRAPHER, RADIOLOGIST, DOCTOR, CLINIC_ADMIN = (
    "operator",
    "radiographer",
    "radiologist",
    "doctor",
    "clinicadmin",
)


class Action(StrEnum):
    """Everything that can be permitted."""

    PATIENT_CREATE = "patient.create"
    PATIENT_VIEW = "patient.view"
    PATIENT_EDIT = "patient.edit"
    STUDY_UPLOAD = "study.upload"
    STUDY_STATUS = "study.status"
    IMAGE_VIEW = "image.view"
    PREDICTION_VIEW = "prediction.view"
    JOB_RETRY = "job.retry"
    AUDIT_VIEW = "audit.view"
    AUDIT_VIEW_OWN = "audit.view_own"


#: Roles that may do it at their clinic. Referring doctors are handled by referral, not by clinic.
MATRIX: dict[Action, frozenset[str]] = {
    Action.PATIENT_CREATE: frozenset({OPERATOR, RADIOGRAPHER}),
    Action.PATIENT_VIEW: frozenset({OPERATOR, RADIOGRAPHER, RADIOLOGIST}),
    Action.PATIENT_EDIT: frozenset({OPERATOR, RADIOGRAPHER}),
    Action.STUDY_UPLOAD: frozenset({OPERATOR, RADIOGRAPHER, RADIOLOGIST}),
    Action.STUDY_STATUS: frozenset({OPERATOR, RADIOGRAPHER, RADIOLOGIST, CLINIC_ADMIN}),
    Action.IMAGE_VIEW: frozenset({RADIOLOGIST}),
    Action.PREDICTION_VIEW: frozenset({RADIOLOGIST}),
    Action.JOB_RETRY: frozenset({RADIOLOGIST, CLINIC_ADMIN}),
    Action.AUDIT_VIEW: frozenset({CLINIC_ADMIN}),
    Action.AUDIT_VIEW_OWN: frozenset({RADIOLOGIST}),
}

#: Where the clinic's policy says so (`Clinic.show_unread_results`), these roles see unread results too.
UNREAD_RESULT_ROLES = frozenset({OPERATOR, RADIOGRAPHER})
UNREAD_RESULT_ACTIONS = frozenset({Action.IMAGE_VIEW, Action.PREDICTION_VIEW})


def is_system_admin(user: User) -> bool:
    """A superuser runs the system and reads no images."""
    return bool(user.is_authenticated and user.is_active and user.is_superuser)


def active_memberships(user: User) -> QuerySet:
    """The user's memberships that hold now; none for anonymous or deactivated users."""
    memberships = apps.get_model("patients", "Membership").objects
    if not (user.is_authenticated and user.is_active):
        return memberships.none()
    now = timezone.now()
    return memberships.filter(Q(valid_to__isnull=True) | Q(valid_to__gt=now), user=user, valid_from__lte=now)


def clinic_ids(user: User, action: Action | None = None) -> QuerySet:
    """Ids of the clinics where the user may do `action` (any role when no action is given), as a subquery."""
    memberships = active_memberships(user)
    if action is not None:
        allowed = Q(role__in=MATRIX[action])
        if action in UNREAD_RESULT_ACTIONS:
            allowed |= Q(role__in=UNREAD_RESULT_ROLES, clinic__show_unread_results=True)
        memberships = memberships.filter(allowed)
    return memberships.order_by().values("clinic_id")


def referred_patient_ids(user: User) -> QuerySet:
    """Patients who have a study referred to this doctor at a clinic where the doctor role holds now."""
    patients = apps.get_model("patients", "Patient").objects
    if not (user.is_authenticated and user.is_active):
        return patients.none().values("id")
    clinics = active_memberships(user).filter(role=DOCTOR).order_by().values("clinic_id")
    return patients.filter(clinic__in=clinics, studies__referring_doctor=user).order_by().values("id")


def can_at(user: User, action: Action, clinic: Clinic) -> bool:
    """May the user do `action` at this clinic?"""
    return clinic_ids(user, action).filter(clinic=clinic).exists()


def actions_of(roles: set[str], clinic: Clinic) -> list[Action]:
    """Everything that these roles may do at this clinic, in the order of the table."""
    unread = UNREAD_RESULT_ACTIONS if clinic.show_unread_results and roles & UNREAD_RESULT_ROLES else frozenset()
    return [action for action, allowed in MATRIX.items() if roles & allowed or action in unread]


def require_at(user: User, action: Action, clinic: Clinic) -> None:
    """Raise `permission_denied` (403) unless the user may do `action` at this clinic."""
    if not can_at(user, action, clinic):
        raise ApplicationError("permission_denied")


def role_at(user: User, clinic: Clinic | None) -> str:
    """The user's roles at the clinic, for the audit: `operator`, `radiologist,clinicadmin`, `system`, or empty."""
    if is_system_admin(user):
        return "system"
    if clinic is None or not user.is_authenticated:
        return ""
    return ",".join(sorted(active_memberships(user).filter(clinic=clinic).values_list("role", flat=True)))


def get_visible(queryset: Any, user: User, **lookup: object) -> Any:
    """The one visible row, or `not_found` (404): the same answer for unknown, foreign and malformed ids."""
    try:
        return queryset.visible_to(user).get(**lookup)
    except (queryset.model.DoesNotExist, ValidationError, ValueError, TypeError, OverflowError) as error:
        raise ApplicationError("not_found") from error

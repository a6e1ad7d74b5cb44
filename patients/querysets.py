"""Which rows a user may see: the first wall. Every query on patient data starts with `.visible_to(user)`.

May import: Django and `patients.access`. `diagnosis` builds its own querysets on `patients.access`.
"""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Self

from django.apps import apps
from django.db import models
from django.db.models import Case, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.db.models.lookups import Exact

from patients import access
from patients.access import Action, Reach

if TYPE_CHECKING:
    from patients.models import User


class ClinicQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """Clinics in which the user has any role now; all of them for a system administrator."""
        if access.is_system_admin(user):
            return self
        return self.filter(id__in=access.clinic_ids(user))


def patient_scope(user: User, patient: str = "") -> Q:
    """Rows whose patient (`patient` is the lookup path to it, empty for the patient itself) the user may see: of the
    clinics where the user may read demographics, with a study referred to the user, or registered by it."""
    prefix = f"{patient}__" if patient else ""
    of_clinics = Q(**{f"{prefix}clinic__in": access.clinic_ids(user, Action.PATIENT_VIEW)})
    return functools.reduce(operator.or_, _patient_parts(user, prefix), of_clinics)


def _patient_parts(user: User, prefix: str = "") -> list[Q]:
    """What is seen where not all patients of the clinic are."""
    parts, rights = [], access.rights_of(user)
    if own := rights.clinics(Action.PATIENT_VIEW, Reach.OWN):
        parts.append(Q(**{f"{prefix}created_by": user.pk, f"{prefix}clinic__in": own}))
    if referring := rights.clinics(Action.PATIENT_VIEW, Reach.ASSIGNED):
        patients = apps.get_model("patients", "Patient").objects.order_by()
        referred = patients.filter(clinic__in=referring, studies__referring_doctor=user.pk)
        parts.append(Q(**{f"{prefix}id__in": referred.values("id")}))
    return parts


class PatientQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        return self.filter(patient_scope(user))

    def parts_for(self, user: User) -> list[Q]:
        """What `visible_to` shows, in parts that an index serves (`patients.keyset`)."""
        of_clinics = [Q(clinic=clinic) for clinic in access.clinic_ids(user, Action.PATIENT_VIEW)]
        return of_clinics + _patient_parts(user)


@functools.cache  # every query takes its own copy
def consent_permits(purpose: str, patient: str = "", *, unless_denied: bool = False) -> Exact:
    """Condition on rows (`patient` is the lookup path to the patient, empty for the patient itself): may data be used
    for this purpose of `Consent.Purpose`? The newest decision says so; without one the clinic's rule, which never
    implies training. With `unless_denied` only a recorded denial forbids."""
    from patients.privacy import NOT_IMPLIED, Consent, DataPolicy

    prefix = f"{patient}__" if patient else ""
    newest = Consent.objects.filter(patient=OuterRef(f"{prefix}pk"), purpose=purpose).order_by(
        "-given_on", "-recorded_at"
    )
    permit, deny = Value(Consent.Decision.PERMIT.value), Value(Consent.Decision.DENY.value)
    implied: Case | Value = deny
    if unless_denied:
        implied = permit
    elif purpose in NOT_IMPLIED:
        # Not joined: a join more, and PostgreSQL sorts a list that an index has in order.
        refusing = DataPolicy.objects.filter(implied_consent__in=NOT_IMPLIED[purpose]).order_by().values("clinic")
        implied = Case(When(**{f"{prefix}clinic__in": refusing}, then=deny), default=permit)
    return Exact(Coalesce(Subquery(newest.values("decision")[:1]), implied), permit)


class ConsentQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """Of the patients whom the user may see."""
        return self.filter(patient_scope(user, "patient"))


class AuditEventQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """A clinic administrator reads the clinic's audit; a radiologist their own entries; a system
        administrator all of it (the admin page masks patients)."""
        if access.is_system_admin(user):
            return self
        own = Q(user=user) & Q(clinic__in=access.clinic_ids(user, Action.AUDIT_VIEW_OWN))
        return self.filter(own | Q(clinic__in=access.clinic_ids(user, Action.AUDIT_VIEW)))

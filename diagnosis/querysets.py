"""Which films, jobs, results and models a user may see: the first wall.

May import: Django, `patients.access` and `patients.querysets`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import Case, Q, Value, When

from patients import access
from patients.access import Action
from patients.querysets import patient_scope

if TYPE_CHECKING:
    from patients.models import User

SIGNED = ("final", "amended")


def _scope(user: User, action: Action, study: str, *, signed_only: bool) -> Q:
    """Rows whose study lies in a clinic where `action` is allowed, or was referred by the user.

    `study` is the lookup path from the row to its study, `""` for the study itself. With `signed_only` a
    referring doctor sees the row only once a report of the study is signed.
    """
    prefix = f"{study}__" if study else ""
    by_clinic = Q(**{f"{prefix}clinic__in": access.clinic_ids(user, action)})
    doctor_at = access.active_memberships(user).filter(role=access.DOCTOR).order_by().values("clinic_id")
    referred = Q(**{f"{prefix}referring_doctor": user.pk, f"{prefix}clinic__in": doctor_at})
    if signed_only:
        from diagnosis.models import Report

        signed = Report.objects.filter(status__in=SIGNED).order_by().values("study_id")
        referred &= Q(**{f"{prefix}id__in": signed})
    return by_clinic | referred


def _holds(condition: Q) -> Case:
    return Case(When(condition, then=Value(True)), default=Value(False))


class StudyQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        return self.filter(_scope(user, Action.STUDY_STATUS, "", signed_only=False))

    def with_rights(self, user: User) -> Self:
        """Each study with `patient_visible`: may this user be shown whose it is?"""
        return self.annotate(patient_visible=_holds(patient_scope(user, "patient")))


class RadiographQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """The fact and state of a film. Its pixels need `image_visible_to`."""
        return self.filter(_scope(user, Action.STUDY_STATUS, "study", signed_only=False))

    def image_visible_to(self, user: User) -> Self:
        return self.filter(_scope(user, Action.IMAGE_VIEW, "study", signed_only=True))

    def with_rights(self, user: User) -> Self:
        """Each film with `patient_visible`, `image_visible` and `results_visible`: what this user may be shown of it.

        Asked row by row of the joined study; as subqueries over all films they would cost more than the page.
        """
        return self.annotate(
            patient_visible=_holds(patient_scope(user, "study__patient")),
            image_visible=_holds(_scope(user, Action.IMAGE_VIEW, "study", signed_only=True)),
            results_visible=_holds(_scope(user, Action.PREDICTION_VIEW, "study", signed_only=True)),
        )


class JobQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """Work on the films a user may see. What a version on trial is asked is nobody's waiting."""
        return self.filter(_scope(user, Action.STUDY_STATUS, "radiograph__study", signed_only=False), shadow=False)


class PredictionQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """Results the user may see; those made on trial are seen by nobody, whatever became of their version."""
        return self.filter(_scope(user, Action.PREDICTION_VIEW, "radiograph__study", signed_only=True), shadow=False)


class FindingQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        scope = _scope(user, Action.PREDICTION_VIEW, "prediction__radiograph__study", signed_only=True)
        return self.filter(scope, prediction__shadow=False)


class ModelVersionQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """Versions that speak or ever spoke, for everybody: their results are on the pages. The others, for system
        administrators."""
        if access.is_system_admin(user):
            return self.all()
        from diagnosis.models import ModelChange

        spoke = ModelChange.objects.filter(after="active").order_by().values("model_version")
        known = Q(status="active") | Q(pk__in=spoke)
        return self.filter(known) if user.is_authenticated else self.none()


class ReportQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """Radiologists see every report of their clinics; others with result access see signed ones only."""
        drafts = Q(study__clinic__in=access.clinic_ids(user, Action.JOB_RETRY)) & Q(
            study__clinic__in=access.clinic_ids(user, Action.PREDICTION_VIEW)
        )
        scope = _scope(user, Action.PREDICTION_VIEW, "study", signed_only=True)
        return self.filter(drafts | (scope & Q(status__in=SIGNED)))

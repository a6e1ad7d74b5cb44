"""Which films, jobs, results and models a user may see: the first wall.

May import: Django, `patients.access` and `patients.querysets`.
"""

from __future__ import annotations

import functools
import operator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from django.db import models
from django.db.models import Case, DurationField, Exists, ExpressionWrapper, F, OuterRef, Q, Value, When
from django.db.models.functions import Now

from patients import access
from patients.access import Action, Reach
from patients.querysets import consent_permits, patient_scope

if TYPE_CHECKING:
    from patients.models import User

SIGNED = ("final", "amended")


def study_scope(user: User, action: Action, study: str = "", *, as_if_signed: bool = False) -> Q:
    """Rows whose study (`study` is the lookup path to it, empty for the study itself) `action` reaches for the user:
    of the clinic, referred to the user, or created by it; the latter two may have to wait for a signed report."""
    prefix = f"{study}__" if study else ""
    scope = Q(**{f"{prefix}clinic__in": access.clinic_ids(user, action)})
    scope = functools.reduce(operator.or_, _parts(user, action, prefix, as_if_signed=as_if_signed), scope)
    if action == Action.PREDICTION_VIEW and not as_if_signed:
        scope &= ~reads_first(user, study)
    return scope


def _parts(user: User, action: Action, prefix: str, *, as_if_signed: bool = False) -> list[Q]:
    """What is reached where not all studies of the clinic are."""
    parts, rights = [], access.rights_of(user)
    for reach, rows in _PARTS.items():
        if clinics := rights.clinics(action, reach):
            part = rows(user, clinics, prefix)
            parts.append(part & _signed(prefix) if reach in _AFTER_SIGNATURE and not as_if_signed else part)
    return parts


def _list_parts(user: User, prefix: str = "") -> list[Q]:
    """What of studies or their films may be followed, in parts that an index serves (`patients.keyset`)."""
    action = Action.STUDY_STATUS
    return [Q(clinic=clinic) for clinic in access.clinic_ids(user, action)] + _parts(user, action, prefix)


def reads_first(user: User, study: str = "") -> Q:
    """Rows of studies whose model's answer this reader is not shown yet: at a clinic that has films read first, before
    the reader's first impression is saved and before a report is signed."""
    from diagnosis.models import FirstImpression

    prefix = f"{study}__" if study else ""
    rights = access.rights_of(user)
    asking = {membership.clinic_id for membership in rights.memberships if membership.clinic.read_first}
    reads_here = Q(**{f"{prefix}clinic__in": asking.intersection(rights.clinics(Action.REPORT_WRITE))})
    impressions = FirstImpression.objects.filter(reader=user.pk).order_by().values("study_id")
    return reads_here & ~Q(**{f"{prefix}id__in": impressions}) & ~_signed(prefix)


def _assigned(user: User, clinics: list[UUID], prefix: str) -> Q:
    """Studies referred to the user, and those of the same patient that were received before them."""
    from diagnosis.models import Study

    referrals = Study.objects.filter(referring_doctor=user.pk, clinic__in=clinics).order_by()
    not_before = referrals.filter(patient=OuterRef(f"{prefix}patient"), created_at__gte=OuterRef(f"{prefix}created_at"))
    return Q(**{f"{prefix}patient__in": referrals.values("patient")}) & Q(Exists(not_before))


def _own(user: User, clinics: list[UUID], prefix: str) -> Q:
    return Q(**{f"{prefix}created_by": user.pk, f"{prefix}clinic__in": clinics})


def _signed(prefix: str) -> Q:
    from diagnosis.models import Report

    return Q(**{f"{prefix}id__in": Report.objects.filter(status__in=SIGNED).order_by().values("study_id")})


#: Rows of a clinic that an action reaches where it does not reach all of them, and when.
_PARTS = {
    Reach.ASSIGNED: _assigned,
    Reach.ASSIGNED_SIGNED: _assigned,
    Reach.OWN: _own,
    Reach.OWN_SIGNED: _own,
}
_AFTER_SIGNATURE = {Reach.ASSIGNED_SIGNED, Reach.OWN_SIGNED}


def holds(condition: Q) -> Case:
    """A condition as a column."""
    return Case(When(condition, then=Value(True)), default=Value(False))


def with_version(rows: models.QuerySet, path: str = "model_version") -> Any:
    """Each with its model version, without that one's card, which is long (180 KB) and would come with every row."""
    return rows.select_related(path).defer(f"{path}__card")


class StudyQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        return self.filter(study_scope(user, Action.STUDY_STATUS))

    def parts_for(self, user: User) -> list[Q]:
        return _list_parts(user)

    def with_rights(self, user: User) -> Self:
        """Each study with `patient_visible`: may this user be shown whose it is?"""
        return self.annotate(patient_visible=holds(patient_scope(user, "patient")))

    def report_visible_to(self, user: User) -> Self:
        """Studies whose report, once it is signed, the user may read."""
        return self.filter(study_scope(user, Action.REPORT_VIEW))


class RadiographQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """The fact and state of a film. Its pixels need `image_visible_to`."""
        return self.filter(study_scope(user, Action.STUDY_STATUS, "study"))

    def parts_for(self, user: User) -> list[Q]:
        return _list_parts(user, "study__")

    def image_visible_to(self, user: User) -> Self:
        return self.filter(study_scope(user, Action.IMAGE_VIEW, "study"))

    def with_rights(self, user: User) -> Self:
        """Each film with `patient_visible`, `image_visible` and `results_visible`: what this user may be shown of it,
        `results_awaited`: may they be shown once a report is signed? `reads_first`: is the user to read before? and
        `ai_permitted` (`with_consent`).

        Asked row by row of the joined study; as subqueries over all films they would cost more than the page.
        """
        return self.annotate(
            patient_visible=holds(patient_scope(user, "study__patient")),
            image_visible=holds(study_scope(user, Action.IMAGE_VIEW, "study")),
            results_visible=holds(study_scope(user, Action.PREDICTION_VIEW, "study")),
            results_awaited=holds(study_scope(user, Action.PREDICTION_VIEW, "study", as_if_signed=True)),
            reads_first=holds(reads_first(user, "study")),
        ).with_consent()

    def with_consent(self) -> Self:
        """Each film with `ai_permitted`: does the patient agree that a model reads it?"""
        return self.annotate(ai_permitted=consent_permits("ai_assistance", "study__patient"))


class JobQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """Work on the films a user may see. What a version on trial is asked is nobody's waiting."""
        return self.filter(study_scope(user, Action.STUDY_STATUS, "radiograph__study"), shadow=False)


class PredictionQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """Results the user may see; those made on trial are seen by nobody, whatever became of their version."""
        return self.filter(study_scope(user, Action.PREDICTION_VIEW, "radiograph__study"), shadow=False)


class FindingQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        scope = study_scope(user, Action.PREDICTION_VIEW, "prediction__radiograph__study")
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


class ThresholdChangeQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """How the thresholds came about at the clinics whose thresholds the user looks after."""
        return self.filter(clinic__in=access.clinic_ids(user, Action.THRESHOLD_VIEW))


class ReadingQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """The worklist of whoever reads films: the studies of the clinics that one reads for."""
        return self.filter(clinic__in=access.clinic_ids(user, Action.READING_CLAIM))

    def open(self) -> Self:
        """Not yet reported."""
        return self.filter(closed_at__isnull=True)


class ReportQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """Who writes reports sees every report of the clinic, drafts after reading first where that is asked for;
        others whom the matrix names see signed ones only."""
        written = self._drafts(user) & ~reads_first(user, "study")
        return self.filter(written | study_scope(user, Action.REPORT_VIEW, "study") & Q(status__in=SIGNED))

    def status_visible_to(self, user: User) -> Self:
        """The reports that count for the status of a study which the user may follow; not what they say."""
        return self.filter(self._drafts(user) | Q(status__in=SIGNED))

    @staticmethod
    def _drafts(user: User) -> Q:
        return Q(study__clinic__in=access.clinic_ids(user, Action.REPORT_WRITE))


class ReportedFindingQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """Of reports that the user may read. They tell what the model said, so that has to be visible as well."""
        from diagnosis.models import Report

        reports = Report.objects.visible_to(user).order_by().values("id")
        return self.filter(study_scope(user, Action.PREDICTION_VIEW, "report__study"), report__in=reports)


class FirstImpressionQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """Who writes reports at the clinic sees their own; others would no longer read first."""
        return self.filter(reader=user.pk, study__clinic__in=access.clinic_ids(user, Action.REPORT_WRITE))


class CriticalAlertQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """Of studies whose report the user may read, also before it is signed: a critical finding does not wait for
        that. Whoever reads a film first is not told by it what a colleague saw."""
        return self.filter(study_scope(user, Action.REPORT_VIEW, "study") & ~reads_first(user, "study"))

    def to_acknowledge(self, user: User) -> Self:
        """Those that this person is to acknowledge, or was."""
        return self.visible_to(user).filter(study_scope(user, Action.ALERT_ACKNOWLEDGE, "study"))

    def open(self) -> Self:
        """Neither acknowledged nor void."""
        return self.filter(acknowledged_at__isnull=True, voided_at__isnull=True)

    def with_due(self) -> Self:
        """Each with `due`, when its clinic's time is up."""
        minutes = F("clinic__acknowledge_minutes") * Value(timedelta(minutes=1))
        limit = ExpressionWrapper(minutes, output_field=DurationField())
        return self.annotate(due=ExpressionWrapper(F("created_at") + limit, output_field=models.DateTimeField()))

    def late(self) -> Self:
        """Open for longer than the clinic allows, by the database's clock."""
        return self.open().with_due().filter(due__lte=Now())


class DiscordanceQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """Of the clinics that the user reads for. They exist only where a report is signed, so nothing that is still
        to be read is told."""
        return self.filter(clinic__in=access.clinic_ids(user, Action.SECOND_LOOK))


class DistributionQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """Of the clinics whose numbers the user may see."""
        return self.filter(clinic__in=access.clinic_ids(user, Action.NUMBERS_VIEW))


class StudyMoveQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """Of the clinics where the user follows studies. Who the two patients are is another right."""
        return self.filter(clinic__in=access.clinic_ids(user, Action.STUDY_STATUS))


class StudyRemovalQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """Of the clinics that the user administers."""
        return self.filter(clinic__in=access.clinic_ids(user, Action.STUDY_DELETE_REQUEST))


class ReportExportQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """One's own, and those of the clinics whose audit the user reads."""
        own = Q(user=user.pk, clinic__in=access.clinic_ids(user, Action.EXPORT_REASONED))
        return self.filter(own | Q(clinic__in=access.clinic_ids(user, Action.AUDIT_VIEW)))

"""The model's answers beside what readers signed: one row per decided finding, and counts over them with intervals.

Rows are decisions of reports in force; studies without a signed report are in no figure. No patient's data leaves this
module. May import: Django, `diagnosis.models`, `mlcore.training.statistics` (NumPy only). Goes to: numbers, and whoever
chooses thresholds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from diagnosis.models import FirstImpression, Report, ReportedFinding
from diagnosis.querysets import SIGNED, holds
from mlcore.training.statistics import kappa, wilson

Verdict, Reason = ReportedFinding.Verdict, ReportedFinding.Reason
#: A share or kappa of fewer cases than this is no figure.
FEW = 10


def decisions_signed(clinics: Any) -> QuerySet[ReportedFinding, dict[str, Any]]:
    """A row per study and label that the model answered and a reader decided on, of these clinics (rows, ids or a
    subquery), as a queryset of dictionaries for further filtering, grouping or reading:

        study, clinic, label    of the report in force: an amendment stands in for what it supersedes
        calibrated, threshold   the model's, on the film on which it speaks loudest
        reported                did the model report it, at or above its threshold?
        present                 does the reader say that it is there?
        decidable               False where the reader rejected it as not to be decided on this film: no truth to count
        model_version           whose answer lay before the reader
        read_first              had the signer saved a first impression before they were shown the answer?
        signed_by, signed_at

    Labels that the model does not know have no row. A label counts as absent only where the report's own row says so.
    Every row shows a finding's number: the caller answers for who may see these clinics' results.
    """
    superseding = Report.objects.filter(supersedes=OuterRef("report"), status__in=SIGNED)
    return (
        ReportedFinding.objects.filter(
            report__study__clinic__in=clinics, report__status__in=SIGNED, finding__isnull=False
        )
        .exclude(Exists(superseding))
        .order_by()
        .values(
            "label",
            study=F("report__study"),
            clinic=F("report__study__clinic"),
            calibrated=F("finding__calibrated"),
            threshold=F("finding__threshold"),
            reported=holds(Q(verdict__in=[Verdict.ACCEPTED, Verdict.REJECTED])),
            present=holds(Q(verdict__in=[Verdict.ACCEPTED, Verdict.ADDED])),
            decidable=holds(~Q(reason=Reason.NOT_DECIDABLE)),
            model_version=F("finding__prediction__model_version"),
            read_first=Exists(_unprompted()),
            signed_by=F("report__signed_by"),
            signed_at=F("report__signed_at"),
        )
    )


def _unprompted() -> QuerySet[FirstImpression]:
    """The signer's first impression, written while the clinic's films were read first and before any report of the
    study was signed: from then on everybody is shown the answer."""
    history = apps.get_model("patients", "ClinicHistory").objects
    then = history.filter(pgh_obj=OuterRef("study__clinic"), pgh_created_at__lte=OuterRef("created_at"))
    signed_before = Report.objects.filter(
        study=OuterRef("study"), status__in=SIGNED, signed_at__lte=OuterRef("created_at")
    )
    return (
        FirstImpression.objects.annotate(
            asked=Coalesce(Subquery(then.order_by("-pgh_id").values("read_first")[:1]), False)
        )
        .filter(study=OuterRef("report__study"), reader=OuterRef("report__signed_by"), asked=True)
        .exclude(Exists(signed_before))
    )


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value with its 95 % interval, or, where `of` cases are too few to say, none of the three."""

    of: int
    value: float | None = None
    low: float | None = None
    high: float | None = None

    @classmethod
    def share(cls, successes: int, trials: int) -> Figure:
        """With Wilson's interval; rounded, so that an end that is 0 or 1 is exactly that."""
        if trials < FEW:
            return cls(trials)
        low, high = wilson(successes, trials)
        return cls(trials, successes / trials, round(low, 9), round(high, 9))


@dataclass(frozen=True, slots=True)
class Agreement:
    """One label, as one model version answered it: tp, fp, fn, tn count the model against the readers.

    `read_first` tells apart what readers signed who had committed themselves before they saw the answer; agreement of
    those who saw it first is partly the model's own echo. `undecidable` answers are in none of the four.
    """

    label: str
    model_version: Any
    read_first: bool
    tp: int
    fp: int
    fn: int
    tn: int
    undecidable: int

    @property
    def n(self) -> int:
        return self.tp + self.fp + self.fn + self.tn

    @property
    def ppv(self) -> Figure:
        """Of what the model reported, the share that readers saw as well."""
        return Figure.share(self.tp, self.tp + self.fp)

    @property
    def sensitivity(self) -> Figure:
        """Of what readers saw, the share that the model had reported."""
        return Figure.share(self.tp, self.tp + self.fn)

    @property
    def kappa(self) -> Figure:
        """Cohen's, with the interval of Fleiss, Cohen and Everitt; `of` is the rarer answer of the readers."""
        rarer = min(self.tp + self.fn, self.fp + self.tn)
        return Figure(rarer, *kappa(self.tp, self.fp, self.fn, self.tn)) if rarer >= FEW else Figure(rarer)


def agreements(decisions: QuerySet[ReportedFinding, dict[str, Any]]) -> list[Agreement]:
    """Counted in the database over rows of `decisions_signed`, by label, version and way of reading: one query."""
    counted = (
        decisions.values("label", "model_version", "read_first")
        .annotate(
            tp=_count(reported=True, present=True),
            fp=_count(reported=True, present=False),
            fn=_count(reported=False, present=True),
            tn=_count(reported=False, present=False),
            undecidable=Count("pk", filter=Q(decidable=False)),
        )
        .order_by("label", "model_version", "read_first")
    )
    return [Agreement(**row) for row in counted]


def _count(**answers: bool) -> Count:
    return Count("pk", filter=Q(**answers, decidable=True))


def labels_of(found: Iterable[Agreement]) -> list[str]:
    return sorted({each.label for each in found})

"""What is read to choose a clinic's thresholds: its signed cases, the thresholds that apply, and how they came about.

Of a case only its label, the reader's yes or no, and the model's number leave this module: no patient, study or film.
So a clinic's administrator may be shown what comes of it. May import: Django, `diagnosis.models`, `.operating`,
`.querysets`, `patients`. Goes to: services, views.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import BooleanField, Exists, F, Max, OuterRef, Q
from django.db.models.aggregates import Aggregate

from diagnosis.card import label_titles
from diagnosis.models import ModelVersion, OperatingPoint, Report, ReportedFinding, ThresholdChange
from diagnosis.operating import Cases
from diagnosis.querysets import SIGNED
from mlcore.card import NORMAL
from patients import access
from patients.access import Action
from patients.errors import ApplicationError
from patients.models import Clinic, User

#: So many of the newest signed reports of a clinic are looked at.
LATEST = 5_000

#: What the reader says of a label where it is there.
PRESENT = (ReportedFinding.Verdict.ACCEPTED, ReportedFinding.Verdict.ADDED)


class _Every(Aggregate):
    function = "bool_and"
    output_field = BooleanField()


@dataclass(frozen=True, slots=True)
class State:
    """The threshold of one label at a clinic: the one that applies, the card's, and the steps that led there."""

    label: str
    title: str
    applies: float
    card: float
    is_own: bool
    steps: Sequence[ThresholdChange]

    @property
    def proposed(self) -> ThresholdChange | None:
        """The proposal that waits for a second person, if one does."""
        newest = self.steps[0] if self.steps else None
        return newest if newest and newest.verb == ThresholdChange.Verb.PROPOSE else None


def clinic_looked_after(*, user: User, clinic_id: object = None) -> tuple[Clinic, list[Clinic]]:
    """The clinic of this id, or the first, and all whose thresholds the user looks after, by name.

    Raises `permission_denied` where there is none, `not_found` where this one is not among them.
    """
    clinics = list(Clinic.objects.filter(pk__in=access.clinic_ids(user, Action.THRESHOLD_VIEW)).order_by("name", "pk"))
    if not clinics:
        raise ApplicationError("permission_denied")
    if not clinic_id:
        return clinics[0], clinics
    chosen = next((clinic for clinic in clinics if str(clinic.pk) == str(clinic_id)), None)
    if chosen is None:
        raise ApplicationError("not_found")
    return chosen, clinics


def labels_decided(model: ModelVersion) -> dict[str, str]:
    """Key → title of the labels that readers decide on: every trained one but "normal", the absence of the others."""
    return {key: title for key, title in label_titles(model.card).items() if key != NORMAL}


def cases_read(*, model: ModelVersion, clinic: Clinic) -> dict[str, Cases]:
    """The clinic's signed cases by label, in two queries; a label without any is left out.

    A case is a study with a signed report in force: is the finding there, by the report, and what did exactly this
    version say of it, on trial or not? Of several films the one on which it speaks loudest counts, as it does for the
    reader. What could not be decided on the film is left out.
    """
    predictions = "report__study__radiographs__predictions"
    said = {f"{predictions}__model_version": model, f"{predictions}__findings__label": F("label")}
    decisions = (
        ReportedFinding.objects.filter(report__in=_reports_in_force(clinic), **said)
        .exclude(Q(label=NORMAL) | Q(reason=ReportedFinding.Reason.NOT_DECIDABLE))
        .annotate(score=Max(f"{predictions}__findings__calibrated"), unseen=_Every(f"{predictions}__shadow"))
    )
    found = defaultdict(list)
    for label, verdict, score, unseen in decisions.order_by().values_list("label", "verdict", "score", "unseen"):
        found[label].append((verdict in PRESENT, score, unseen))
    return {label: Cases.of(rows) for label, rows in found.items()}


def _reports_in_force(clinic: Clinic) -> list[UUID]:
    """The newest signed reports of the clinic that no signed amendment supersedes. Read apart: joined to the rest, the
    database would expect few of them and look through all studies for each."""
    superseding = Report.objects.filter(supersedes=OuterRef("pk"), status__in=SIGNED)
    signed = Report.objects.filter(~Exists(superseding), study__clinic=clinic, status__in=SIGNED)
    return list(signed.order_by("-signed_at").values_list("pk", flat=True)[:LATEST])


def states_read(*, model: ModelVersion, clinic: Clinic) -> list[State]:
    """The threshold of every label that readers decide on, in the order of the card: two queries."""
    points = OperatingPoint.objects.filter(Q(clinic=None) | Q(clinic=clinic), model_version=model)
    default = {point.label: point.threshold for point in points if point.clinic_id is None}
    own = {point.label: point.threshold for point in points if point.clinic_id is not None}
    steps = defaultdict(list)
    changes = ThresholdChange.objects.filter(model_version=model, clinic=clinic)
    for change in changes.select_related("user", "proposed_by"):
        steps[change.label].append(change)
    return [
        State(label, title, own.get(label, default[label]), default[label], label in own, steps[label])
        for label, title in labels_decided(model).items()
        if label in default
    ]

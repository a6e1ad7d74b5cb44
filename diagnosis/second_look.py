"""The second look: when a model and a signed report disagree so much that somebody looks again, and what is read of it.

May import: Django, `diagnosis.models`, `.selectors`, `.sentences`, `patients`. Goes to: `services.second_look`, views.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Count, F, Q, QuerySet

from diagnosis.models import Discordance, Finding, ReportedFinding
from patients import access
from patients.access import Action
from patients.actor import SYSTEM, acting_as
from patients.models import Clinic, Membership, User

#: Sure that it is absent: at most this share of the threshold. The mirror of "present", which is at least halfway from
#: the threshold to certainty.
CONFIDENTLY_ABSENT = 0.5


def discordance_kind(decision: ReportedFinding) -> str:
    """A key of `Discordance.Kind` where model and reader disagree and the model is sure, else empty. Judged by the
    word, probability and threshold that lay before the reader."""
    finding, verdict = decision.finding, decision.verdict
    if finding is None:
        return ""
    if verdict == ReportedFinding.Verdict.REJECTED and finding.word == Finding.Word.PRESENT:
        return Discordance.Kind.MODEL_ONLY
    sure = finding.calibrated <= CONFIDENTLY_ABSENT * finding.threshold
    if verdict == ReportedFinding.Verdict.ADDED and finding.word == Finding.Word.ABSENT and sure:
        return Discordance.Kind.READER_ONLY
    return ""


@acting_as(SYSTEM)
def reads_alone(user: User, clinic: Clinic) -> bool:
    """Does nobody else read for the clinic now? Then who signed looks again: better than nobody ever. One query, of
    every person's role, so the system asks."""
    readers = Membership.objects.filter(access.holds_now(), clinic=clinic, role__in=access.MATRIX[Action.SECOND_LOOK])
    return not readers.filter(user__is_active=True).exclude(user=user).exists()


def discordances_read(user: User) -> QuerySet[Discordance]:
    """Those of the clinics that the user reads for, ready to be shown, oldest first: one query."""
    model, signer = "finding__prediction__model_version", "decision__report__signed_by"
    return Discordance.objects.visible_to(user).select_related(model, signer, "study__patient", "clinic", "looked_by")


def discordances_closed(user: User, filters: Mapping[str, Any]) -> QuerySet[Discordance]:
    """Those that somebody looked at, the latest first, narrowed by `outcome`, `model_was` and `kind` where given."""
    given = {name: value for name, value in filters.items() if value}
    return discordances_read(user).filter(looked_at__isnull=False, **given).order_by("-looked_at", "-id")


#: Looked at by nobody but who signed: an amendment that settles it, or a reader alone at the clinic.
_BY_ITS_READER = Q(looked_by=F("decision__report__signed_by"))


def discordances_tally(user: User) -> dict[str, int]:
    """How many were looked at; of these how many led to an amendment, in how many the model was right, and how many
    were looked at by the one who had signed."""
    closed = Discordance.objects.visible_to(user).filter(looked_at__isnull=False).order_by()
    return closed.aggregate(
        looked=Count("pk"),
        amended=Count("pk", filter=Q(outcome=Discordance.Outcome.AMEND)),
        model_right=Count("pk", filter=Q(model_was=Discordance.ModelWas.RIGHT)),
        own=Count("pk", filter=_BY_ITS_READER),
    )


def discordances_waiting(user: User) -> int | None:
    """How many wait for a second look at the clinics that the user reads for; None for who reads nowhere."""
    if not access.clinic_ids(user, Action.SECOND_LOOK):
        return None
    return Discordance.objects.visible_to(user).filter(looked_at__isnull=True).count()

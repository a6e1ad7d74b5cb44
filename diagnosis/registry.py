"""What is read of model versions: all of them, the one that a name means, and how a version on trial does.

Counts and names only, no patient data. May import: Django, `diagnosis.models`, `patients.actor`. Goes to: views, admin,
commands.
"""

from __future__ import annotations

from django.db.models import Case, Count, Q, QuerySet, Value, When

from diagnosis.models import Job, ModelVersion
from patients.actor import SYSTEM, acting_as


def models_read() -> QuerySet[ModelVersion]:
    """Every version with its history, the active one first, then those on trial, newest first: two queries."""
    rank = Case(*(When(status=state, then=Value(rank)) for rank, state in enumerate(_IN_USE)), default=Value(9))
    return ModelVersion.objects.prefetch_related("changes").order_by(rank, "-created_at")


_IN_USE = (ModelVersion.Status.ACTIVE, ModelVersion.Status.SHADOW)


def models_named(text: str) -> list[ModelVersion]:
    """The versions that `text` may mean: NAME@VERSION, NAME, or at least six letters of the weights' sha256."""
    name, _, version = text.rpartition("@")
    if name:
        return list(models_read().filter(name=name, version=version))
    meant = Q(name=text)
    if len(text) >= 6:
        meant |= Q(sha256__startswith=text.lower())
    return list(models_read().filter(meant))


@acting_as(SYSTEM)
def trial_progress(model: ModelVersion) -> dict[str, int]:
    """How many films a version has read on trial, how many wait for it, and where it failed: one query."""

    def count(state: str) -> Count:
        return Count("pk", filter=Q(state=state))

    jobs = Job.objects.filter(model_version=model, shadow=True, kind=Job.Kind.INFER)
    return jobs.aggregate(read=count("succeeded"), waiting=count("queued"), failed=count("failed"))

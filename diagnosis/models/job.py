"""A piece of queued work. PostgreSQL owns it; Celery messages are hints.

May import: Django, `diagnosis.models.radiograph`, `diagnosis.models.model_version`, `diagnosis.querysets`.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from diagnosis.models.model_version import ModelVersion
from diagnosis.models.radiograph import Radiograph
from diagnosis.querysets import JobQuerySet

MAX_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Move:
    """One allowed change of a job's state, and who makes it."""

    name: str
    before: str
    after: str
    by: str


#: The job machine: code, pages, administration and documents draw on this table, and a trigger in the database refuses
#: every other change.
MOVES = (
    Move("claim", "queued", "running", "worker"),
    Move("finish", "running", "succeeded", "worker"),
    Move("fail", "running", "failed", "worker; sweeper at the third attempt"),
    Move("return", "running", "queued", "worker; sweeper when the lease ran out"),
    Move("cancel", "queued", "cancelled", "staff"),
    Move("cancel", "failed", "cancelled", "staff"),
    Move("retry", "failed", "queued", "staff"),
    Move("retry", "cancelled", "queued", "staff"),
    Move("prepare again", "succeeded", "queued", "staff, when the model input was lost"),
)


def states_before(name: str) -> tuple[str, ...]:
    """The states from which this move is allowed."""
    return tuple(move.before for move in MOVES if move.name == name)


class Job(models.Model):
    """One stage of one film. Its states change by `MOVES` only.

    A claim counts the attempt, sets the lease and draws a new `fence`; whoever writes back must still hold that
    fence. `attempt` is counted before any byte is decoded. `solo` means that the job runs, or must run next, in a batch
    of one: films of a shared batch that died come back alone, and only deaths alone count towards the limit.

    A `shadow` job is asked of a version on trial beside the active one. It comes after every other job, and neither
    the film nor the queue that people see depends on it.

    Only the database's clock says when a job was queued, started and finished.
    """

    class Kind(models.TextChoices):
        PREPARE = "prepare", "Prepare"
        INFER = "infer", "Infer"

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    radiograph = models.ForeignKey(Radiograph, on_delete=models.PROTECT, related_name="jobs")
    kind = models.CharField(max_length=8, choices=Kind)
    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, null=True, related_name="jobs")
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    priority = models.PositiveSmallIntegerField(default=2, help_text="0 emergency, 1 urgent, 2 routine, 9 shadow")
    shadow = models.BooleanField(default=False, help_text="For a version on trial: its result is shown to nobody.")
    attempt = models.PositiveSmallIntegerField(default=0)
    retries = models.PositiveSmallIntegerField(default=0, help_text="times staff asked for another try")
    solo = models.BooleanField(default=False)
    fence = models.BigIntegerField(null=True)
    lease_until = models.DateTimeField(null=True)
    worker = models.CharField(max_length=128, blank=True)
    error_code = models.CharField(max_length=64, blank=True)
    queued_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    timings_ms = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["kind", "priority", "queued_at"], condition=Q(state="queued"), name="job_claim"),
            models.Index(fields=["lease_until"], condition=Q(state="running"), name="job_lease"),
            models.Index(fields=["finished_at"], name="job_finished"),
            models.Index(fields=["-created_at", "-id"], name="job_recent"),
            models.Index(
                fields=["state", "kind", "radiograph"],
                condition=Q(shadow=False, state__in=["queued", "running", "failed"]),
                name="job_undone",
            ),
            models.Index(
                fields=["state", "-created_at", "-id"],
                condition=Q(shadow=False, state__in=["queued", "running", "failed", "cancelled"]),
                name="job_undone_recent",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["radiograph", "kind", "model_version"],
                condition=Q(state__in=["queued", "running", "succeeded"]),
                nulls_distinct=False,
                name="job_live_once",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["queued", "running", "succeeded", "failed", "cancelled"]), name="job_state"
            ),
            models.CheckConstraint(condition=Q(attempt__lte=MAX_ATTEMPTS), name="job_attempts_bounded"),
            models.CheckConstraint(
                condition=(
                    Q(state="running", fence__isnull=False, lease_until__isnull=False, attempt__gte=1)
                    | (~Q(state="running") & Q(lease_until__isnull=True))
                ),
                name="job_running_holds_lease",
            ),
            models.CheckConstraint(
                condition=(Q(state="failed") & ~Q(error_code="")) | ~Q(state="failed"), name="job_failed_has_code"
            ),
            models.CheckConstraint(
                condition=Q(kind="prepare") | Q(model_version__isnull=False), name="job_infer_has_model"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {str(self.id)[:8]}"

    @property
    def can_retry(self) -> bool:
        return self.state in states_before("retry")

    @property
    def can_cancel(self) -> bool:
        return self.state in states_before("cancel")

    @property
    def is_open(self) -> bool:
        return self.state in (self.State.QUEUED, self.State.RUNNING)

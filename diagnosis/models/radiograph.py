"""One film: its bytes by hash, what its header said, and whether it can be used.

May import: Django, `patients.models`, `diagnosis.models.study`, `diagnosis.querysets`.
"""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from diagnosis.models.study import Study
from diagnosis.querysets import RadiographQuerySet
from patients.history import tracked
from patients.models import Clinic

#: The words that are rare enough to be looked for; nearly every film has a finding that is absent.
WORDS_INDEXED = ("present", "likely", "possible")


@tracked(by="study", exclude=["words", "done", "failed"])
class Radiograph(models.Model):
    """received → ready / rejected(code), moved by the prepare stage only.

    The original lies in content-addressed storage under `sha256`; `display_key` and `reading_key` name pictures that
    prepare wrote: one for every page, one with the film's own values for reading, which `reading` says how to show
    (`mlcore.reading`). Films of before the reading copy have none.

    Rejected is not failed: the software worked, the picture cannot be used.

    `words`, `done` and `failed` repeat what findings and jobs say, trials left out, so that lists find the few films
    among very many: the words of all findings but "normal"; has a model read it; did some work on it fail? Triggers in
    the database keep them; nothing else writes them.
    """

    class State(models.TextChoices):
        RECEIVED = "received", "Received"
        READY = "ready", "Ready"
        REJECTED = "rejected", "Rejected"

    class View(models.TextChoices):
        PA = "PA", "PA"
        AP = "AP", "AP"
        UNKNOWN = "unknown", "Unknown"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="radiographs")
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+")
    view = models.CharField(max_length=8, choices=View, default=View.UNKNOWN)
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField(help_text="bytes of the original")
    format = models.CharField(max_length=8)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    sop_instance_uid = models.CharField(max_length=64, blank=True)
    series_instance_uid = models.CharField(max_length=64, blank=True)
    study_instance_uid = models.CharField(max_length=64, blank=True)
    display_key = models.CharField(max_length=128, blank=True)
    reading_key = models.CharField(max_length=128, blank=True, default="", db_default="")
    reading = models.JSONField(default=dict, blank=True, db_default={})
    quality = models.JSONField(default=dict, blank=True)
    warnings = models.JSONField(default=list, blank=True, help_text="[{code, message}]")
    state = models.CharField(max_length=10, choices=State, default=State.RECEIVED)
    code = models.CharField(max_length=64, blank=True)
    message = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    words = ArrayField(models.CharField(max_length=8), default=list, db_default=[], blank=True, editable=False)
    done = models.BooleanField(default=False, db_default=False, editable=False)
    failed = models.BooleanField(default=False, db_default=False, editable=False)

    objects = RadiographQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["clinic", "-created_at", "-id"], name="radiograph_recent"),
            models.Index(fields=["clinic", "sha256"], name="radiograph_bytes"),
            models.Index(
                fields=["clinic", "-created_at", "-id"], condition=Q(state="rejected"), name="radiograph_rejected"
            ),
            models.Index(fields=["clinic", "-created_at", "-id"], condition=Q(done=False), name="radiograph_undone"),
            models.Index(
                fields=["clinic", "-created_at", "-id"], condition=Q(done=False, failed=True), name="radiograph_failed"
            ),
            *(
                models.Index(
                    fields=["clinic", "-created_at", "-id"],
                    condition=Q(words__contains=[word]),
                    name=f"radiograph_{word}",
                )
                for word in WORDS_INDEXED
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["study", "sha256"], name="radiograph_once_per_study"),
            # target of the composite foreign key on Prediction
            models.UniqueConstraint(fields=["id", "sha256"], name="radiograph_id_sha256"),
            models.UniqueConstraint(
                fields=["clinic", "sop_instance_uid"],
                condition=~Q(sop_instance_uid=""),
                name="sop_instance_once_per_clinic",
            ),
            models.CheckConstraint(
                condition=(Q(state="rejected") & ~Q(code="")) | (~Q(state="rejected") & Q(code="")),
                name="radiograph_rejected_has_code",
            ),
        ]

    def __str__(self) -> str:
        return f"Radiograph {str(self.id)[:8]}"

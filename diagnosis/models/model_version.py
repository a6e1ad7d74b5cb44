"""Which network speaks, since when by whose decision, and where its numbers become words.

May import: Django, `patients.models`, `diagnosis.querysets`.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils import timezone

from diagnosis.querysets import ModelVersionQuerySet
from patients.history import tracked
from patients.models import Clinic, User


@tracked()
class ModelVersion(models.Model):
    """A registered model folder.

        registered ─activate─► active ─another is activated, or retire─► retired
            └────shadow──► shadow ─activate─► active

    `activate` is asked for by one system administrator and approved by another, who see the same hashes.

    `active` reads every new film; a `shadow` version reads them too and is shown to nobody; both may end `retired` and
    come back. Name and version stand for one recipe for good: weights (`sha256`), labels, preprocessing, calibration
    and thresholds. The same weights with another calibration are another version.
    """

    class Status(models.TextChoices):
        REGISTERED = "registered", "Registered"
        SHADOW = "shadow", "Shadow"
        ACTIVE = "active", "Active"
        RETIRED = "retired", "Retired"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    task = models.CharField(max_length=64, default="chest-xray-findings")
    name = models.CharField(max_length=100)
    version = models.CharField(max_length=32)
    sha256 = models.CharField(max_length=64, help_text="Of the weights: a worker refuses any other file.")
    card = models.JSONField()
    folder = models.CharField(max_length=255, help_text="Folder name under the model store.")
    status = models.CharField(max_length=10, choices=Status, default=Status.REGISTERED)
    approved_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ModelVersionQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["name", "version"], name="model_name_version"),
            models.UniqueConstraint(fields=["task"], condition=Q(status="active"), name="one_active_per_task"),
            models.CheckConstraint(
                condition=Q(status__in=["registered", "shadow", "active", "retired"]), name="model_status"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def reference(self) -> str:
        """How commands name this version."""
        return f"{self.name}@{self.version}"

    @property
    def since(self) -> datetime:
        """When it came to the state that it is in."""
        return max((change.at for change in self.changes.all() if change.moved), default=self.created_at)

    @property
    def approval(self) -> ModelChange | None:
        """The last decision that let it speak, if it ever spoke."""
        return next((each for each in self.changes.all() if each.moved and each.after == self.Status.ACTIVE), None)

    @property
    def request(self) -> ModelChange | None:
        """The request for its activation that waits for a second person, if one does."""
        newest = next(iter(self.changes.all()), None)
        return newest if newest and newest.verb == ModelChange.Verb.REQUEST else None


class ModelChange(models.Model):
    """One step in a version's life. Append only: a trigger refuses any change. What was active before is read here."""

    class Verb(models.TextChoices):
        REGISTER = "register", "Registered"
        ACTIVATE = "activate", "Activated"
        SHADOW = "shadow", "Made a shadow"
        REPLACE = "replace", "Replaced by another version"
        RETIRE = "retire", "Retired"
        ROLLBACK = "rollback", "Activated again by going back"
        REQUEST = "request", "Activation asked for"
        DECLINE = "decline", "Activation declined"
        VOID = "void", "Request void, its files changed: found"

    #: What leaves the version in the state that it was in.
    WORDS_ONLY = (Verb.REQUEST, Verb.DECLINE, Verb.VOID)

    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="changes")
    verb = models.CharField(max_length=10, choices=Verb)
    after = models.CharField(max_length=10, choices=ModelVersion.Status)
    by = models.CharField(max_length=150, help_text="A username, or who acted without one: `command line: root`.")
    user = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    sha256 = models.CharField(
        max_length=64, blank=True, default="", db_default="", help_text="Of the weights that two people agreed on."
    )
    card_sha256 = models.CharField(
        max_length=64, blank=True, default="", db_default="", help_text="Of the card that two people agreed on."
    )
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.get_verb_display()} by {self.by}"

    @property
    def moved(self) -> bool:
        """Did it bring the version to another state?"""
        return self.verb not in self.WORDS_ONLY

    @property
    def files(self) -> tuple[str, str]:
        """sha256 of weights and card, as `files_fingerprint` gives them; empty where no two people agreed."""
        return self.sha256, self.card_sha256


@tracked(by="model_version")
class OperatingPoint(models.Model):
    """The threshold of one label for one model version, at one clinic or (clinic empty) by default."""

    model_version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="operating_points")
    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    label = models.CharField(max_length=64)
    threshold = models.FloatField()
    chosen_for = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["model_version", "clinic", "label"], nulls_distinct=False, name="operating_point_once"
            ),
            models.CheckConstraint(condition=Q(threshold__gte=0, threshold__lte=1), name="operating_point_range"),
        ]

    def __str__(self) -> str:
        return f"{self.label} ≥ {self.threshold:.2f}"

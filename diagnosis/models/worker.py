"""Which worker processes are alive, as they say themselves in the database, and what they count.

May import: Django only.
"""

from __future__ import annotations

from django.db import models


class Worker(models.Model):
    """One process that works on jobs or sweeps. Alive means seen within the last half minute, by the database clock."""

    class Kind(models.TextChoices):
        PREPARE = "prepare", "Prepare"
        INFER = "infer", "Infer"
        SWEEPER = "sweeper", "Sweeper"

    name = models.CharField(max_length=128, primary_key=True)
    kind = models.CharField(max_length=8, choices=Kind)
    engine = models.CharField(max_length=64, blank=True)
    model_sha256 = models.CharField(max_length=64, blank=True)
    note = models.CharField(max_length=200, blank=True, help_text="Why it cannot work, when it says so.")
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.name


class Tally(models.Model):
    """How often something happened since the site began, counted by whatever process saw it. Never goes down."""

    #: A worker came back after its lease had run out and wanted to write; nothing was written.
    STALE_WRITE = "stale_write_refused"

    name = models.CharField(max_length=64, primary_key=True)
    count = models.BigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "tallies"

    def __str__(self) -> str:
        return f"{self.name} {self.count}"

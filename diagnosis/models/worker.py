"""Which worker processes are alive, as they say themselves in the database.

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

"""What the wiring itself remembers, shared by every web process: how often somebody has asked.

May import: Django. Counted by `cxrsite.limits`; rows are worth nothing after their minute.
"""

from __future__ import annotations

from django.db import models


class RequestCount(models.Model):
    """One row per limit and person, token or address: when the current window began, and how many came since.

    The table is unlogged: a crash of PostgreSQL empties it, which only gives everybody a fresh minute.
    """

    key = models.CharField(primary_key=True, max_length=120)
    began_at = models.DateTimeField()
    count = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.key}: {self.count}"

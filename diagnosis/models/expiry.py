"""Films whose picture is no longer kept.

May import: Django, `diagnosis.models.radiograph`.
"""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from diagnosis.models.radiograph import Radiograph
from patients.history import tracked


@tracked(by="radiograph")
class FilmExpiry(models.Model):
    """The picture of this film went, when, and by which rule of the clinic, in words. Append only.

    The film's row stays, its `display_key` and `reading_key` are empty. `size` is how many bytes its files had.
    """

    radiograph = models.OneToOneField(Radiograph, on_delete=models.PROTECT, related_name="expiry")
    expired_at = models.DateTimeField(default=timezone.now, editable=False)
    rule = models.CharField(max_length=200)
    size = models.BigIntegerField()

    class Meta:
        verbose_name_plural = "film expiries"

    def __str__(self) -> str:
        return f"Expiry of film {str(self.radiograph_id)[:8]}"

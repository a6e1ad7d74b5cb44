"""Films whose picture is no longer kept, and studies whose pictures a clinic wants removed.

May import: Django, `diagnosis.models.radiograph`, `.two_people`, `diagnosis.querysets`.
"""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from diagnosis.models.radiograph import Radiograph
from diagnosis.models.two_people import StudyRequest, done_by_two
from diagnosis.querysets import StudyRemovalQuerySet
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


@tracked(by="study")
class StudyRemoval(StudyRequest):
    """That the pictures of a study go before their time: the clinic's administrator asks, the system administrator
    decides. The study, its results and reports stay."""

    class Outcome(models.TextChoices):
        REMOVED = "removed", "Removed"
        REFUSED = "refused", "Refused"
        WITHDRAWN = "withdrawn", "Withdrawn"

    outcome = models.CharField(max_length=10, choices=Outcome, blank=True, default="")

    objects = StudyRemovalQuerySet.as_manager()

    class Meta(StudyRequest.Meta):
        constraints = [*StudyRequest.Meta.constraints, done_by_two("removed", "study_removal_by_two")]

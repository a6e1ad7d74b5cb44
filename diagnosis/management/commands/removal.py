"""`manage.py removal [ID --by USERNAME (--yes | --refuse)]`: pictures that a clinic wants removed before their time.

May import: `diagnosis.services.removal`, `patients`.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management import BaseCommand, CommandError

from diagnosis.models import StudyRemoval
from diagnosis.services.removal import removal_decide
from patients.errors import ApplicationError
from patients.models import User


class Command(BaseCommand):
    help = (
        "List what clinics ask to have removed, or decide on one of them as system administrator. The pictures go for "
        "good; the study, its results, its reports and the audit stay. docs/consent.md"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("removal", nargs="?", type=UUID, metavar="ID", help="of the request, as the list gives it")
        parser.add_argument("--by", metavar="USERNAME", help="a system administrator, not the one who asked")
        decision = parser.add_mutually_exclusive_group()
        decision.add_argument("--yes", action="store_true", help="remove the pictures, for good")
        decision.add_argument("--refuse", action="store_true", help="keep them")

    def handle(self, *args: Any, removal: UUID | None, by: str | None, yes: bool, refuse: bool, **options: Any) -> str:
        if removal is None:
            waiting = StudyRemoval.objects.filter(outcome="").select_related("clinic", "asked_by")
            return "\n".join(map(_line, waiting)) or "No clinic asks for a removal."
        if by is None or not (yes or refuse):
            raise CommandError("Say who decides, and how: --by USERNAME, and --yes or --refuse.")
        try:
            user, found = User.objects.get_by_natural_key(by), StudyRemoval.objects.get(pk=removal)
            decided = removal_decide(user=user, removal=found, removes=yes)
        except (StudyRemoval.DoesNotExist, User.DoesNotExist) as error:
            raise CommandError("There is no such request or user.") from error
        except ApplicationError as error:
            raise CommandError(f"{error.detail} ({error.code})") from error
        return f"{decided.get_outcome_display()}."


def _line(removal: StudyRemoval) -> str:
    asked = f"{removal.asked_at:%Y-%m-%d %H:%M} UTC by {removal.asked_by.get_username()}"
    return f"{removal.pk}  {removal.clinic.code}, study {removal.study_id}, asked {asked}: {removal.reason}"

"""`manage.py legal_hold PATIENT --by USERNAME --reason TEXT [--release]`: films that may not expire.

May import: `diagnosis.services.retention`, `patients`.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management import BaseCommand, CommandError

from diagnosis.services.retention import legal_hold_record
from patients.errors import ApplicationError
from patients.models import Patient, User


class Command(BaseCommand):
    help = "Hold all films of a patient back from expiry, or let them expire again. A clinic administrator says why."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("patient", type=UUID, help="the patient's id")
        parser.add_argument("--by", required=True, metavar="USERNAME", help="an administrator of the patient's clinic")
        parser.add_argument("--reason", required=True)
        parser.add_argument("--release", action="store_true", help="end the hold")

    def handle(self, *args: Any, patient: UUID, by: str, reason: str, release: bool, **options: Any) -> str:
        try:
            found = Patient.objects.select_related("clinic").get(pk=patient)
            user = User.objects.get_by_natural_key(by)
            legal_hold_record(user=user, patient=found, holds=not release, reason=reason)
        except (Patient.DoesNotExist, User.DoesNotExist) as error:
            raise CommandError("There is no such patient or user.") from error
        except ApplicationError as error:
            raise CommandError(f"{error.detail} ({error.code})") from error
        return "The films may expire again." if release else "The films are held back."

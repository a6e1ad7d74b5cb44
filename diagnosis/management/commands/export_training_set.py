"""`manage.py export_training_set OUT --clinic CODE … --by USERNAME`: films and signed labels of patients who agreed.

May import: `diagnosis.services.training_export`, `patients`.
"""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError

from diagnosis.services.training_export import training_export, training_select
from patients.errors import ApplicationError
from patients.models import Clinic, User


class Command(BaseCommand):
    help = (
        "Write the films of patients who agreed to the training of models, with the labels of signed reports, into a "
        "new folder that `python -m mlcore train --data OUT` reads: no name, number, date or UID goes with them. "
        "A clinic administrator answers for it (--by), and it is recorded for every patient. docs/consent.md"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("out", type=Path, metavar="OUT", help="a folder that does not exist yet")
        parser.add_argument("--clinic", action="append", required=True, metavar="CODE", help="may be given repeatedly")
        parser.add_argument("--by", required=True, metavar="USERNAME", help="a clinic administrator of each clinic")
        parser.add_argument("--dry-run", action="store_true", help="count only, write nothing")
        parser.add_argument(
            "--burned-in-checked",
            action="store_true",
            help="somebody has looked at every film for names in the picture: take also files that do not say that "
            "there are none (pictures, and DICOM without BurnedInAnnotation)",
        )

    def handle(
        self,
        *args: Any,
        out: Path,
        clinic: list[str],
        by: str,
        dry_run: bool,
        burned_in_checked: bool,
        **options: Any,
    ) -> None:
        chosen = {"clinics": _clinics(clinic), "user": _user(by), "burned_in_checked": burned_in_checked}
        if out.exists():
            raise CommandError(f"{out} exists. Name a folder that does not exist yet.")
        try:
            selection = training_select(**chosen) if dry_run else training_export(folder=out, **chosen)
        except ApplicationError as error:
            raise CommandError(f"{error.detail} ({error.code})") from error
        except OSError as error:
            raise CommandError(f"{out} cannot be written: {error.strerror}.") from error
        self._say(selection.counts())
        self.stdout.write("Nothing was written: --dry-run." if dry_run else f"Written: {out}")

    def _say(self, counts: dict[str, Any]) -> None:
        self.stdout.write(f"{counts['films']} films of {counts['patients']} patients")
        for label, said in counts["findings"].items():
            self.stdout.write(f"  {label}: present on {said['present']}, absent on {said['absent']}")
        self.stdout.write("  classes: " + (", ".join(f"{key} {n}" for key, n in counts["classes"].items()) or "none"))
        for reason, number in counts["left_out"].items():
            self.stdout.write(f"left out, {reason}: {number}")


def _clinics(codes: list[str]) -> list[Clinic]:
    found = {clinic.code: clinic for clinic in Clinic.objects.filter(code__in=codes)}
    if unknown := sorted(set(codes) - found.keys()):
        raise CommandError(f"There is no clinic with the code {', '.join(unknown)}.")
    return [found[code] for code in dict.fromkeys(codes)]


def _user(name: str) -> User:
    try:
        return User.objects.get_by_natural_key(name)
    except User.DoesNotExist:
        raise CommandError(f"There is no user named {name!r}.") from None

"""`manage.py verify_store`: reads every stored file again and compares it with its row.

Says what is damaged, what is missing and what no row names; changes nothing. May import: `diagnosis.services`.
"""

from __future__ import annotations

from typing import Any

from django.core.management import BaseCommand, CommandError
from tqdm import tqdm

from diagnosis.services import verification
from patients.errors import ApplicationError


class Command(BaseCommand):
    help = (
        "Read every film, its copies, model input, maps and every model version again and compare it with its row. "
        "One line for each fault, by ids; files older than a day that no row names are listed and kept. "
        "Changes nothing. Exit status: 0 all is well, 1 there are faults."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            films, faults = self._films()
        except ApplicationError as error:
            raise CommandError(f"The storage cannot be read ({error.code}).") from error
        for fault in (found := [*verification.films_expired_verify(), *verification.models_verify()]):
            self.stdout.write(str(fault))
        for path in verification.files_unnamed():
            self.stdout.write(f"no row names it (kept): {path}")
        if faults or found:
            raise CommandError(f"{faults + len(found)} faults. Bring these files back from a backup: docs/backup.md.")
        self.stdout.write(f"{films} films and every model version are stored as they were written.")

    def _films(self) -> tuple[int, int]:
        films = faults = 0
        bar = tqdm(verification.films_verify(), total=verification.films_count(), unit=" films", disable=None)
        for found in bar:
            films += 1
            for fault in found:
                faults += 1
                bar.clear()
                self.stdout.write(str(fault))
        return films, faults

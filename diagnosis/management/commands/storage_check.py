"""`manage.py storage_check`: reads every stored original again and compares it with its row.

Says what is damaged, what is missing and what no row names; changes nothing. May import: `diagnosis.services`.
"""

from __future__ import annotations

from typing import Any

from django.core.management import BaseCommand, CommandError

from diagnosis.services.recovery import originals_damaged, originals_unreferenced


class Command(BaseCommand):
    help = "Check every stored original against its hash. Changes nothing."

    def handle(self, *args: Any, **options: Any) -> None:
        for path in originals_unreferenced():
            self.stdout.write(f"no film names it (kept): {path}")
        damaged = list(originals_damaged())
        for radiograph in damaged:
            self.stdout.write(f"damaged or missing: radiograph {radiograph.pk}, sha256 {radiograph.sha256}")
        if damaged:
            raise CommandError(f"{len(damaged)} films cannot be read. Restore their files from the backup.")
        self.stdout.write("Every film is stored as it was received.")

"""`manage.py demo_data`: two demo clinics with people and patients, on an empty database only.

May import: `cxrsite.demo`.
"""

from __future__ import annotations

from typing import Any

from django.core.management import BaseCommand, CommandError

from cxrsite import demo


class Command(BaseCommand):
    help = "Make two demo clinics with patients and one person per role; prints their passwords."

    def handle(self, *args: Any, **options: Any) -> None:
        if not demo.database_is_empty():
            raise CommandError("The database is in use already; demo data is for an empty one.")
        for name, password in demo.demo_create():
            self.stdout.write(f"{name:<14} {password}")

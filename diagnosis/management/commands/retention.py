"""`manage.py retention`: which films may go by their clinic's rule; with `--apply --yes` their pictures go.

May import: `diagnosis.services.retention`, `patients`.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

import pghistory
from django.core.management import BaseCommand, CommandError

from diagnosis.services.retention import due_read, films_expire
from patients.models import Clinic


class Command(BaseCommand):
    help = (
        "List by clinic the films whose time is over by the clinic's rule (in the administration): how many, the "
        "oldest, their size and ids, and how many are kept back and why. Nothing is removed without --apply --yes; "
        "then the pictures go for good, and results, reports and the audit stay. docs/consent.md"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--clinic", action="append", default=[], metavar="CODE", help="only this one; repeatable")
        parser.add_argument("--apply", action="store_true", help="remove the pictures; needs --yes as well")
        parser.add_argument("--yes", action="store_true", help="yes, for good")

    def handle(self, *args: Any, clinic: list[str], apply: bool, yes: bool, **options: Any) -> None:
        if apply and not yes:
            raise CommandError("Pictures are removed for good. Look at the list first, then say --apply --yes.")
        clinics = Clinic.objects.filter(code__in=clinic) if clinic else Clinic.objects.all()
        if unknown := sorted(set(clinic) - {each.code for each in clinics}):
            raise CommandError(f"There is no clinic with the code {', '.join(unknown)}.")
        with pghistory.context(command="retention"):
            for each in clinics.order_by("code"):
                self._clinic(each, apply=apply)
        if not apply:
            self.stdout.write("Nothing was removed: a dry run.")

    def _clinic(self, clinic: Clinic, *, apply: bool) -> None:
        due = due_read(clinic)
        oldest = f", the oldest of {due.oldest}" if due.oldest else ""
        self.stdout.write(f"{clinic.code}: {due.rule}. Due: {len(due.films)} films, {due.size} bytes{oldest}")
        for film in due.films:
            self.stdout.write(f"  {film.pk}")
        for reason, number in sorted(due.kept_back.items()):
            self.stdout.write(f"  kept back, {reason}: {number}")
        if apply:
            self.stdout.write(f"  removed: {films_expire(due)} pictures")

"""`manage.py verify_audit`: is the audit still what was recorded?

May import: Django, tqdm, `patients.sealing`.
"""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from patients.sealing import Walk, audit_head, audit_seal, audit_unsealed

SHOWN_AT_MOST = 100


class Command(BaseCommand):
    """Walks the chain and every event in it, names what was changed, and prints count and head.

    What it proves: an event that was sealed cannot be changed or taken away without a fault here, not even by a
    database superuser who switches the triggers off, unless every later seal is computed anew; and then it is found by
    `--head` with a head that another host noted before (the sweeper logs one an hour).

    What it does not: a superuser can change or delete an event in the seconds before it is sealed, can rewrite what
    came after the last head that was noted elsewhere, and can add events.
    """

    help = "Check the audit's hash chain. Ends with 1 when anything was changed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--head",
            action="append",
            default=[],
            type=_head,
            metavar="HASH@POSITION",
            help="a head noted earlier, best on another host; may be repeated",
        )
        parser.add_argument("--seal", action="store_true", help="first seal what waits, where no sweeper runs")

    def handle(self, *, head: list[tuple[int, str]], seal: bool, **options: Any) -> None:
        if seal:
            audit_seal(everything=True)
        newest = audit_head()
        walk = Walk(dict(head))
        with tqdm(total=newest.position if newest else 0, unit=" events", disable=None) as progress:
            found = 0
            for fault in walk.faults(progress.update):
                found += 1
                if found <= SHOWN_AT_MOST:
                    with progress.external_write_mode():
                        self.stdout.write(fault.sentence)
        if found > SHOWN_AT_MOST:
            self.stdout.write(f"… and {found - SHOWN_AT_MOST} faults more.")
        if unsealed := audit_unsealed():
            found += 1
            self.stdout.write(f"{unsealed} events wait for their seal longer than a minute: is the sweeper running?")
        self.stdout.write(f"{walk.position} events sealed, head {walk.sha256}@{walk.position}")
        if found:
            raise CommandError("The audit is not what was recorded.")
        self.stdout.write("Nothing was changed.")


def _head(text: str) -> tuple[int, str]:
    sha256, _, position = text.partition("@")
    if len(sha256) != 64 or not position.isdecimal():
        raise ArgumentTypeError("a head looks like 3f…9a@1200")
    return int(position), sha256

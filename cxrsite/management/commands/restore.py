"""`manage.py restore DIR`: a backup into an empty database and an empty store, and proof that all of it came back.

May import: `cxrsite.restore`, `cxrsite.dumps`.
"""

from __future__ import annotations

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError, call_command

from cxrsite.backup import BackupError
from cxrsite.database import as_owner
from cxrsite.dumps import DumpError
from cxrsite.restore import backup_restore

EPILOG = """\
Refuses a database that holds people, clinics or films, one that another program is connected to, and a film storage
with other films in it: nothing is ever overwritten. On one computer: stop the site, move var/ away, restore, start.
Run it again when it was cut off. Redis starts empty; the sweeper queues what was being worked on.

The SECRET_KEY is not in a backup: set the old one, or second factors have to be set up anew. Everybody signs in again.
People deactivated and tokens revoked since the backup are as they were then: go through them.

Exit status: 0 everything came back and was verified; 1 refused, or something is damaged (one line each).
"""


class Command(BaseCommand):
    help = "Bring back the backup in DIR, then verify every film and the audit."
    requires_system_checks: list[str] = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        return super().create_parser(
            prog_name, subcommand, epilog=EPILOG, formatter_class=RawDescriptionHelpFormatter, **kwargs
        )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, metavar="DIR")

    @as_owner()
    def handle(self, *args: Any, folder: Path, **options: Any) -> None:
        try:
            done = backup_restore(folder.absolute(), say=self._say)
        except (BackupError, DumpError) as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"The store cannot be written ({error.strerror}). Run it again with room.") from error
        for name in done.damaged:
            self._say(f"damaged in the backup, not brought back: {name}")
        rows = sum(done.manifest.rows.values())
        self._say(f"Back: {done.manifest.films} films, {rows} rows, as of {done.manifest.made_at}. Verifying …")
        faults = [
            fault for fault in (self._verify("verify_store"), self._verify_audit(done.manifest.audit_head)) if fault
        ]
        if faults or done.damaged:
            raise CommandError(" ".join([*faults, "Brought back, but not everything is whole."]))

    def _verify_audit(self, head: str) -> str:
        return self._verify("verify_audit", "--seal", *(["--head", head] if head else []))

    def _verify(self, *command: str) -> str:
        """What the command complains of; empty when all is well."""
        try:
            call_command(*command, stdout=self.stdout)
        except CommandError as error:
            return str(error)
        return ""

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

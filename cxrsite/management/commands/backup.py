"""`manage.py backup DIR`: database, films and models into one folder, while the site runs.

May import: `cxrsite.backup`, `cxrsite.database`, `cxrsite.dumps`.
"""

from __future__ import annotations

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError
from django.template.defaultfilters import filesizeformat

from cxrsite.backup import BackupError, backup_make
from cxrsite.database import as_owner
from cxrsite.dumps import DumpError

EPILOG = """\
The folder is made for its owner alone (0700) and keeps its names: give the same one each time, and only new films are
copied. Send it elsewhere with restic, or any tool that copies folders (docs/backup.md). A run that is cut off leaves
the backup of before.

Not in it, keep them elsewhere: SECRET_KEY and the rest of .env, the TLS key, what Redis holds (hints only).
It holds patients' data and is not encrypted: restic encrypts.

Exit status: 0 done; 1 not done, or done without films that are damaged in the store.
"""


class Command(BaseCommand):
    help = "Write database, films and models into the folder DIR. The site may run."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        return super().create_parser(
            prog_name, subcommand, epilog=EPILOG, formatter_class=RawDescriptionHelpFormatter, **kwargs
        )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, metavar="DIR")
        parser.add_argument(
            "--link",
            action="store_true",
            help="hard-link films, do not copy them: for a folder on the same disk that is sent elsewhere at once",
        )

    @as_owner()
    def handle(self, *args: Any, folder: Path, link: bool, **options: Any) -> None:
        try:
            made = backup_make(folder.absolute(), link=link, say=self._say)
        except (BackupError, DumpError) as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"The folder cannot be written: {error.strerror}. The last backup stays.") from error
        size = filesizeformat(made.bytes).replace("\xa0", " ")
        self._say(f"{made.films} films, {made.files} files, {size}: {folder}. Not in it: SECRET_KEY, .env, TLS keys.")
        if made.audit_head:
            self._say(f"audit head {made.audit_head}")
        if made.left_out:
            self._say("\n".join(f"damaged in the store, not backed up: film {sha256}" for sha256 in made.left_out))
            raise CommandError(f"{len(made.left_out)} films are damaged. manage.py verify_store names them.")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

"""`manage.py model add | list | activate | approve | …`: which versions there are, and which one speaks.

May import: `diagnosis.registry`, `diagnosis.services`, `diagnosis.card`, `mlcore.contracts`, `patients`.
"""

from __future__ import annotations

import getpass
import json
from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pghistory
from django.core.management import BaseCommand, CommandError, CommandParser

from diagnosis.card import card_line
from diagnosis.models import ModelVersion
from diagnosis.registry import models_named, models_read
from diagnosis.services import models
from mlcore.contracts import ModelIntegrityError
from patients import access
from patients.errors import ApplicationError
from patients.models import User

NO_SUCH_VERSION = 3

#: What each sub-command does, as its help says it.
ACTIONS = {
    "add": "register a model folder (card.json, served.weights.h5, figures/); its files are copied",
    "list": "every version with state, approval and main figures",
    "activate": "ask for a version to read every new film; another system administrator approves",
    "approve": "approve what another one asked for: the version reads new films, the one before retires",
    "decline": "close a request without activating anything; who asked may take it back so",
    "shadow": "let a version read every new film beside the active one; nobody is shown what it says",
    "rollback": "go back to the version that was active before",
    "retire": "take a version out of use",
}
#: Decisions that only a named person can take.
DECIDED = ("approve", "decline")
EPILOG = """\
MODEL is NAME@VERSION, NAME where it has one version, or the first letters of the sha256 of the weights.
Every change is recorded with who made it: --by, else the computer's user. Activating takes two system administrators
of the site, each named by --by: one asks, another approves the same files, shown by their sha256 (with
MODEL_APPROVALS=1 one is enough). Whoever has this shell could name anybody: here it is recorded, not proved.
Exit status: 0 done, 1 refused, 2 wrong usage, 3 no such version, or several.
"""


class Command(BaseCommand):
    help = "The model versions of this site: register, list, activate, try out unseen, go back."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(
            prog_name, subcommand, epilog=EPILOG, formatter_class=RawDescriptionHelpFormatter, **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions")
        parsers = {name: actions.add_parser(name, help=text, description=text) for name, text in ACTIONS.items()}
        parsers["add"].add_argument("folder", type=Path, metavar="FOLDER")
        then = parsers["add"].add_mutually_exclusive_group()
        then.add_argument("--activate", action="store_true", help="and ask for its activation")
        then.add_argument("--shadow", action="store_true", help="it reads new films from now on, unseen")
        parsers["list"].add_argument("--json", action="store_true", help="for programs; sha256 in full")
        for name in ("activate", "approve", "decline", "shadow", "retire"):
            parsers[name].add_argument("model", metavar="MODEL", help="NAME@VERSION, or the beginning of the sha256")
        for name in set(ACTIONS) - {"list"}:
            parsers[name].add_argument(
                "--by", metavar="NAME", required=name in DECIDED, help="system administrator who decides this"
            )

    def handle(self, *args: Any, **options: Any) -> None:
        act: Callable[..., None] = getattr(self, f"_{options['action']}")
        try:
            with pghistory.context(command="model"):
                act(options)
        except ApplicationError as error:
            raise CommandError(error.detail) from error
        except ModelIntegrityError as error:
            raise CommandError(f"The folder was refused: {error}.") from error

    # --- one method per action

    def _add(self, options: dict[str, Any]) -> None:
        by = who(options["by"])
        model = models.model_register(folder=options["folder"], by=by)
        self._say(f"{model.reference} is registered. Weights {model.sha256}, thresholds and card as in the folder.")
        if options["activate"] or options["shadow"]:
            act = self._activate if options["activate"] else self._shadow
            act({**options, "model": model.reference})
        else:
            self._say(f"It reads nothing yet: {model.get_status_display().lower()}.")

    def _list(self, options: dict[str, Any]) -> None:
        rows = [row_of(model) for model in models_read()]
        if options["json"]:
            self._say(json.dumps(rows, indent=2))
        elif rows:
            self._say(table_of([{**row, "sha256": row["sha256"][:12]} for row in rows]))
        else:
            self._say("No model is registered. Register one: manage.py model add FOLDER")

    def _activate(self, options: dict[str, Any]) -> None:
        before = active_version()
        model = models.model_activate(model=the_one(options["model"]), by=who(options["by"]))
        if (request := model.request) is None:
            return self._say_active(model, before)
        self._say(f"{request.by} asks for {model.reference} to read every new film:")
        self._say_files(model, before)
        self._say(f"Another system administrator decides: manage.py model approve {model.reference} --by NAME")

    def _approve(self, options: dict[str, Any]) -> None:
        before, model = active_version(), the_one(options["model"])
        if model.request:
            self._say_files(model, before)
        model = models.model_approve(model=model, by=who(options["by"]))
        self._say_active(model, before)

    def _decline(self, options: dict[str, Any]) -> None:
        model = models.model_decline(model=the_one(options["model"]), by=who(options["by"]))
        self._say(f"The request for {model.reference} is closed; nothing changes.")

    def _say_files(self, model: ModelVersion, before: ModelVersion | None) -> None:
        """What two people have to see alike, and the main figures beside those of the version that speaks."""
        request = model.request
        self._say(f"  weights  sha256 {request.sha256 if request else model.sha256}")
        self._say(f"  card     sha256 {request.card_sha256 if request else ''}")
        self._say(f"  figures  {card_line(model.card)}")
        if before:
            self._say(f"  now      {before.reference}: {card_line(before.card)}")

    def _say_active(self, model: ModelVersion, before: ModelVersion | None) -> None:
        self._say(f"{model.reference} is active: it reads every new film.")
        if before and before != model:
            self._say(f"{before.reference} is retired; its results stay. Back to it: manage.py model rollback")

    def _shadow(self, options: dict[str, Any]) -> None:
        model = models.model_shadow(model=the_one(options["model"]), by=who(options["by"]))
        self._say(f"{model.reference} is a shadow: it reads new films after the active one, and nobody is shown it.")

    def _rollback(self, options: dict[str, Any]) -> None:
        before = active_version()
        model = models.model_rollback(by=who(options["by"]))
        self._say(f"{model.reference} is active again.")
        if before:
            self._say(f"{before.reference} is retired; its results stay.")

    def _retire(self, options: dict[str, Any]) -> None:
        model = models.model_retire(model=the_one(options["model"]), by=who(options["by"]))
        self._say(f"{model.reference} is retired; its results stay.")
        if active_version() is None:
            self._say("No version is active now: films are checked and kept, and read once one is activated.")

    def _say(self, text: str) -> None:
        self.stdout.write(text)


def who(username: str | None) -> User | str:
    """The system administrator of this name, else the computer's user. Raises CommandError."""
    if not username:
        return f"command line: {getpass.getuser()}"
    user = User.objects.filter(username=username).first()
    if user is None or not access.is_system_admin(user):
        raise CommandError(f"{username} is not an active system administrator of this site.")
    return user


def the_one(text: str) -> ModelVersion:
    """The version that is meant. Raises CommandError with the candidates."""
    found = models_named(text)
    if len(found) == 1:
        return found[0]
    known = "\n".join(f"  {each.reference}  {each.sha256[:12]}" for each in found or models_read()) or "  (none)"
    what = f"{text} could be several versions:" if found else f"No version is called {text}. Registered are:"
    raise CommandError(f"{what}\n{known}", returncode=NO_SUCH_VERSION)


def active_version() -> ModelVersion | None:
    return ModelVersion.objects.filter(status=ModelVersion.Status.ACTIVE).first()


def row_of(model: ModelVersion) -> dict[str, str]:
    return {
        "name": model.name,
        "version": model.version,
        "state": model.status,
        "since": f"{model.since:%Y-%m-%d %H:%M}",
        "approved by": model.approval.by if model.approval else "",
        "asked by": model.request.by if model.request else "",
        "sha256": model.sha256,
        "figures": card_line(model.card),
    }


def table_of(rows: list[dict[str, str]]) -> str:
    """Columns as wide as their longest entry."""
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)

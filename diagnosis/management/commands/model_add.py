"""`manage.py model_add FOLDER`: register a trained model; with `--activate` it speaks from now on.

May import: `diagnosis.services`, `mlcore.contracts`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser

from diagnosis.services.models import model_register
from mlcore.contracts import ModelIntegrityError


class Command(BaseCommand):
    help = "Register a model folder (card.json and weights); its files are copied into the model store."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument("--activate", action="store_true", help="new films are read by this model from now on")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            model = model_register(folder=options["folder"], activate=options["activate"])
        except ModelIntegrityError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{model} ({model.get_status_display().lower()}), weights {model.sha256}")

"""The command line of the model side: `python -m mlcore COMMAND`; each command is a module of `mlcore.commands`.

May import: the standard library and `mlcore.commands`; everything heavy is imported by the command that needs it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

COMMANDS = ("train", "compare", "tune", "export", "evaluate", "recipe", "predict", "chexnet", "gates", "bench")
#: Installed by `make study`, not with the site.
STUDY_PACKAGES = ("jinja2", "matplotlib", "optuna", "scipy", "sklearn", "nncf")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0 when everything asked for was done."""
    options = _parser().parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from mlcore.contracts import ModelIntegrityError
    from mlcore.training.films import TrainingError

    try:
        return int(options.run(options))
    except (TrainingError, ModelIntegrityError) as error:
        print(f"mlcore: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if error.name not in STUDY_PACKAGES:
            raise
        print(f"mlcore: {error.name} is not installed. `make study` installs what training needs.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("mlcore: stopped; run the same command again to go on", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mlcore",
        description="Train, compare, measure and use chest X-ray models. Not a medical device.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = import_module(f"mlcore.commands.{name}")
        command = commands.add_parser(name, help=module.HELP, description=module.HELP)
        module.arguments(command)
        command.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())

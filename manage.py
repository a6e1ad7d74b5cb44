#!/usr/bin/env python
"""Django's command line. `python manage.py up` starts everything; `python manage.py help` lists the rest."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cxrsite.settings.local")
    from django.core.management import execute_from_command_line

    from patients.actor import SYSTEM, process_acts_as

    process_acts_as(SYSTEM)
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()

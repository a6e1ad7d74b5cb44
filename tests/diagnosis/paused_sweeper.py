"""A sweeper that the machine pauses in the middle of its first sweep, while it holds the lock: `python -m` this module.

Started by tests only, with the settings of `tests.diagnosis.workers`.
"""

from __future__ import annotations

import os
import signal
import sys

import django

django.setup()

from django.core.management import execute_from_command_line  # noqa: E402

from diagnosis.services import recovery  # noqa: E402
from patients.actor import SYSTEM, process_acts_as  # noqa: E402

process_acts_as(SYSTEM)

_expired_return = recovery._expired_return


def _pause_once() -> int:
    recovery._expired_return = _expired_return
    os.kill(os.getpid(), signal.SIGSTOP)
    return _expired_return()


recovery._expired_return = _pause_once
execute_from_command_line([sys.argv[0], "sweeper"])

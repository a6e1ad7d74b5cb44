"""How log lines are written. May import: the standard library only."""

from __future__ import annotations

import logging


class MessageOnly(logging.Formatter):
    """The line without traceback and exception: Django attaches them to every refused request."""

    def format(self, record: logging.LogRecord) -> str:
        bare = logging.makeLogRecord({**record.__dict__, "exc_info": None, "exc_text": None, "stack_info": None})
        return super().format(bare)

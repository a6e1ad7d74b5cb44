"""How gunicorn serves the site: `gunicorn -c python:cxrsite.gunicorn cxrsite.wsgi`.

May import: gunicorn, `cxrsite.settings.env`.
"""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

from gunicorn.glogging import Logger

from cxrsite.settings import env


class QuietLogger(Logger):
    """Logs what changed something or failed. Pages that refresh themselves would drown everything else."""

    error_fmt = "%(levelname)s %(message)s"

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: Any) -> None:
        if environ.get("REQUEST_METHOD") not in ("GET", "HEAD") or not resp.status.startswith(("2", "3")):
            super().access(resp, req, environ, request_time)


def post_fork(server: Any, worker: Any) -> None:
    """No web worker outlives the server process, however that ends."""
    from billiard.util import set_pdeathsig

    with suppress(OSError):
        set_pdeathsig(signal.SIGKILL)


bind = f"{env.HOST}:{env.PORT}"
worker_class = "gthread"
workers = env.WEB_WORKERS
threads = 8
timeout = 120
graceful_timeout = 25
keepalive = 5
max_requests = 5000
max_requests_jitter = 500
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  heartbeat files, not data
logger_class = QuietLogger
accesslog = "-"
# The path alone: a query string may hold a patient's name.
access_log_format = "%(m)s %(U)s %(s)s %(M)s ms"
control_socket_disable = True

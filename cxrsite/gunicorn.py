"""How gunicorn serves the site: `gunicorn -c python:cxrsite.gunicorn cxrsite.wsgi`.

May import: gunicorn, `cxrsite.logs`, `cxrsite.settings.env`.
"""

from __future__ import annotations

import shutil
import signal
from contextlib import suppress
from logging.config import dictConfig
from pathlib import Path
from typing import Any

from gunicorn.glogging import Logger

from cxrsite.logs import logging_config
from cxrsite.settings import env


class SiteLogger(Logger):
    """gunicorn's own events, written as every other event of the site; requests are logged by the site itself."""

    def setup(self, cfg: Any) -> None:
        self.cfg = cfg
        dictConfig(logging_config(level=env.LOG_LEVEL, form=env.LOG_FORMAT))
        self.error_log.propagate = True

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Without gunicorn's own words: they hold the whole address, and a query string may hold a patient's name."""
        self.error_log.exception("a request met a fault of the server")

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: Any) -> None:
        """Nothing: see `cxrsite.middleware.RequestContextMiddleware`."""


def post_fork(server: Any, worker: Any) -> None:
    """No web worker outlives the server process, however that ends."""
    from billiard.util import set_pdeathsig

    with suppress(OSError):
        set_pdeathsig(signal.SIGKILL)


def child_exit(server: Any, worker: Any) -> None:
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid, path=str(METRICS))


#: Each web process counts its requests in a file of its own here; `/metrics` adds them up.
METRICS = env.VAR_DIR / "metrics"
# What an earlier run counted is forgotten: Prometheus sees a restart. Once for a server, and here rather than in
# `on_starting`: by then the application is loaded and its first file is open.
shutil.rmtree(METRICS, ignore_errors=True)
METRICS.mkdir(parents=True)
raw_env = [f"PROMETHEUS_MULTIPROC_DIR={METRICS}"]
bind = f"{env.HOST}:{env.PORT}"
#: The application is loaded once and the web processes are forked from it: it opens no connection before a request.
preload_app = True
worker_class = "gthread"
workers = env.WEB_WORKERS
threads = 8
timeout = 120
graceful_timeout = 25
keepalive = 5
max_requests = 5000
max_requests_jitter = 500
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # heartbeat files, not data  # noqa: S108  # nosec B108
logger_class = SiteLogger
control_socket_disable = True

"""`manage.py up`: the whole site as one process tree, on a computer with nothing else installed.

Embedded servers (unless URLs are given), migrations, static files, the bundled model, demo data on an empty
database; then web, workers and sweepers until Ctrl-C. May import: everything above it through services.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.core.management import BaseCommand, CommandError, call_command
from django.db import connections

from cxrsite import demo, embedded
from cxrsite.processes import PROCESSES
from cxrsite.settings import env
from cxrsite.supervisor import Printer, Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator


class Command(BaseCommand):
    help = "Start everything: servers, web, workers. Ctrl-C stops it."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        with only_one():
            refuse_taken_port(env.HOST, env.PORT)
            call_command("setup", stdout=self.stdout)
            if demo.database_is_empty():
                self.step("Making demo clinics …")
                demo.demo_create()
            connections.close_all()
            os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cxrsite.settings.local")
            try:
                Supervisor(PROCESSES, out=sys.stdout, tick=Watch()).run()
            finally:
                for server in (embedded.POSTGRES, embedded.REDIS):
                    server.leave()
        self.step("Stopped. Your data is kept.")

    def step(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


class Watch:
    """What `up` does besides its children: says when the site answers, and looks after the embedded servers."""

    def __init__(self) -> None:
        self._announced = False
        self._seen: dict[str, str] = {}

    def __call__(self, printer: Printer) -> None:
        if not self._announced and port_answers(env.HOST, env.PORT):
            self._announced = True
            printer.write(banner())
        for server in (embedded.POSTGRES, embedded.REDIS):
            if server.in_use:
                server.start_keeper()
                self._say_if_restarted(server, printer)

    def _say_if_restarted(self, server: embedded.EmbeddedServer, printer: Printer) -> None:
        try:
            running = server.pid_file.read_text()
        except FileNotFoundError:
            return
        if self._seen.setdefault(server.name, running) != running:
            self._seen[server.name] = running
            printer.line("up", f"{server.label} had ended and was started again; see {server.log}")


def banner() -> str:
    """Where the site is and how to sign in."""
    lines = ["", f"  The site answers at http://{'localhost' if env.HOST in LOOPBACK else env.HOST}:{env.PORT}/", ""]
    if passwords := demo.demo_passwords():
        lines += ["  Demo people (kept in " + str(demo.PASSWORD_FILE) + "):"]
        lines += [f"    {name:<14} {password}" for name, password in passwords]
        lines += [""]
    lines += ["  Not a medical device. Ctrl-C stops everything that was started here.", ""]
    return "\n".join(lines)


LOOPBACK = ("127.0.0.1", "localhost", "0.0.0.0")  # compared, not bound  # noqa: S104  # nosec B104


def refuse_taken_port(host: str, port: int) -> None:
    """Raise CommandError when another program listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CommandError(
                f"Port {port} cannot be used: {os.strerror(error.errno or 0).lower()}. "
                f"Stop the other program, or choose another port: PORT={port + 1} make run"
            ) from error


def port_answers(host: str, port: int) -> bool:
    """Does something accept connections there?"""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1" if host in LOOPBACK else host, port)) == 0


@contextmanager
def only_one() -> Iterator[None]:
    """Raise CommandError when the site already runs from this folder."""
    with (embedded.control_folder() / "up.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(f"The site already runs with the data in {env.VAR_DIR}. Stop it first.") from None
        yield

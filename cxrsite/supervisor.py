"""Runs the site's processes as children: names in front of their lines, restarts, and an end that leaves nothing.

One thread, one loop: the kernel's parent-death signal is tied to the thread that starts a child.
May import: the standard library, `cxrsite.processes`, `cxrsite.keeper` (the parent-death signal).
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from cxrsite.keeper import die_with_parent
from cxrsite.processes import Process

#: Workers get 25 seconds to finish what they hold (soft shutdown), then a little to leave.
STOP_SECONDS = 32
#: A film that kills its worker costs a few of these pauses, and every other film waits with it.
LONGEST_PAUSE = 5.0
STEADY_SECONDS = 10
COLOURS = (36, 33, 35, 32, 34, 31)
#: TensorFlow's remarks on loading, written before its own log level holds.
CHATTER = re.compile(rb"I0000 |WARNING: All log messages before absl|To enable the following instructions")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Printer:
    """Writes whole lines with a coloured name in front. Once the reader has gone it swallows them."""

    def __init__(self, out: IO[str], names: Sequence[str]) -> None:
        self.out = out
        self.closed = False
        self._width = max(len(name) for name in names)
        coloured = out.isatty() and "NO_COLOR" not in os.environ
        self._colour = {name: COLOURS[i % len(COLOURS)] if coloured else 0 for i, name in enumerate(names)}

    def line(self, name: str, text: str) -> None:
        colour = self._colour.get(name, 0)
        prefix = f"{name:<{self._width}} |"
        self.write(f"\x1b[{colour}m{prefix}\x1b[0m {text}" if colour else f"{prefix} {text}")

    def write(self, text: str) -> None:
        if self.closed:
            return
        try:
            print(text, file=self.out, flush=True)
        except (BrokenPipeError, ValueError):
            self.closed = True


class Child:
    """One process of the table while it lives, dies and is started again, a little later each time it dies young."""

    def __init__(self, process: Process, printer: Printer) -> None:
        self.process = process
        self.printer = printer
        self.running: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.start_after = time.monotonic() + process.after
        self._pause = 0.5
        self._rest = b""

    def start(self, selector: selectors.BaseSelector) -> None:
        program = Path(sys.executable).with_name(self.process.command[0])
        self.running = subprocess.Popen(
            [str(program), *self.process.command[1:]],
            env={**os.environ, **self.process.environment, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGKILL),
        )
        self.started_at = time.monotonic()
        assert self.running.stdout is not None
        os.set_blocking(self.running.stdout.fileno(), False)
        selector.register(self.running.stdout, selectors.EVENT_READ, self)

    def read(self) -> None:
        """Print the lines that have arrived."""
        assert self.running is not None
        assert self.running.stdout is not None
        with suppress(BlockingIOError, ValueError):
            *lines, self._rest = (self._rest + (os.read(self.running.stdout.fileno(), 65536) or b"\n")).split(b"\n")
            for line in lines:
                if not line or CHATTER.match(line):
                    continue
                self.printer.line(self.process.name, line.decode(errors="replace").rstrip())

    def look(self, selector: selectors.BaseSelector) -> None:
        """Start it when it is time to; when it has died, clear up after it and choose the next time."""
        if self.running is None:
            if time.monotonic() >= self.start_after:
                self.start(selector)
            return
        code = self.running.poll()
        if code is None:
            return
        if time.monotonic() - self.started_at > STEADY_SECONDS:
            self._pause = 0.5
        self.clear(selector)
        reason = f"signal {signal.Signals(-code).name}" if code < 0 else f"code {code}"
        self.printer.line(self.process.name, f"ended ({reason}); starting it again in {self._pause:g} s")
        self.start_after = time.monotonic() + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def clear(self, selector: selectors.BaseSelector) -> None:
        """Forget an ended process: last lines printed, its group killed, so that no grandchild stays."""
        assert self.running is not None
        assert self.running.stdout is not None
        self.signal_group(signal.SIGKILL)
        self.read()
        with suppress(KeyError):
            selector.unregister(self.running.stdout)
        self.running.stdout.close()
        self.running = None

    def signal_group(self, sent: signal.Signals) -> None:
        if self.running is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.running.pid, sent)

    def terminate(self) -> None:
        if self.running is not None and self.running.poll() is None:
            self.running.terminate()


class Supervisor:
    """Keeps every process running until a signal arrives, then stops all of them within `STOP_SECONDS`."""

    def __init__(self, processes: Sequence[Process], *, out: IO[str], tick: Callable[[Printer], None]) -> None:
        self.printer = Printer(out, ["up", *(process.name for process in processes)])
        self.children = [Child(process, self.printer) for process in processes]
        self._tick = tick
        self._signals = 0
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Returns when everything it started has ended."""
        before = {each: signal.signal(each, self._on_signal) for each in SIGNALS}
        try:
            while not self._signals and not self.printer.closed:
                for child in self.children:
                    child.look(self._selector)
                self._pump(0.25)
                self._tick(self.printer)
        finally:
            self._stop()
            for each, handler in before.items():
                signal.signal(each, handler)

    def _on_signal(self, number: int, frame: object) -> None:
        self._signals += 1

    def _pump(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            child: Child = key.data
            child.read()
            if child.running is not None and child.running.poll() is not None:
                self._selector.unregister(key.fileobj)

    def _stop(self) -> None:
        self.printer.line("up", "stopping; workers finish what they hold (Ctrl-C again: at once)")
        for child in self.children:
            child.terminate()
        asked, deadline = self._signals, time.monotonic() + STOP_SECONDS
        while self._alive() and time.monotonic() < deadline and self._signals <= max(asked, 1):
            self._pump(0.1) if self._selector.get_map() else time.sleep(0.1)
        for child in self.children:
            if child.running is not None:
                child.signal_group(signal.SIGKILL)
                child.running.wait(5)
                child.clear(self._selector)

    def _alive(self) -> bool:
        return any(child.running is not None and child.running.poll() is None for child in self.children)

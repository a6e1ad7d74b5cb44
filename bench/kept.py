"""A function in a process of its own that is kept and asked in turn: it loads once, and several take turns.

May import: the standard library and `bench.found`. `mlcore.training.apart` is for what is asked once.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from bench.found import CannotRun, reason
from mlcore.training.apart import death, end_with_parent

_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "TQDM_DISABLE": "1"}


class Kept:
    """`make(*args)` is called in a fresh process and gives the function that answers `ask`. Started at once.

    `environment` is added to the process's own. Everything that crosses must be picklable.
    """

    def __init__(
        self, make: Callable[..., Callable[[Any], Any]], *args: Any, environment: Mapping[str, str] | None = None
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, make, args), daemon=True)
        with _environment({**_QUIET, **(environment or {})}):
            self._process.start()
        theirs.close()

    def __enter__(self) -> Kept:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def ready(self, seconds: float = 300) -> float:
        """Seconds that `make` took. Raises CannotRun with its reason."""
        return float(self._answer(seconds))

    def ask(self, value: Any, seconds: float = 600) -> Any:
        """The function's answer. Raises CannotRun with the reason when it raised, died or took longer."""
        self.tell(value)
        return self._answer(seconds)

    def tell(self, value: Any) -> None:
        """Ask without waiting; `hear` gives the answer."""
        try:
            self._pipe.send(value)
        except OSError:
            raise CannotRun(self._gone()) from None

    def hear(self, seconds: float = 600) -> Any:
        return self._answer(seconds)

    def stop(self) -> None:
        self._pipe.close()
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _answer(self, seconds: float) -> Any:
        try:
            if not self._pipe.poll(seconds):
                self._process.kill()
                raise CannotRun(f"no answer within {seconds:.0f} s")
            answer = self._pipe.recv()
        except (EOFError, OSError):
            raise CannotRun(self._gone()) from None
        if "reason" in answer:
            raise CannotRun(answer["reason"])
        return answer["result"]

    def _gone(self) -> str:
        self._process.join(5)
        return death(self._process.exitcode)


def _serve(pipe: Any, make: Callable[..., Callable[[Any], Any]], args: tuple[Any, ...]) -> None:
    import threading

    threading.Thread(target=end_with_parent, daemon=True).start()
    began = time.perf_counter()
    function = _answered(pipe, lambda: make(*args), lambda made: time.perf_counter() - began)
    while function is not None:
        with suppress(EOFError, OSError, KeyboardInterrupt):
            value = pipe.recv()
            _answered(pipe, lambda value=value: function(value), lambda result: result)
            continue
        return


def _answered(pipe: Any, call: Callable[[], Any], say: Callable[[Any], Any]) -> Any:
    """Send what `call` gives, or why it gave nothing."""
    try:
        result = call()
    except Exception as error:
        pipe.send({"reason": reason(error)})
        return None
    pipe.send({"result": say(result)})
    return result


@contextmanager
def _environment(more: Mapping[str, str]) -> Any:
    before = {name: os.environ.get(name) for name in more}
    os.environ.update(more)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value

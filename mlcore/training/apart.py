"""A function in a process of its own: what it allocates goes with it, and its crash is an answer, not an end.

May import: the standard library and `films`. `compare` and `tune` train here, `costs` measures here.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from mlcore.training.films import TrainingError


class ApartError(TrainingError):
    """The function raised, or its process died; the message is the reason in one line."""


def apart(function: Callable[..., Any], *args: Any, watch: Callable[[], None] = lambda: None) -> Any:
    """`function(*args)` in a fresh process. Function, arguments and result must be picklable.

    `watch` is called about once a second meanwhile; if it raises, the process is ended and the exception goes on.
    The process ends itself when this one disappears, so that nobody writes on in a folder that a new run took over.
    It shows no progress bars: the caller has its own. Raises ApartError.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(theirs, function, args), daemon=True)
    before = os.environ.get("TQDM_DISABLE")
    os.environ["TQDM_DISABLE"] = "1"  # tqdm reads it when it is imported, in the new process
    try:
        process.start()
    finally:
        os.environ.pop("TQDM_DISABLE")
        if before is not None:
            os.environ["TQDM_DISABLE"] = before
    theirs.close()
    try:
        while not ours.poll(1.0):
            watch()
        answer = ours.recv()
        watch()
    except EOFError:
        process.join()
        raise ApartError(death(process.exitcode)) from None
    finally:
        ours.close()
        process.kill()
        process.join()
    if "reason" in answer:
        raise ApartError(answer["reason"])
    return answer["result"]


def _answer(connection: Connection, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        connection.send({"result": function(*args)})
    except Exception as error:
        kind = "" if isinstance(error, TrainingError) else f"{type(error).__name__}: "
        connection.send({"reason": kind + " ".join(str(error).split())[:600]})


def end_with_parent() -> None:
    """To be run in a thread: ends this process when the one that started it has gone."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def death(exitcode: int | None) -> str:
    """How a process ended, in words."""
    if exitcode is not None and exitcode < 0:
        return f"the process was ended by signal {-exitcode}" + (" (out of memory?)" if exitcode == -9 else "")
    return f"the process ended with status {exitcode} and no answer"

"""One row of the bad-input table: what is sent, and the status, code and whole sentence that must come back.

May import `tests.bad_inputs.desk` and the films. The rows stand in `.film_rows` and `.request_rows`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.bad_inputs.desk import API, PAGE, Answer, Desk, form
from tests.encodings import as_png
from tests.films import synthetic_film

Send = Callable[[Desk, str], Answer]
#: refused: nothing is kept. warned: taken, and said. late: taken, then rejected by prepare. known: nothing added.
Kind = Literal["refused", "warned", "late", "known", "taken"]

FILM = as_png(synthetic_film(11))
OTHER = as_png(synthetic_film(12))


@dataclass(frozen=True)
class Row:
    """`film` says that a film is sent, so that a refusal must be recorded. `sentence` is all that a person reads."""

    name: str
    status: int
    code: str
    sentence: str
    send: Send
    kind: Kind = "refused"
    ways: tuple[str, ...] = (API, PAGE)
    film: bool = True


def film_form(desk: Desk, *parts: bytes, **fields: str) -> bytes:
    """The body of a form that sends these parts for the desk's patient."""
    return form({"patient": str(desk.patient.pk), **fields}, *parts)

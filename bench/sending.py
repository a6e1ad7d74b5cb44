"""Clients: one film by HTTP to the site or to the synchronous page, and when each of the site's was answered for.

May import: the standard library, `bench.found`.
"""

from __future__ import annotations

import http.client
import json
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from bench.found import CannotRun

#: Clients that send at once, under load.
CLIENTS = 4
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Page:
    """The synchronous page: its answer to the upload is the result."""

    port: int

    def send(self, film: bytes) -> str:
        status, body = _post(self.port, "/", {}, {}, film)
        if status != 200 or b"%" not in body:
            raise CannotRun(f"the synchronous page answered {status}: {body[:200]!r}")
        return ""


@dataclass(frozen=True, slots=True)
class Application:
    """The site's API, signed in by token, and a patient to send films of."""

    port: int
    token: str
    patient: str

    def send(self, film: bytes) -> str:
        """The id of the film, once the site has it safe on disk."""
        headers = {"Authorization": f"Token {self.token}", "Idempotency-Key": str(uuid.uuid4())}
        status, body = _post(self.port, "/api/v1/studies/", headers, {"patient": self.patient, "view": "PA"}, film)
        if status != 201:
            raise CannotRun(f"the site answered an upload with {status}: {body[:200]!r}")
        return str(json.loads(body)["radiograph"])


def patient_make(port: int, token: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    about = {"name": "Asha Verma", "birth_year": 1961, "sex": "female"}
    headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
    connection.request("POST", "/api/v1/patients/", json.dumps(about), headers)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 201:
        raise CannotRun(f"the site answered a new patient with {answer.status}: {body[:200]!r}")
    return str(json.loads(body)["id"])


def burst(
    send: Callable[[bytes], str], films: Sequence[bytes], clients: int = CLIENTS
) -> list[tuple[float, float, str]]:
    """All films as fast as `clients` get rid of them: when each was begun and answered, and its id."""

    def one(film: bytes) -> tuple[float, float, str]:
        began = time.perf_counter()
        film_id = send(film)
        return began, time.perf_counter(), film_id

    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(one, films))


class Results:
    """Looks into the database for what the site has stored: by index and for what is missing only, for looking must not
    cost what is measured."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self.seen: dict[str, float] = {}

    def wait(self, films: Collection[str], pause: float) -> None:
        """Return when each film has its prediction. Raises CannotRun when one ends without, or takes too long."""
        until = time.perf_counter() + _LONGEST
        while missing := [film_id for film_id in films if film_id not in self.seen]:
            if time.perf_counter() > until:
                raise CannotRun(f"a film had no prediction after {_LONGEST} s")
            self._look(missing)
            time.sleep(pause)

    def _look(self, films: list[str]) -> None:
        self._cursor.execute(_ENDED, {"films": films})
        now = time.perf_counter()
        for film_id, refused in self._cursor.fetchall():
            if refused:
                raise CannotRun(f"the site did not read a film: {refused}")
            self.seen[film_id] = now


_ENDED = """
SELECT radiograph_id::text, '' FROM diagnosis_prediction WHERE radiograph_id = ANY(%(films)s::uuid[]) UNION ALL
SELECT id::text, code FROM diagnosis_radiograph WHERE state = 'rejected' AND id = ANY(%(films)s::uuid[]) UNION ALL
SELECT radiograph_id::text, error_code FROM diagnosis_job
WHERE state = 'failed' AND radiograph_id = ANY(%(films)s::uuid[])
"""


def _post(
    port: int, path: str, headers: dict[str, str], fields: dict[str, str], film: bytes
) -> tuple[int, bytes]:  # fmt: skip
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="film.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    body = "".join(parts).encode() + film + f"\r\n--{boundary}--\r\n".encode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_LONGEST)
    try:
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        connection.request("POST", path, body, {**headers, **kind})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()

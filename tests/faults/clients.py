"""The clinics: several clients at once, who send each film until it is acknowledged and write down what they were told.

May import: the standard library, `tests.faults.plan`. The ledger kept here is what the site has promised.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from tests.faults.plan import Film

CLIENTS = 8
ANSWER_SECONDS = 30
#: A client waits as it is told (`Retry-After`), but in a run of a minute no longer than this.
LONGEST_WAIT = 2.0
SLOW_PIECES, SLOW_SECONDS = 8, 1.2


@dataclass
class Entry:
    """What a clinic knows about one film of its own. `films` are the ids it was told: more than one is a doubled
    film."""

    film: Film
    patient: str
    sha256: str = ""
    acknowledged_at: float | None = None
    films: set[str] = field(default_factory=set)
    replayed: int = 0
    broken: int = 0
    refused: list[str] = field(default_factory=list)
    warnings: set[str] = field(default_factory=set)
    #: How long the answer took that acknowledged the film.
    seconds: float = 0.0


class Clients:
    """Sends the films of a plan, each at its time."""

    def __init__(self, films: Sequence[Film], clinics: Sequence[dict[str, Any]], port: int) -> None:
        self.ledger = [Entry(film, clinics[film.clinic]["patients"][film.patient]) for film in films]
        self.answers: Counter[str] = Counter()
        self._clinics, self._port = clinics, port
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(CLIENTS, thread_name_prefix="client")

    def begin(self) -> None:
        self._start = time.monotonic()
        self._sent = [
            self._pool.submit(self._send, entry) for entry in self.ledger for _ in range(2 if entry.film.twice else 1)
        ]

    @property
    def done(self) -> bool:
        return all(each.done() for each in self._sent)

    @property
    def acknowledged(self) -> int:
        return sum(entry.acknowledged_at is not None for entry in self.ledger)

    def end(self) -> None:
        """Who has no answer yet gives up."""
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        for each in self._sent:
            if not each.cancelled():
                each.result()

    def _send(self, entry: Entry) -> None:
        """Until it is acknowledged or refused, always with the same key."""
        self._stop.wait(max(0.0, entry.film.at - (time.monotonic() - self._start)))
        kind, data = entry.film.encoded()
        entry.sha256 = hashlib.sha256(data).hexdigest()
        key, pause = str(uuid.uuid4()), 0.2
        while not self._stop.is_set():
            asked = time.monotonic()
            try:
                status, headers, body = self._post(entry, key, kind, data)
            except (OSError, http.client.HTTPException):
                status, headers, body = 0, {}, {}
            entry.seconds = time.monotonic() - asked
            if self._note(entry, status, headers, body):
                return
            pause = min(pause * 2, LONGEST_WAIT)
            self._stop.wait(min(float(headers.get("retry-after", pause)), LONGEST_WAIT))

    def _note(self, entry: Entry, status: int, headers: dict[str, str], body: dict[str, Any]) -> bool:
        """Write an answer down; True when it is the last word."""
        with self._lock:
            code = body.get("code") or ("replay" if "idempotent-replay" in headers else "")
            self.answers[f"{status} {code}".strip() if status else "connection broken"] += 1
            if status in (200, 201):
                entry.acknowledged_at = entry.acknowledged_at or time.time()
                entry.films.add(body["radiograph"])
                entry.warnings |= {warning["code"] for warning in body["warnings"]}
                entry.replayed += "idempotent-replay" in headers
                return True
            entry.broken += not status
            if status in (0, 429) or status >= 500 or code == "idempotency_in_progress":
                return False
            entry.refused.append(f"{status} {code}")
            return True

    def _post(self, entry: Entry, key: str, kind: str, data: bytes) -> tuple[int, dict[str, str], dict[str, Any]]:
        film = entry.film
        boundary = uuid.uuid4().hex
        fields = {"patient": entry.patient, "urgency": film.urgency, "view": "PA"}
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        parts.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="film.{kind}"\r\n'
            f"Content-Type: image/{kind}\r\n\r\n"
        )
        body = "".join(parts).encode() + data + f"\r\n--{boundary}--\r\n".encode()
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_SECONDS)
        headers = {
            "Authorization": f"Token {self._clinics[film.clinic]['token']}",
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(body)),
            "Idempotency-Key": key,
        }
        try:
            connection.request("POST", "/api/v1/studies/", _slowly(body) if film.slow else body, headers)
            answer = connection.getresponse()
            said = answer.read()
        finally:
            connection.close()
        return answer.status, {name.lower(): value for name, value in answer.headers.items()}, _parsed(said)


def _slowly(body: bytes) -> Iterator[bytes]:
    """As a bad line brings it."""
    size = -(-len(body) // SLOW_PIECES)
    for start in range(0, len(body), size):
        yield body[start : start + size]
        time.sleep(SLOW_SECONDS / SLOW_PIECES)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(body))
    except ValueError:
        return {}

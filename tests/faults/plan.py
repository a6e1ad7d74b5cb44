"""What will happen in a run: which films are sent when, and which fault comes when. All of it follows from the seed.

May import: NumPy and Pillow through `tests.films`, `tests.encodings`; no Django. The same seed, length and number of
films give the same plan; when exactly each process is hit inside its work depends on the machine.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass

from tests.encodings import as_jpeg, as_png
from tests.films import KILLS_INFER, KILLS_PREPARE, synthetic_film

CLINICS = 3
PATIENTS_PER_CLINIC = 4
#: Faults come after a pause of so many seconds.
PAUSE = (1.0, 2.5)
#: No film is sent, and no fault is injected, in the last part of a run.
SENDING = 0.92

KINDS = (
    "web killed",
    "web child killed",
    "prepare worker killed",
    "prepare child killed",
    "infer worker killed",
    "sweeper killed",
    "worker paused",
    "redis killed",
    "redis emptied",
    "redis frozen",
    "redis away",
    "postgres killed",
    "disk full",
    "film damaged",
    "model damaged",
)


@dataclass(frozen=True)
class Film:
    """One film, sent `at` so many seconds for a patient. `poison` names the stage whose process it kills; `slow` films
    come over a bad line; `twice` ones are sent by two people at once."""

    number: int
    film_id: uuid.UUID
    clinic: int
    patient: int
    urgency: str
    at: float
    poison: str
    slow: bool
    twice: bool

    def encoded(self) -> tuple[str, bytes]:
        """The kind of file, and its bytes."""
        film = synthetic_film(self.number, size=(256, 256), film_id=self.film_id)
        return ("png", as_png(film)) if self.number % 2 else ("jpeg", as_jpeg(film))


@dataclass(frozen=True)
class Fault:
    """`pick`, from 0 to 1, chooses among the things that can be hit when it comes."""

    number: int
    at: float
    kind: str
    pick: float


@dataclass(frozen=True)
class Plan:
    seed: int
    seconds: float
    films: tuple[Film, ...]
    faults: tuple[Fault, ...]


def plan_make(seed: int, seconds: float, films: int, kinds: tuple[str, ...] = KINDS) -> Plan:
    """The plan of a run. Every kind of fault comes before any comes again."""
    return Plan(seed, seconds, _films(seed, seconds, films), _faults(seed, seconds, kinds))


def _films(seed: int, seconds: float, count: int) -> tuple[Film, ...]:
    rng = random.Random(f"films {seed}")
    each = max(1, count // 100)
    poison = dict.fromkeys(rng.sample(range(count), 2 * each), "prepare")
    poison |= dict.fromkeys(list(poison)[each:], "infer")
    ids = {"prepare": KILLS_PREPARE, "infer": KILLS_INFER}
    moments = sorted(rng.uniform(0, seconds * SENDING) for _ in range(count))
    films = []
    for number, at in enumerate(moments):
        own = uuid.UUID(int=rng.getrandbits(128), version=4)
        films.append(
            Film(
                number=number,
                film_id=ids.get(poison.get(number, ""), own),
                clinic=rng.randrange(CLINICS),
                patient=rng.randrange(PATIENTS_PER_CLINIC),
                urgency=rng.choice(["routine", "routine", "urgent", "emergency"]),
                at=at,
                poison=poison.get(number, ""),
                slow=rng.random() < 0.25,
                twice=rng.random() < 0.10,
            )
        )
    return tuple(films)


def _faults(seed: int, seconds: float, kinds: tuple[str, ...]) -> tuple[Fault, ...]:
    rng = random.Random(f"faults {seed}")
    faults: list[Fault] = []
    deck: list[str] = []
    at = rng.uniform(*PAUSE)
    while at < seconds * SENDING:
        if not deck:
            deck = rng.sample(kinds, len(kinds))
        faults.append(Fault(len(faults), round(at, 2), deck.pop(), rng.random()))
        at += rng.uniform(*PAUSE)
    return tuple(faults)


def answer_name(film_id: object, weights_sha256: str) -> str:
    """What the fake model answers by: the id in the film's pixels and the bytes of its own weights."""
    return f"{film_id} {weights_sha256}"

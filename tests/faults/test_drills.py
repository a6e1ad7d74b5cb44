"""One fault at a time, again and again, on the real site in between quiet moments: rows of the failure table whose
figures need a calm site. The times are shorter than the table's (ten minutes without Redis are ten seconds here).
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.faults.__main__ import world_make
from tests.faults.clients import Clients
from tests.faults.designs import OURS
from tests.faults.injector import Injector
from tests.faults.judge import Oracle, evidence_gather, verdict
from tests.faults.plan import plan_make
from tests.faults.run import drain
from tests.faults.site import Site, own_folder
from tests.site.running import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

Send = Callable[..., Clients]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with own_folder() as folder:
        world_make(folder / "site")
        running = Site(folder / "site", OURS)
        running.start()
        yield running
        running.stop()


@pytest.fixture
def send(site: Site, request: pytest.FixtureRequest) -> Send:
    """`send(20, seconds=10)`: so many films, spread over so long, on their way."""

    def begin(count: int, seconds: float = 0.5) -> Clients:
        wait_until(site.answers, 120, "the site is at rest")
        films = plan_make(zlib.crc32(request.node.name.encode()), seconds, count + 2).films
        good = [replace(film, slow=False, twice=False) for film in films if not film.poison]
        clients = Clients(good, site.world["clinics"], site.port)
        clients.begin()
        return clients

    return begin


@pytest.fixture
def injector(site: Site) -> Injector:
    return Injector(site, (), {})


def all_came_through(site: Site, clients: Clients) -> dict[str, Any]:
    """Every film was acknowledged, read once, and under its own name."""
    wait_until(lambda: clients.done, 180, "every film has its answer")
    clients.end()
    assert drain(site)
    found = verdict(clients.ledger, evidence_gather(site), set(), Oracle(site))
    assert found["predicted"] == found["uploads"] == found["acknowledged"]
    assert found["lost"] == found["doubled"] == found["wrong_patient"] == 0
    return found


def test_f5_films_are_taken_in_at_once_while_redis_is_frozen(site: Site, send: Send, injector: Injector):
    _, (_, go_on) = injector.pause(site.server("redis"), 0, 0)
    try:
        clients = send(20)
        wait_until(lambda: clients.done, 180, "20 answers")
    finally:
        go_on()
    assert clients.answers == {"201": 20}
    # The wait for Redis ends after 2 s (2.5 with all else, on an idle machine); without an end it would be over 45.
    assert max(entry.seconds for entry in clients.ledger) < 20
    all_came_through(site, clients)


def test_f6_films_wait_for_redis_without_being_refused_or_forgotten(site: Site, send: Send, injector: Injector):
    _, (_, come_back) = injector.redis_away(0)
    try:
        clients = send(20, seconds=10)
        wait_until(lambda: clients.done, 180, "20 answers")
    finally:
        come_back()
    assert clients.answers == {"201": 20}
    assert all("processing_delayed" in entry.warnings for entry in clients.ledger)
    all_came_through(site, clients)


def test_f4_redis_comes_back_empty_five_times_and_nobody_waits_long(site: Site, send: Send, injector: Injector):
    clients = send(40, seconds=10)
    for _ in range(5):
        wait_until(lambda: site.server("redis"), 120, "Redis runs")
        time.sleep(1)  # the pace of the faults, not a wait for something
        injector.redis_empty(0)
    found = all_came_through(site, clients)
    # Now and then a worker hears nothing any more; it ends itself after 45 s, and its successor needs time to start.
    assert found["delay_longest"] < 90, site.log.read_text()


def test_f15_postgresql_killed_four_times_costs_no_film_and_no_answer_500(site: Site, send: Send, injector: Injector):
    clients = send(40, seconds=12)
    for _ in range(4):
        # What serves an open connection outlives the main process for a moment, so an answer alone proves nothing.
        wait_until(lambda: site.server("postgres") and site.answers(), 120, "PostgreSQL is back")
        time.sleep(1)
        injector.kill(site.server("postgres"), 0)
    all_came_through(site, clients)
    others = {answer[:3] for answer in clients.answers} - {"201", "200", "503", "con"}
    assert not others, f"{clients.answers}\n{site.log.read_text()}"

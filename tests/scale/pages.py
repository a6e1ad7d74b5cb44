"""How long the lists take at 1,000 and at 100,000 studies, and by which index. Takes minutes; asked for by name:

    python -m pytest tests/scale/pages.py -s
    STUDIES=1000000 python -m pytest tests/scale/pages.py -s      # instead of 100,000

The studies and the lists are those of `seeded`. What it printed stands in docs/performance.md.
"""

from __future__ import annotations

import os

import pytest

from diagnosis import worklist
from patients.actor import acting_as, person
from tests.scale.seeded import World, milliseconds

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(1800)]
FEW, MANY = 1_000, int(os.environ.get("STUDIES", "100000"))


def test_lists_take_at_most_twice_as_long_at_a_hundred_thousand_studies(db: None) -> None:
    world = World()
    pages = world.pages()
    times: dict[str, list[float]] = {name: [] for name in pages}
    for total in (FEW, MANY):
        world.grow(total)
        for name, page in pages.items():
            times[name].append(milliseconds(page()))
    print(f"\n| Page | {FEW:,} studies | {MANY:,} studies | ratio |\n|---|---|---|---|")
    for name, (few, many) in times.items():
        print(f"| {name} | {few:.0f} ms | {many:.0f} ms | {many / few:.2f} |")
    with acting_as(person(world.reader)):
        plan = worklist._part(world.reader, world.clinics[0], {}, None)[:31].explain(analyze=True)
    print(plan)
    assert "reading_order" in plan
    slow = {name: many / few for name, (few, many) in times.items() if many > 2 * few}
    assert not slow

"""Pages and API lists as the database grows: milliseconds and queries of each, at every size, on one database.

May import: the standard library, tqdm, `bench`; Django and `tests.scale.seeded` only in the process that asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tqdm import tqdm

from bench import plots, running
from bench.found import Found, in_turn, ratio, significant
from bench.kept import Kept

#: Lists that the picture shows; the table has all.
DRAWN = ("worklist", "films", "patients", "patient of 30 studies", "studies (API)", "search: a common name")
ROUNDS, QUICK_ROUNDS = 15, 7


def measure(options: Any) -> Found:
    rounds = QUICK_ROUNDS if options.quick else ROUNDS
    at: dict[int, dict[str, tuple[float, int]]] = {}
    missing: dict[str, str] = {}
    with running.own_folder() as folder, Kept(world, rounds, environment=running.inside(folder)) as asked:
        asked.ready()
        names: list[str] = asked.ask(("names", None))
        with tqdm(total=len(options.studies) * (len(names) + 1), desc="lists", unit="page") as bar:
            for total in options.studies:
                bar.set_postfix_str(f"writing {total:,} studies")
                asked.ask(("grow", total), 3600)
                bar.update()

                def tick(name: str, total: int = total, bar: Any = bar) -> None:
                    bar.set_postfix_str(f"{total:,} studies: {name}")
                    bar.update()

                calls = {name: lambda name=name: asked.ask(("page", name)) for name in names if name not in missing}
                answers, reasons = in_turn(calls, 1, tick)
                at[total] = {name: each for name, (each,) in answers.items()}
                missing |= reasons
    return _found(at, names, missing, rounds)


def world(rounds: int) -> Callable[[tuple[str, Any]], Any]:
    """Runs where the database is. ("names", _), ("grow", studies), ("page", name) → (milliseconds, queries)."""
    import django

    django.setup()
    from django.db import connection
    from django.test.utils import CaptureQueriesContext, setup_test_environment

    from patients.actor import SYSTEM, process_acts_as
    from tests.scale.seeded import World, milliseconds

    setup_test_environment()
    process_acts_as(SYSTEM)
    made = World()
    pages = made.pages()

    def page(name: str) -> tuple[float, int]:
        ask = pages[name]()
        taken = milliseconds(ask, rounds)
        with CaptureQueriesContext(connection) as queries:
            ask()
        return taken, len(queries)

    def call(asked: tuple[str, Any]) -> Any:
        what, value = asked
        if what == "names":
            return list(pages)
        return made.grow(value) if what == "grow" else page(value)

    return call


def _found(
    at: dict[int, dict[str, tuple[float, int]]], names: list[str], missing: dict[str, str], rounds: int
) -> Found:  # fmt: skip
    sizes = sorted(at)
    least, most = sizes[0], sizes[-1]
    found = Found(
        text=[
            "Studies of ten clinics; a radiologist of two of them asks, some lists a referring doctor. The application "
            "has its own login, so row security holds. Whole pages: middleware, rights, queries, template, in one "
            f"process without a web server. The shortest of {rounds} rounds after one that warms up. Sizes follow one "
            "another, for rows are added and never taken away.",
        ],
        missing=[{"what": name, "why": why} for name, why in missing.items()],
    )
    rows = []
    for name in names:
        figures = [at[size].get(name) for size in sizes]
        ends = figures[0], figures[-1]
        grown = ratio(ends[1][0], ends[0][0]) if ends[0] and ends[1] and least != most else None
        times = [significant(each[0]) if each else None for each in figures]
        rows.append([name, *times, grown, figures[-1][1] if figures[-1] else None])
        if grown is not None and name in DRAWN:
            found.compare(f"time of “{name}”, {most:,} studies : {least:,}", ends[1][0], ends[0][0])  # type: ignore[index]
    columns = ["", *(f"ms at {size:,} studies" for size in sizes), "ratio", "queries"]
    found.table("The ratio is that of the largest database to the smallest.", columns, rows)
    if least != most:
        curves = {name: [(size, at[size][name][0]) for size in sizes if name in at[size]] for name in DRAWN}
        title = "Milliseconds of a page by number of studies"
        found.plots.append(plots.lines(title, "studies", "ms", {n: c for n, c in curves.items() if c}, log=True))
    found.raw = {str(size): {name: list(figures) for name, figures in page.items()} for size, page in at.items()}
    return found

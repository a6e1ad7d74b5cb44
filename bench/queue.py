"""How the queue scales: 1, 2 and 4 infer workers on a simulated device, each a process, in turn on one database.

May import: the standard library, tqdm, `bench`; Django only in the processes of `queue_inside`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from tqdm import tqdm

from bench import plots, running
from bench.found import CannotRun, Found, median, significant
from bench.kept import Kept
from bench.queue_inside import clinic, worker

WORKERS = (1, 2, 4)
#: Milliseconds per batch of eight: a GPU, and a CPU with a network like DenseNet. The device needs no core here.
DEVICE_MS = (20, 160)
BATCH = 8


def measure(options: Any) -> Found:
    rounds, films = (2, 96) if options.quick else (5, 192)
    rates: dict[tuple[int, int], list[float]] = {(ms, count): [] for ms in DEVICE_MS for count in WORKERS}
    claims: dict[int, list[float]] = {count: [] for count in WORKERS}
    with ExitStack() as stack:
        environment = running.inside(stack.enter_context(running.own_folder()))
        environment |= {"INFER_BATCH": str(BATCH), "INFER_ENGINE": "fake"}
        sender = stack.enter_context(Kept(clinic, environment=environment))
        sender.ready()
        workers = [
            stack.enter_context(Kept(worker, f"bench-{number}", environment=environment))
            for number in range(max(WORKERS))
        ]
        for each in workers:
            each.ready()
        bar = stack.enter_context(tqdm(total=rounds * len(WORKERS) * (1 + len(DEVICE_MS)), desc="queue", unit="turn"))
        for _ in range(rounds):
            for count in WORKERS:
                bar.set_postfix_str(f"claims, {count} workers")
                sender.ask(films)
                claims[count].append(_timed(workers[:count], ("claim", 0.0), films))
                together(workers[:count], ("release", 0.0))
                bar.update()
                for ms in DEVICE_MS:
                    bar.set_postfix_str(f"{ms} ms a batch, {count} workers")
                    if ms != DEVICE_MS[0]:  # the first finds those that were claimed and put back
                        sender.ask(films)
                    rates[ms, count].append(_timed(workers[:count], ("infer", ms / 1000), films))
                    bar.update()
    return _found(rates, claims, rounds, films)


def together(workers: Sequence[Kept], asked: tuple[str, float]) -> int:
    """Ask all at once, return when all have answered: how many jobs they had."""
    for each in workers:
        each.tell(asked)
    return sum(each.hear() for each in workers)


def _timed(workers: Sequence[Kept], asked: tuple[str, float], films: int) -> float:
    """Jobs per second."""
    began = time.perf_counter()
    done = together(workers, asked)
    seconds = time.perf_counter() - began
    if done != films:
        raise CannotRun(f"{films} films were queued and {done} were taken")
    return films / seconds


def _found(
    rates: dict[tuple[int, int], list[float]], claims: dict[int, list[float]], rounds: int, films: int
) -> Found:  # fmt: skip
    found = Found(
        text=[
            f"{films} films a turn, {rounds} rounds; 1, 2 and 4 worker processes in turn on one embedded PostgreSQL. "
            f"The device is simulated: it sleeps so long per batch of up to {BATCH} films and takes no core. What a "
            "worker does besides is real and takes cores and disk: claim, lease, reading inputs, map, prediction, "
            "findings, worklist, audit, one transaction a batch. Claims alone: one job each, nothing done with it.",
        ]
    )
    rows = []
    curves: dict[str, list[tuple[float, float]]] = {}
    for ms in DEVICE_MS:
        first = median(rates[ms, WORKERS[0]])
        ideal = 1000 * BATCH / ms
        for count in WORKERS:
            rate = median(rates[ms, count])
            found.compare(f"films per second, {ms} ms a batch, {count} workers : 1", rate, first) if count > 1 else None
            share = (rate or 0) / (ideal * count)
            rows.append(
                [f"{ms} ms", count, significant(rate), significant((rate or 0) / (first or 1)), significant(share)]
            )
            curves.setdefault(f"{ms} ms a batch", []).append((count, significant(rate) or 0))
    columns = ("device, per batch", "workers", "films/s", "ratio to one", "share of what the devices could")
    found.table("Films read by simulated devices.", columns, rows)
    first = median(claims[WORKERS[0]])
    rows = []
    for count in WORKERS:
        rate = median(claims[count])
        rows.append([count, significant(rate), significant((rate or 0) / (first or 1))])
    found.compare(f"claims per second, {WORKERS[-1]} workers : 1", median(claims[WORKERS[-1]]), first)
    found.table("Claims alone.", ("workers", "claims/s", "ratio to one"), rows)
    found.plots.append(plots.lines("Films per second by number of workers", "infer workers", "films/s", curves))
    found.raw = {
        "films_per_s": {f"{ms} ms, {count} workers": values for (ms, count), values in rates.items()},
        "claims_per_s": {str(count): values for count, values in claims.items()},
    }
    return found

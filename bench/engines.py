"""One network on every engine: latency, throughput, agreement, and how near the machine's limit. Engines take turns.

May import: NumPy, tqdm, `bench`, Keras-free modules of `mlcore`. Each engine is a process of its own that is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from bench import plots, running
from bench.engine_cases import CASES, Array, Case, Network, export
from bench.found import Found, in_turn, median, ratio, significant, spread
from bench.kept import Kept
from bench.parts import NETWORKS
from bench.peaks import product
from mlcore.backbones import Architecture
from mlcore.bench.films import inputs
from mlcore.bench.runner import differences
from mlcore.training.apart import apart

BATCHES, QUICK_BATCHES = (1, 8, 32), (1, 8)
PEAKS = ("fp32", "bf16")
#: Films whose answers are compared.
_COMPARED = 8
_TURN_SECONDS, _LEAST_CALLS = 0.5, 2
_FIRST = next(iter(CASES))
#: Ratios that stand at the top of the page; the tables have all.
_HEADLINES = {
    *((name, _FIRST) for name in ("batch", "openvino", "openvino-bf16", "openvino-int8", "onnx")),
    *((name, "torch") for name in ("torch-bf16", "torch-compiled", "openvino", "openvino-bf16", "openvino-int8")),
}


def measure(options: Any) -> Found:
    batches, rounds = (QUICK_BATCHES, 3) if options.quick else (BATCHES, 6)
    found = Found(text=_text(rounds))
    chosen = [
        each for each in networks() if each.name in (options.networks or NETWORKS[: 1 if options.quick else None])
    ]
    found.missing += [{"what": name, "why": "left out"} for name in NETWORKS if name not in {c.name for c in chosen}]
    with running.own_folder() as folder, tqdm(desc="engines", unit="turn") as bar:
        for network in chosen:
            network = Network(network.name, network.architecture, folder / network.name, network.weights)
            network.folder.mkdir()
            bar.set_postfix_str(f"{network.name}: exporting")
            films = inputs(_COMPARED, network.architecture.size[0])
            exported = apart(export, network, films)
            with ExitStack() as stack:
                rows = _network(network, exported, batches, rounds, bar, stack, found)
            _report(found, network, exported["gflop"], rows)
    return found


def networks() -> list[Network]:
    """The default one with its weights, two DenseNets as in ChestX-ray14's papers with made-up ones."""
    from mlcore.card import WEIGHTS_FILE, load_card
    from mlcore.registry import bundled_folder

    default = load_card(bundled_folder()).architecture
    dense = [Network(name, Architecture(name, (224, 224), 14, exclusive=False), Path()) for name in NETWORKS[1:]]
    return [Network(NETWORKS[0], default, Path(), bundled_folder() / WEIGHTS_FILE), *dense]


def engine(name: str, network: Network) -> Callable[[tuple[str, int]], Any]:
    """Runs in the engine's own process. ("first", batch) → seconds until the first answer, and the answers; ("turn",
    batch) → seconds of each of a few calls."""
    side = network.architecture.size[0]
    made: dict[int, Callable[[Array], tuple[Array, Array]]] = {}

    def first(batch: int) -> tuple[float, tuple[Array, Array]]:
        films = inputs(batch, side)
        began = time.perf_counter()
        made[batch] = CASES[name].make(network, batch)
        made[batch](films)
        seconds = time.perf_counter() - began
        probabilities, maps = made[batch](films)
        return seconds, (np.array(probabilities[:_COMPARED]), np.array(maps[:_COMPARED]))

    def turn(batch: int) -> list[float]:
        films, seconds = inputs(batch, side), []
        ends = time.perf_counter() + _TURN_SECONDS
        while len(seconds) < _LEAST_CALLS or time.perf_counter() < ends:
            began = time.perf_counter()
            made[batch](films)
            seconds.append(time.perf_counter() - began)
        return seconds

    return lambda asked: first(asked[1]) if asked[0] == "first" else turn(asked[1])


def _network(
    network: Network, exported: Mapping[str, Any], batches: tuple[int, ...], rounds: int, bar: Any, stack: ExitStack,
    found: Found,
) -> list[dict[str, Any]]:  # fmt: skip
    """A row per engine and batch; what cannot run is noted."""
    cases = {name: case for name, case in CASES.items() if case.applies(network)}
    refused = {name: why for name, case in cases.items() if (why := case.why_not(network, exported["unwritten"]))}
    there = [name for name in cases if name not in refused]
    kept = {name: stack.enter_context(Kept(engine, name, network)) for name in there}
    peaks = {f"peak {name}": stack.enter_context(Kept(product, name)) for name in PEAKS}
    _, unready = in_turn({name: process.ready for name, process in (kept | peaks).items()}, 1)
    bar.total = (bar.total or 0) + len(batches) * (rounds + 1) * len(there)
    rows = []
    for batch in batches:

        def tick(name: str, batch: int = batch) -> None:
            bar.set_postfix_str(f"{network.name}, batch {batch}: {name}")
            bar.update(name in kept)

        alive = {name: each for name, each in kept.items() if name not in refused and name not in unready}
        firsts, reasons = in_turn(_calls(alive, ("first", batch)), 1, tick)
        refused |= reasons
        asked = {name: alive[name] for name in firsts} | {n: each for n, each in peaks.items() if n not in unready}
        turns, reasons = in_turn(_calls(asked, ("turn", batch)), rounds, tick)
        refused |= reasons
        limits = {name.removeprefix("peak "): median(turns.pop(name)) for name in list(turns) if name in peaks}
        rows += _rows(network, cases, exported, batch, firsts, turns, limits)
    refused |= unready
    titles = {name: case.title for name, case in cases.items()}
    found.missing += [{"what": f"{network.name}: {titles.get(n, n)}", "why": why} for n, why in refused.items()]
    return rows


def _calls(kept: Mapping[str, Kept], asked: tuple[str, int]) -> dict[str, Callable[[], Any]]:
    return {name: lambda process=process: process.ask(asked) for name, process in kept.items()}


def _rows(
    network: Network, cases: Mapping[str, Case], exported: Mapping[str, Any], batch: int, firsts: Mapping[str, Any],
    turns: Mapping[str, list[list[float]]], limits: Mapping[str, float | None],
) -> Iterator[dict[str, Any]]:  # fmt: skip
    for name, rounds in turns.items():
        seconds = [each for one in rounds for each in one]
        rate = batch * len(seconds) / sum(seconds)
        (first_s, answers), limit = firsts[name][0], limits.get(cases[name].peak or "")
        yield {
            "network": network.name, "engine": name, "title": cases[name].title, "batch": batch, **spread(seconds),
            "films_per_s": significant(rate), "first_s": significant(first_s),
            "share_of_peak": ratio(rate * exported["gflop"], limit), "peak_gflops": significant(limit),
            "differs": differences(answers, exported["answers"]),
        }  # fmt: skip


def _report(found: Found, network: Network, gflop: float, rows: list[dict[str, Any]]) -> None:
    first = {row["batch"]: row["films_per_s"] for row in rows if row["engine"] == _FIRST}
    torch = {row["batch"]: row["films_per_s"] for row in rows if row["engine"] == "torch"}
    table = []
    for row in rows:
        batch, rate = row["batch"], row["films_per_s"]
        off = row["differs"]
        table.append([
            row["title"], batch, row["p50_ms"], row["p95_ms"], rate, ratio(rate, first.get(batch)),
            ratio(rate, torch.get(batch)), row["share_of_peak"], f"{off['probabilities']:.0e} / {off['maps']:.0e}",
            row["first_s"],
        ])  # fmt: skip
        for base, rates in ((_FIRST, first), ("torch", torch)):
            if (row["engine"], base) in _HEADLINES and batch in QUICK_BATCHES:
                what = f"films per second, {network.name}, batch {batch}, {row['title']} : {CASES[base].title}"
                found.compare(what, rate, rates.get(batch))
    columns = [
        "engine", "batch", "p50 ms", "p95 ms", "films/s", "ratio to predict", "ratio to PyTorch eager", "share of peak",
        "differs: probabilities / maps", "first answer s",
    ]  # fmt: skip
    if not torch:
        place = columns.index("ratio to PyTorch eager")
        table = [[*line[:place], *line[place + 1 :]] for line in table]
        columns.pop(place)
    found.table(f"{network.name}, {gflop:.2f} GFLOP a film.", columns, table)
    for batch in sorted({row["batch"] for row in rows}):
        shown = {row["title"]: row["films_per_s"] for row in rows if row["batch"] == batch}
        title = f"{network.name}, batch {batch}: films per second"
        found.plots.append(plots.bars(title, "films/s", shown, CASES[_FIRST].title))
    found.raw[network.name] = rows


def _text(rounds: int) -> list[str]:
    return [
        f"Each engine is a process of its own; they take turns, {rounds} rounds per batch size, one batch after the "
        "other, each waited for, from and to memory. The default network has its weights, the DenseNets (14 labels, "
        "sigmoid) made-up ones, the same in every engine. “Differs” is the largest difference of any probability, and "
        "of any place of a map as a share of its strongest, from Keras in fp32. int8 was calibrated on made-up films: "
        "its speed counts, its differences do not.",
        "Share of peak: films per second × operations of the network, of a matrix product measured in turn with the "
        "engines: fp32 by NumPy, bf16 by OpenVINO. The peak of int8 was not measured.",
    ]

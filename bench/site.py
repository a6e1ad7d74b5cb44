"""Films by HTTP: the real site, the paper's synchronous page, and decode and engine alone, in turn on the same films.

May import: the standard library, tqdm, `bench`; `mlcore` in the process that stands alone. No Django here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bench import plots, running
from bench.films import Encoded, pictures
from bench.found import CannotRun, Found, median, significant, spread
from bench.kept import Kept
from bench.processes import computed
from bench.sending import CLIENTS, Application, Page, Results, burst, patient_make
from bench.site_model import FOLDER, SHIPPED, folder_of
from tests.site.running import ROOT, free_port

SITE, PAPER, ALONE = "the site", "synchronous page", "decode and engine alone"
_BATCH = 8
#: How often the database is looked into: one film at a time, and under load.
_LOOK_IDLE, _LOOK_LOAD = 0.005, 0.03


@dataclass(slots=True)
class Seen:
    """What was measured of one of the three: seconds per film one at a time, under load, films per second of each
    round, seconds until the site had a film safe, and seconds of processor time per film of each round, by process."""

    idle: list[float] = field(default_factory=list)
    loaded: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    computed: dict[str, list[float]] = field(default_factory=dict)

    def note_computed(self, seconds: dict[str, float], films: int) -> None:
        for name, each in seconds.items():
            self.computed.setdefault(name, []).append(each / films)

    @property
    def whole(self) -> list[float]:
        """All processes together, of each round."""
        return [sum(each) for each in zip(*self.computed.values(), strict=True)]


def measure(options: Any) -> Found:
    """The model that ships, then the paper's network, or those that are named. Needs a free port or two and three
    copies of the network in memory."""
    singles, rounds, load = (6, 2, 12) if options.quick else (25, 3, 120)
    chosen = options.networks or (SHIPPED, "densenet169")[: 1 if options.quick else None]
    drawn, words = pictures()
    films = Encoded(drawn)
    found = Found(text=_text(f"{words}, JPEG of {films.megabytes:.1f} MB", singles, rounds, load))
    with tqdm(total=len(chosen) * (3 * (singles + rounds) + 1), desc="site", unit="turn") as bar:
        for network in chosen:
            seen, engine = _seen(network, films, [1] * singles + [load] * rounds, bar)
            _report(found, network, engine, seen)
    return found


def _seen(network: str, films: Encoded, counts: Sequence[int], bar: Any) -> tuple[dict[str, Seen], str]:
    """Site, page and bare functions with the same model, in turn on the next films; and what they compute with."""
    seen = {SITE: Seen(), PAPER: Seen(), ALONE: Seen()}
    bar.set_postfix_str(f"{network}: starting")
    with ExitStack() as stack:
        folder = stack.enter_context(running.own_folder())
        model = folder_of(network, folder / "model")
        environment = {FOLDER: str(model)}
        site = stack.enter_context(running.started(folder, MODEL_APPROVALS="1"))
        page = stack.enter_context(paper_page(environment))
        bare = stack.enter_context(Kept(alone, environment=environment))
        application, engine = _ready(site, bare)
        if network != SHIPPED:
            site.manage("model", "add", str(model), "--activate").check_returncode()
        bar.update()
        results = Results(stack.enter_context(running.database(site)))
        ways: dict[str, Callable[[Sequence[bytes]], Any]] = {
            SITE: lambda batch: _site(site, application, results, batch, seen[SITE]),
            PAPER: lambda batch: _page(page, batch, seen[PAPER]),
            ALONE: lambda batch: _alone(bare, batch, seen[ALONE]),
        }
        for way in ways.values():  # what is first slow is not measured
            way(films.take(1))
        seen.update((name, Seen()) for name in ways)
        for count in counts:
            for name, way in ways.items():
                bar.set_postfix_str(f"{network}: {name}{f', {count} films' if count > 1 else ''}")
                way(films.take(count))
                bar.update()
    return seen, engine


def _ready(site: Any, bare: Kept) -> tuple[Application, str]:
    until = time.monotonic() + running.START_SECONDS
    while site.output.count(" is ready") < 2 or "The site answers" not in site.output:
        running.alive(site)
        if time.monotonic() > until:
            raise CannotRun(f"the site was not ready after {running.START_SECONDS} s")
        time.sleep(0.2)
    token = running.token(site)
    bare.ready()
    return Application(site.port, token, patient_make(site.port, token)), str(bare.ask("engine"))


def _site(site: Any, application: Application, results: Results, films: Sequence[bytes], seen: Seen) -> None:
    before = computed(site)
    began = time.perf_counter()
    sent = burst(application.send, films)
    results.wait([film_id for _, _, film_id in sent], _LOOK_LOAD if len(films) > 1 else _LOOK_IDLE)
    ends = [results.seen[film_id] for _, _, film_id in sent]
    _note(seen, [end - start for (start, _, _), end in zip(sent, ends, strict=True)], max(ends) - began)
    if len(films) == 1:
        seen.answered += [answered - start for start, answered, _ in sent]
    else:
        seen.note_computed({name: taken - before.get(name, 0) for name, taken in computed(site).items()}, len(films))


def _page(page: Page, films: Sequence[bytes], seen: Seen) -> None:
    began = time.perf_counter()
    sent = burst(page.send, films)
    _note(seen, [end - start for start, end, _ in sent], max(end for _, end, _ in sent) - began)


def _alone(bare: Kept, films: Sequence[bytes], seen: Seen) -> None:
    seconds, taken = bare.ask(films)
    _note(seen, [seconds] * len(films), seconds)
    if len(films) > 1:
        seen.note_computed({ALONE: taken}, len(films))


def _note(seen: Seen, each: list[float], whole: float) -> None:
    if len(each) == 1:
        seen.idle += each
    else:
        seen.loaded += each
        seen.rates.append(len(each) / whole)


def alone() -> Callable[[Any], Any]:
    """The functions of `mlcore.pipeline` without anything around them: seconds and processor time for some films, or
    the engine's name."""
    import numpy as np

    from mlcore.card import load_card
    from mlcore.pipeline import prepare
    from mlcore.registry import load_predictor

    card = load_card(Path(os.environ[FOLDER]))
    predictor = load_predictor(Path(os.environ[FOLDER]), expected_sha256=card.sha256)

    def call(films: Any) -> Any:
        if films == "engine":
            return predictor.engine
        began, taken = time.perf_counter(), time.process_time()
        for first in range(0, len(films), _BATCH):
            inputs = [prepare(film, card.preprocessing).input.array for film in films[first : first + _BATCH]]
            predictor.predict(np.stack(inputs))
        return time.perf_counter() - began, time.process_time() - taken

    return call


@contextmanager
def paper_page(environment: Mapping[str, str]) -> Iterator[Page]:
    """gunicorn with one worker, as the paper's page is served."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--workers", "1", "--timeout", "300", "--bind", f"127.0.0.1:{port}"]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    process = subprocess.Popen(
        [*command, "--log-level", "error", "--no-control-socket", "bench.paper_page:application"],
        cwd=ROOT, env={**os.environ, **quiet, **environment}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _until_it_answers(port, process)
        yield Page(port)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until_it_answers(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + running.START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise CannotRun(f"the synchronous page ended with status {process.returncode}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise CannotRun("the synchronous page did not start")


def _report(found: Found, network: str, engine: str, seen: dict[str, Seen]) -> None:
    rates = {name: median(each.rates) for name, each in seen.items()}
    idle = {name: median(each.idle) for name, each in seen.items()}
    for against in (PAPER, ALONE):
        found.compare(f"{network}: films per second, {SITE} : {against}", rates[SITE], rates[against])
    for against in (PAPER, ALONE):
        found.compare(f"{network}: time of one film, idle, {SITE} : {against}", idle[SITE], idle[against])
    whole = median(seen[SITE].whole), median(seen[ALONE].whole)
    found.compare(f"{network}: processor time of a film, {SITE} : {ALONE}", *whole)
    columns = ("", "films/s", "idle p50", "idle p95", "load p50", "load p95", "answered p50")
    caption = (
        f"{network}, {engine}. Milliseconds. Idle: one film at a time. Load: several clients. Answered: it is safe."
    )
    found.table(caption, columns, _rows(seen))
    taken = [*seen[SITE].computed.items(), (f"{SITE}, together", seen[SITE].whole), *seen[ALONE].computed.items()]
    rows = [[name, significant(1000 * (median(each) or 0))] for name, each in taken]
    caption = f"{network}: processor time of one film under load, milliseconds, children included."
    found.table(caption, ("process", "ms"), rows)
    there = {name: significant(rate) or 0 for name, rate in rates.items()}
    found.plots.append(plots.bars(f"{network}: films per second under load", "films/s", there, PAPER))
    there = {name: significant(1000 * (seconds or 0)) or 0 for name, seconds in idle.items()}
    found.plots.append(plots.bars(f"{network}: one film with nothing else to do, median", "ms", there, PAPER))
    found.raw[network] = {
        name: {"idle_s": each.idle, "loaded_s": each.loaded, "films_per_s": each.rates, "computed_s": each.computed}
        for name, each in seen.items()
    }


def _text(words: str, singles: int, rounds: int, load: int) -> list[str]:
    return [
        f"Films: {words}. Networks: “{SHIPPED}” is the model that ships; the others have made-up weights under its "
        f"recipe. The site and “{ALONE}” compute with the engine that the site chooses, the synchronous page "
        "calls Keras model.predict in one gunicorn worker.",
        f"One at a time: {singles} films, each waited for, from the first byte sent to the result. The site's is "
        "there when its prediction is stored, the page's when it has answered. Under load: "
        f"{rounds} rounds of {load} films from {CLIENTS} clients at once. “{ALONE}” is one process: decode, quality "
        f"gate and preprocessing film by film, then the network on up to {_BATCH} at once. All three took turns.",
        "What the site does more than the page: sign-in, the film safe on disk, a quality gate, pictures for people "
        "and for the viewer, the map, database rows, the audit.",
    ]


def _rows(seen: dict[str, Seen]) -> list[list[Any]]:
    rows = []
    for name, each in seen.items():
        first, answered = spread(each.idle), spread(each.answered)
        loaded = spread([] if name == ALONE else each.loaded)  # it answers a whole round at once
        rate = significant(median(each.rates))
        times = [part[key] for part in (first, loaded) for key in ("p50_ms", "p95_ms")]
        rows.append([name, rate, *times, answered["p50_ms"]])
    return rows

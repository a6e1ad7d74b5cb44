"""What each process of a started site costs: seconds until it can work, processor time until then, memory before and
after films, and whether it has loaded a network library.

May import: psutil, tqdm, `cxrsite.processes`, `bench`; no Django.
"""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from tqdm import tqdm

from bench import plots, running
from bench.films import Encoded, pictures
from bench.found import CannotRun, Found, significant
from bench.sending import Application, Results, burst, patient_make
from cxrsite.processes import PROCESSES

#: What tells a loaded library: a part of the path of a file that is mapped into the process.
LIBRARIES = {
    "TensorFlow": r"/libtensorflow",
    "OpenVINO": r"/openvino/",
    "ONNX Runtime": r"/onnxruntime/",
    "PyTorch": r"/torch/lib",
}
#: The embedded servers: words of their command lines.
SERVERS = {"PostgreSQL": "bin/postgres", "Redis": "redis-server"}
_FILMS = 8
#: Seconds after which the sweepers have started too.
_SETTLES = 8


def measure(options: Any) -> Found:
    with tqdm(total=4, desc="processes", unit="step") as bar, running.own_folder() as folder:
        bar.set_postfix_str("starting the site")
        began = time.time()
        with running.started(folder) as site:
            ready = _watched(site)
            bar.update()
            bar.set_postfix_str("memory before the first film")
            time.sleep(_SETTLES)
            before = snapshot(site)
            bar.update()
            bar.set_postfix_str(f"{_FILMS} films")
            words = _send(site)
            bar.update()
            after = snapshot(site)
            bar.update()
    return _found(before, after, ready, began, words)


def _watched(site: Any) -> dict[str, tuple[float, float]]:
    """The time at which each could work, and the processor seconds that it and its children had taken by then: the web
    process answers, a worker has said that it is ready. A sweeper says nothing. Raises CannotRun when the site ends or
    takes too long."""
    ready: dict[str, tuple[float, float]] = {}
    waited = {"web": _answers, "prepare-worker": _said("prepare"), "infer-worker": _said("infer")}
    until = time.monotonic() + running.START_SECONDS
    while len(ready) < len(waited):
        running.alive(site)
        if time.monotonic() > until:
            raise CannotRun(f"not ready after {running.START_SECONDS} s: {', '.join(waited.keys() - ready.keys())}")
        for name, holds in waited.items():
            if name not in ready and holds(site):
                ready[name] = time.time(), computed(site).get(name, 0.0)
        time.sleep(0.05)
    return ready


def _answers(site: Any) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{site.port}/livez", timeout=2) as answer:
        return bool(answer.status == 200)
    return False


def _said(kind: str) -> Any:
    return lambda site: re.search(rf"{kind}@\S+ is ready", site.output) is not None


def _send(site: Any) -> str:
    token = running.token(site)
    application = Application(site.port, token, patient_make(site.port, token))
    drawn, words = pictures(2)
    with running.database(site) as cursor:
        sent = burst(application.send, Encoded(drawn).take(_FILMS))
        Results(cursor).wait([film_id for _, _, film_id in sent], 0.1)
    return words


def snapshot(site: Any) -> dict[str, dict[str, Any]]:
    """Every process of the table and each server, with its children: memory, when it began, what it has loaded."""
    return {name: _of(found) for name, found in mains(site).items()}


def computed(site: Any) -> dict[str, float]:
    """Seconds of processor time that each has taken so far, with its children, those that have ended too."""
    return {name: sum(seconds_of(each) for each in found) for name, found in mains(site).items()}


def mains(site: Any) -> dict[str, Sequence[psutil.Process]]:
    """The processes of the table and the servers that run now, without their children."""
    tree = site.tree()
    found: dict[str, Sequence[psutil.Process]] = {}
    for process in PROCESSES:
        tail = process.command[-2:]
        same = [each.name for each in PROCESSES if each.command == process.command]
        tops = _tops([each for each in tree if _ends_with(each, tail)])[same.index(process.name) :][:1]
        if tops:
            found[process.name] = tops
    for name, words in SERVERS.items():
        if tops := _tops(site.find(words)):
            found[name] = tops
    return found


def seconds_of(main: psutil.Process) -> float:
    """Processor time of a process and of all its children, living or ended; 0 where it is gone."""
    with suppress(psutil.Error):
        own = main.cpu_times()
        living = [each.cpu_times() for each in main.children(recursive=True)]
        return own.children_user + own.children_system + sum(each.user + each.system for each in (own, *living))
    return 0.0


def _tops(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Those that are no other's children, oldest first."""
    ids = {each.pid for each in processes}
    with suppress(psutil.Error):
        return sorted((each for each in processes if each.ppid() not in ids), key=lambda each: each.create_time())
    return []


def _ends_with(process: psutil.Process, tail: tuple[str, ...]) -> bool:
    with suppress(psutil.Error):
        return tuple(process.cmdline()[-len(tail) :]) == tail
    return False


def _of(mains: Sequence[psutil.Process]) -> dict[str, Any]:
    """RSS counts pages that are shared in each process, PSS shares them out; MiB."""
    every = [*mains, *(child for main in mains for child in main.children(recursive=True))]
    rss, pss, libraries = 0, 0, set()
    for each in every:
        with suppress(psutil.Error):
            memory = each.memory_full_info()
            rss += memory.rss
            pss += getattr(memory, "pss", 0)
            libraries |= loaded(Path(f"/proc/{each.pid}/maps"))
    return {
        "processes": len(every), "rss_mib": round(rss / 2**20), "pss_mib": round(pss / 2**20) or None,
        "began": min(each.create_time() for each in mains), "libraries": sorted(libraries),
    }  # fmt: skip


def loaded(maps: Path) -> set[str]:
    """The network libraries among the files that a process has mapped."""
    text = maps.read_text(errors="replace") if maps.exists() else ""
    return {name for name, pattern in LIBRARIES.items() if re.search(pattern, text)}


def _found(
    before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]], ready: dict[str, tuple[float, float]],
    began: float,
    words: str,
) -> Found:  # fmt: skip
    found = Found(
        text=[
            "A site started by “manage.py up” on a database that is migrated; each process with its children. Ready: "
            "the web process answers, a worker has said so (the infer worker after loading the model); counted from "
            "the start of the process, and from that of the whole site. Processor seconds until then are those of the "
            "process with its children. A sweeper does not say when it is ready.",
            "RSS counts a shared page in each process that has it, PSS shares it out, so PSS may be added up. Loaded: "
            f"a library of that name is mapped into one of the processes, after {_FILMS} films ({words}).",
        ]
    )
    rows = []
    for name, about in after.items():
        moment, busy = ready.get(name, (None, None))
        own = significant(moment - about["began"]) if moment else None
        whole = significant(moment - began) if moment else None
        processor = significant(busy) if busy else None
        first = before.get(name, {})
        libraries = ", ".join(about["libraries"]) or "none"
        memory = first.get("rss_mib"), about["rss_mib"], about["pss_mib"]
        rows.append([name, about["processes"], own, whole, processor, *memory, libraries])
    columns = (
        "process", "count", "s to ready", "from start", "processor s", "RSS idle", "RSS", "PSS", "loaded",
    )  # fmt: skip
    found.table("Each with its children. Memory in MiB, idle and after films.", columns, rows)
    if {"web", "infer-worker"} <= after.keys():
        found.compare("RSS, infer worker : web", after["infer-worker"]["rss_mib"], after["web"]["rss_mib"])
    shown = {name: about["rss_mib"] for name, about in after.items()}
    found.plots.append(plots.bars("Memory after films, RSS with children", "MiB", shown))
    found.raw = {"before": before, "after": after, "ready": ready, "began": began}
    return found

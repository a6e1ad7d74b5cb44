"""One run: a site, its clients, the faults, the wait until nothing is open, the verdict. Started by `tests.faults`.

`python -m tests.faults.run FOLDER DESIGN SEED SECONDS FILMS KINDS REPORT`. May import: `tests.faults`, tqdm.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
from tqdm import tqdm

from tests.faults.clients import Clients
from tests.faults.designs import DESIGNS, Design
from tests.faults.injector import Injector
from tests.faults.judge import PROMISES, Oracle, evidence_gather, verdict
from tests.faults.plan import plan_make
from tests.faults.site import AWAY, Site

#: The disk that is filled holds so much, and so much more for each film.
DISK_BYTES, FILM_BYTES = 32 << 20, 512 << 10


def main(folder: str, design: str, seed: str, seconds: str, films: str, kinds: str, report: str) -> None:
    plan = plan_make(int(seed), float(seconds), int(films), tuple(kinds.split(",")))
    left_out = disk_mount(Path(folder), int(films))
    site = Site(Path(folder), DESIGNS[design])
    try:
        found = Run(site, plan, left_out).go()
    finally:
        site.stop()
    Path(report).write_text(json.dumps(found, indent=2))


class Run:
    def __init__(self, site: Site, plan: Any, left_out: dict[str, str]) -> None:
        self.site, self.plan, self.left_out = site, plan, left_out
        self.design: Design = site.design
        if not self.design.named("sweeper"):
            self.left_out["sweeper killed"] = "this design has none"

    def go(self) -> dict[str, Any]:
        site, plan = self.site, self.plan
        site.start()
        clients = Clients(plan.films, site.world["clinics"], site.port)
        injector = Injector(site, plan.faults, self.left_out)
        name = f"seed {plan.seed}, {self.design.name}"
        with tqdm(total=round(plan.seconds), desc=name, unit="s", leave=False, disable=None) as self.bar:
            clients.begin()
            injector.begin()
            self._until(time.monotonic() + plan.seconds, clients, injector)
            injector.heal()
            quiet = time.monotonic()
            self.bar.set_description(f"{name}, faults over")
            self._answers(clients, injector)
            clients.end()
            drained = drain(site, self.bar.set_postfix_str)
        took = time.monotonic() - quiet
        evidence = evidence_gather(site)
        errors = sum(count for said, count in clients.answers.items() if said.startswith("500"))
        counts = {"errors_500": errors} | verdict(clients.ledger, evidence, injector.damaged, Oracle(site))
        return {
            "design": self.design.name,
            "seed": plan.seed,
            "seconds": plan.seconds,
            "faults": len([each for each in injector.injected if each.target]),
            "faults_without_target": len([each for each in injector.injected if not each.target]),
            "faults_by_kind": dict(Counter(each.fault.kind for each in injector.injected if each.target)),
            "left_out": self.left_out,
            **counts,
            "stale_writes_refused": _stale_writes(site),
            "drained": drained,
            "drain_seconds": round(took, 1),
            "jobs_open": _open_jobs(site),
            "answers": dict(clients.answers.most_common()),
            "kept": sum(counts[name] for name in PROMISES) == 0 and drained,
            "injected": [
                {
                    "planned": round(each.fault.at, 2),
                    "at": round(each.at, 2),
                    "kind": each.fault.kind,
                    "hit": each.target,
                }
                for each in injector.injected
            ],
        }

    def _answers(self, clients: Clients, injector: Injector) -> None:
        """Until every client has its answer, or none has had one for as long as the design is given."""
        known = -1
        while not clients.done and clients.acknowledged != known:
            known = clients.acknowledged
            self._until(time.monotonic() + self.design.patience, clients, injector, done=lambda: clients.done)

    def _until(self, deadline: float, clients: Clients, injector: Injector, done: Any = lambda: False) -> None:
        begun = time.monotonic()
        base = self.bar.n
        while time.monotonic() < deadline and not done():
            injector.work()
            self.bar.n = min(base + round(time.monotonic() - begun), self.bar.total)
            hit = sum(bool(each.target) for each in injector.injected)
            self.bar.set_postfix_str(f"{clients.acknowledged} acknowledged, {hit} faults")
            time.sleep(0.1)


def drain(site: Site, say: Any = lambda text: None) -> bool:
    """Wait until no job is open. False when nothing has moved for as long as the design is given."""
    last, moved = None, time.monotonic()
    while time.monotonic() - moved < site.design.patience:
        try:
            state = site.rows("SELECT state, count(*), sum(attempt) FROM diagnosis_job GROUP BY 1 ORDER BY 1")
        except AWAY:
            state = last
        counts = {name: count for name, count, _ in state or ()}
        if state and not counts.get("queued") and not counts.get("running"):
            return True
        if state != last:
            last, moved = state, time.monotonic()
        say(", ".join(f"{count} {name}" for name, count in counts.items()))
        time.sleep(0.3)
    return False


def _open_jobs(site: Site) -> int:
    return int(site.rows("SELECT count(*) FROM diagnosis_job WHERE state IN ('queued', 'running')")[0][0])


def _stale_writes(site: Site) -> int:
    """As the site itself counts them."""
    return int(
        sum(count for (count,) in site.rows("SELECT count FROM diagnosis_tally WHERE name = 'stale_write_refused'"))
    )


def disk_mount(folder: Path, films: int) -> dict[str, str]:
    """A small disk of its own for films and uploads. Where that is not permitted, why the disk is never full."""
    disk = folder / "disk"
    if os.environ.get("FAULTS_OWN_MOUNTS") != "1":
        return {"disk full": "mounting a small disk needs root"}
    size = DISK_BYTES + films * FILM_BYTES
    if size > psutil.virtual_memory().available / 2:  # the disk lies in memory, and is filled
        return {"disk full": f"a disk for {films} films would take more than half of the memory; send fewer: --films"}
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "films", str(disk)], check=True)
    for name in ("media", "incoming"):
        (disk / name).mkdir()
    return {}


if __name__ == "__main__":
    main(*sys.argv[1:])

"""`python -m tests.faults`: the real site under a seeded storm of faults, beside the naive design, and what was lost.

May import: `tests.faults`; each run is a process of its own, with mounts of its own where that is permitted.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from cxrsite.keeper import die_with_parent
from tests.faults.designs import DESIGNS, NAIVE, OURS
from tests.faults.plan import KINDS, plan_make
from tests.faults.report import table
from tests.faults.site import ROOT, STOP_SECONDS, environment, own_folder
from tests.site.prepared import cluster_copy

SEEDS = (1, 2, 3)
FILMS_PER_SECOND = 2.0
OWN_MOUNTS = ("unshare", "--mount", "--propagation", "private")

HELP = """\
Starts the site as `make run` does (web, workers, sweeper, PostgreSQL, Redis, in a folder of its own), sends films that
carry their own id in their pixels from several clinics, and meanwhile kills, pauses, empties, fills and damages its
parts. Then it compares what the clients were told with what the database and the disk hold.

The seed fixes films, faults, their times and what each one picks. Where a process is hit inside its work is up to the
machine, so counts such as stale writes differ a little between two runs of one seed.
"""


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m tests.faults", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, nargs="+", default=SEEDS, help="one run per seed (default: 1 2 3)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--seconds", type=float, default=60, help="how long faults come (default: 60)")
    length.add_argument("--minutes", type=float, help="the same in minutes, for a night: --minutes 480")
    parser.add_argument("--films", type=int, help=f"films per run (default: {FILMS_PER_SECOND} per second)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--naive", action="store_true", help="only the naive design: delay(id) after the commit")
    which.add_argument("--tuned", action="store_true", help="only the naive design after the usual advice on Celery")
    which.add_argument("--ours", action="store_true", help="only the application, without the comparison")
    parser.add_argument("--only", nargs="+", choices=KINDS, metavar="KIND", help=f"only these: {'; '.join(KINDS)}")
    parser.add_argument("--plan", action="store_true", help="print what each seed would do, and do nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--keep", action="store_true", help="keep the folder of each run: log, database, films")
    options = parser.parse_args(argv)
    options.seconds = options.minutes * 60 if options.minutes else options.seconds
    options.films = options.films or max(2, round(options.seconds * FILMS_PER_SECOND))
    chosen = [design for name, design in DESIGNS.items() if getattr(options, name)]
    options.designs = chosen or [OURS, NAIVE]
    return options


def main(argv: list[str] | None = None) -> int:
    """0 when the application kept every promise; the naive design may break what it likes."""
    options = arguments(argv)
    if options.plan:
        return plan_show(options)
    with own_folder(keep=options.keep) as folder:
        say("Setting up a site for the runs …")
        world_make(folder / "new")
        runs = [(design, seed) for design in options.designs for seed in options.seed]
        reports = [run_one(folder, design, seed, options) for design, seed in runs]
    if options.keep:
        say(f"Kept: {folder}")
    print(table(reports))
    if options.json:
        options.json.write_text(json.dumps(reports, indent=2))
    return 0 if all(report["kept"] for report in reports if report["design"] == OURS.name) else 1


def plan_show(options: argparse.Namespace) -> int:
    for seed in options.seed:
        plan = plan_make(seed, options.seconds, options.films, tuple(options.only or KINDS))
        print(f"seed {seed}: {len(plan.films)} films, {len(plan.faults)} faults")
        for fault in plan.faults:
            print(f"  {fault.at:7.2f} s  {fault.kind}")
    return 0


def world_make(folder: Path) -> None:
    cluster_copy(folder)
    command = [sys.executable, "-m", "tests.faults.world"]
    subprocess.run(command, cwd=ROOT, env=environment(folder, OURS.settings), check=True, stdout=subprocess.DEVNULL)


def run_one(folder: Path, design: Any, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Raises FileNotFoundError when the run itself failed; what was wrong is said above it."""
    own = folder / f"{design.name}-{seed}"
    subprocess.run(["cp", "-a", str(folder / "new"), str(own)], check=True)
    own_mounts = may_mount()
    command = [*(OWN_MOUNTS if own_mounts else ()), sys.executable, "-m", "tests.faults.run", str(own), design.name]
    command += [str(seed), str(options.seconds), str(options.films), ",".join(options.only or KINDS)]
    report = folder / f"{design.name}-{seed}.json"
    process = subprocess.Popen(
        [*command, str(report)],
        cwd=ROOT,
        env=os.environ | {"FAULTS_OWN_MOUNTS": "1" if own_mounts else "0"},
        preexec_fn=die_with_parent(signal.SIGTERM),
    )
    try:
        process.wait()
    except KeyboardInterrupt:  # the run had it too, and stops its site
        process.wait(STOP_SECONDS)
        raise
    found: dict[str, Any] = json.loads(report.read_text())
    if design is OURS and not found["kept"]:  # the log may be all that ever tells why
        log = ROOT / "var" / f"{own.name}.log"
        shutil.copyfile(own / "site.log", log)
        say(f"A promise was broken. The site's log: {log}")
    if not options.keep:
        shutil.rmtree(own, ignore_errors=True)
    return found


def may_mount() -> bool:
    """Can this process have mounts that nobody else sees, and that vanish with it?"""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    trial = [*OWN_MOUNTS, "mount", "-t", "tmpfs", "trial", "/mnt"]
    return subprocess.run(trial, capture_output=True).returncode == 0


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""The real site under three storms of a minute each, and the naive design under one: rows of the failure table by name.

Half the films of `make faults`, so that a busy machine is not still reading them minutes later. It takes several
minutes: `make test ARGS="-m 'not faults'"` leaves it out. A failure's seed can be run alone:
`make faults ARGS="--ours --seed 2 --films 60 --keep"`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.judge import PROMISES
from tests.faults.plan import KINDS
from tests.site.running import ROOT

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]

Reports = list[dict[str, Any]]

#: Row of the failure table → the kinds of fault that bring it about.
ROWS = {
    "F1 web killed while it receives": ("web killed", "web child killed"),
    "F4 Redis comes back empty": ("redis emptied",),
    "F5 Redis frozen": ("redis frozen",),
    "F6 Redis away": ("redis away",),
    "F7 Redis killed": ("redis killed",),
    "F8 worker killed": ("prepare worker killed", "infer worker killed"),
    "F9 worker child killed": ("prepare child killed",),
    "F12 worker paused past its lease": ("worker paused",),
    "F15 PostgreSQL killed": ("postgres killed",),
    "F18 sweeper killed": ("sweeper killed",),
    "F19 disk full": ("disk full",),
    "F20 a byte of a film flipped": ("film damaged",),
    "F23 a byte of the model flipped": ("model damaged",),
    "F29 everything, in any order": KINDS,
}


def run(folder: Path, *arguments: str) -> Reports:
    """What `python -m tests.faults` finds; its own verdict is not asked here."""
    report = folder / "report.json"
    command = [sys.executable, "-m", "tests.faults", *arguments, "--json", str(report)]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert report.exists(), said.stdout + said.stderr
    print(said.stdout, said.stderr)
    return list(json.loads(report.read_text()))


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Reports:
    return run(tmp_path_factory.mktemp("ours"), "--ours", "--seed", "1", "2", "3", "--seconds", "60", "--films", "60")


@pytest.mark.parametrize("promise", PROMISES)
def test_the_count_is_zero_under_every_seed(reports: Reports, promise: str):
    assert {report["seed"]: report[promise] for report in reports} == {1: 0, 2: 0, 3: 0}


def test_every_job_comes_to_its_end(reports: Reports):
    assert all(report["drained"] and report["jobs_open"] == 0 for report in reports)


def test_every_poison_film_is_dead_after_exactly_three_attempts(reports: Reports):
    for report in reports:
        assert report["poison"] == report["poison_dead"] > 0
        assert report["poison_attempts"] == [3]


def test_w1_every_healthy_film_has_the_result_of_its_own_pixels(reports: Reports):
    for report in reports:
        assert report["wrong_patient"] == report["doubled"] == 0
        assert report["predicted"] == report["uploads"] - report["poison"] - report["damaged"] > 0


@pytest.mark.parametrize("row", ROWS)
def test_row_of_the_failure_table(reports: Reports, row: str):
    kinds = [kind for kind in ROWS[row] if kind not in reports[0]["left_out"]]
    if not kinds:
        pytest.skip(reports[0]["left_out"][ROWS[row][0]])
    for kind in kinds:
        assert sum(report["faults_by_kind"].get(kind, 0) for report in reports) > 0, kind
    assert not any(report[promise] for report in reports for promise in PROMISES)


def test_the_naive_design_loses_films_under_the_same_seed(tmp_path: Path):
    [report] = run(tmp_path, "--naive", "--seed", "1", "--seconds", "20")
    assert report["lost"] > 0

"""A run that was killed goes on from its last finished epoch, whatever it was doing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mlcore.training import train as training
from mlcore.training.batches import TrainingBatches
from mlcore.training.tasks import THREE
from mlcore.training.train import Run
from tests.mlcore.separable import linear, plan, samples, train_here

#: Trains, and stands still in the middle of the third epoch.
STUCK = """
import sys, threading
from pathlib import Path
from mlcore.training.batches import TrainingBatches
from tests.mlcore.separable import train_here
out, get = Path(sys.argv[1]), TrainingBatches.__getitem__
start = TrainingBatches.start
def watched(self, epoch):
    self.epoch = epoch
    start(self, epoch)
def wait(self, number):
    if self.epoch == 2 and number == 5:
        (out / "stuck").touch()
        threading.Event().wait()
    return get(self, number)
TrainingBatches.start, TrainingBatches.__getitem__ = watched, wait
train_here(out)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a real process that was killed in the third of four epochs."""
    out = tmp_path_factory.mktemp("killed")
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK, str(out)], cwd=Path(__file__).parents[2], stderr=subprocess.DEVNULL
    )
    try:
        while not (out / "stuck").exists():
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.05)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    return out


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train_here(tmp_path_factory.mktemp("whole"))


def test_killed_run_loses_one_epoch_and_ends_as_if_it_had_not_been(killed: Path, uninterrupted: Run) -> None:
    before = json.loads((killed / "run.json").read_text())["log"]
    assert [entry["epoch"] for entry in before] == [1, 2]
    started: list[int] = []
    start = TrainingBatches.start
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingBatches, "start", lambda self, epoch: (started.append(epoch), start(self, epoch))[1])
        run = train_here(killed)
    assert started[1:] == [2, 3]  # the first is the making of the object
    assert run.log[:2] == before
    assert [entry["epoch"] for entry in run.log] == [1, 2, 3, 4]
    assert [entry["loss"] for entry in run.log] == pytest.approx(
        [entry["loss"] for entry in uninterrupted.log], abs=1e-3
    )


def test_finished_run_is_read_not_trained(uninterrupted: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlcore.training.fit.fit", None)
    assert train_here(uninterrupted.out).to_json() == json.loads(json.dumps(uninterrupted.to_json()))


def test_same_seed_draws_the_same_epoch_whatever_came_before() -> None:
    def batches() -> TrainingBatches:
        return TrainingBatches(samples(), THREE, count=30, balance="strata", floor=0.02, batch=8, seed=3)

    through, at_once = batches(), batches()
    for epoch in range(3):
        through.start(epoch)
    at_once.start(2)
    assert through.order.tolist() == at_once.order.tolist()
    through.start(1)
    assert through.order.tolist() != at_once.order.tolist()


class Written:
    """Weights that are a line of text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def save_weights(self, path: Path) -> None:
        path.write_text(self.text)


def finish(run: Run, epoch: int, score: float) -> None:
    entry = {"epoch": epoch, "phase": "tune", "loss": 1.0, "score": score, "seconds": 1.0}
    run.keep_best(entry, Written(f"best {epoch}"))
    run.keep(entry, Written(f"last {epoch}"))


@pytest.mark.parametrize("better", [True, False])
@pytest.mark.parametrize("moment", range(8))
def test_kill_between_any_two_file_operations_leaves_a_sound_run(
    moment: int, better: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened() -> Run:
        return Run.open(tmp_path / "run", plan(), THREE, linear, samples(9))

    finish(opened(), 1, 0.7)
    operations = {"n": 0}

    def dying(real: Any) -> Any:
        def operation(*arguments: Any, **options: Any) -> Any:
            if operations["n"] == moment:
                raise SystemExit
            operations["n"] += 1
            return real(*arguments, **options)

        return operation

    with monkeypatch.context() as patch:
        patch.setattr(training.os, "replace", dying(os.replace))
        patch.setattr(Path, "unlink", dying(Path.unlink))
        patch.setattr(Path, "write_text", dying(Path.write_text))
        with contextlib.suppress(SystemExit):
            finish(opened(), 2, 0.9 if better else 0.5)
    run = opened()
    assert run.checkpoint(len(run.log)).read_text() == f"last {len(run.log)}"
    assert run.weights.read_text() == f"best {run.best_epoch}"
    finish(run, len(run.log) + 1, 0.8)
    assert opened().weights.read_text() == f"best {run.best_epoch}"
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "run.json", "log.csv", "best.weights.h5", f"last-{len(run.log)}.weights.h5",
    }  # fmt: skip


def test_run_that_lost_its_checkpoint_says_so(uninterrupted: Run, tmp_path: Path) -> None:
    shutil.copytree(uninterrupted.out, tmp_path / "run")
    stored = json.loads((tmp_path / "run" / "run.json").read_text())
    stored["log"].pop()
    (tmp_path / "run" / "run.json").write_text(json.dumps(stored))
    with pytest.raises(training.TrainingError, match="last-3"):
        train_here(tmp_path / "run")

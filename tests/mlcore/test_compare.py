"""Networks are compared under equal conditions, by a rule that stands before the test split is opened."""

from __future__ import annotations

import hashlib
import html
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlcore.__main__ import main
from mlcore.backbones import BACKBONES, build_served
from mlcore.card import WEIGHTS_FILE
from mlcore.registry import load_predictor
from mlcore.training.apart import ApartError, apart
from mlcore.training.compare import Folder, Row, Study, compare, starting_weights
from mlcore.training.compare_report import sections, write
from mlcore.training.costs import costs, multiply_adds
from mlcore.training.dataset import DEFAULT_DATA, Film, TrainingError
from mlcore.training.leaderboard import RULE, board, choose
from mlcore.training.report import number
from mlcore.training.tasks import THREE
from mlcore.training.train import Plan
from tests.mlcore.conftest import TINY, TINY_PLAN

BACKBONES["other"] = replace(BACKBONES["tiny"], scaling="torch")
BACKBONES["broken"] = replace(BACKBONES["tiny"], constructor="tests.mlcore.conftest.no_such_network")
STUDY = Study(("tiny", "other", "broken"), TINY_PLAN, size=64, weights="none", beside=(("other", "none"),))


def direct(function: Callable[..., Any], *arguments: Any, watch: Callable[[], None] = lambda: None) -> Any:
    """As `apart`, in this process: its networks are known here and nothing has to be imported again."""
    try:
        return function(*arguments)
    except Exception as error:
        raise ApartError(str(error)) from error
    finally:
        watch()


@pytest.fixture(scope="module")
def compared(films: list[Film], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A finished comparison of which one network could not be built."""
    out = tmp_path_factory.mktemp("compared")
    scored: list[str] = []

    def watched(function: Callable[..., Any], *arguments: Any, watch: Callable[[], None] = lambda: None) -> Any:
        """The choice stands before any network says anything of a test film, and no training follows."""
        if function.__name__ in ("_score", "_serve"):
            assert (out / "rule.json").exists()
            assert (out / "choice.json").exists()
            assert (out / "opened.json").exists()
            scored.append(function.__name__)
        else:
            assert not (out / "choice.json").exists()
            assert not list(out.rglob("test.*"))
        return direct(function, *arguments, watch=watch)

    document = compare(STUDY, films, out, replicates=50, run=watched)
    assert scored == ["_score", "_serve"]
    return out, {**document, "made": {"command": "the command", "machine": "the machine"}}


def test_rule_stands_first_then_the_choice_then_the_test_split(compared: tuple[Path, dict[str, Any]]) -> None:
    _, document = compared
    assert document["rule"]["rule"] == RULE
    assert document["rule"]["at"] <= document["choice"]["at"] <= document["opened"]["at"]


def test_served_winner_is_the_compared_one(compared: tuple[Path, dict[str, Any]]) -> None:
    out, document = compared
    served = document["served"]
    run = Folder(out).run(Row(served["row"], "", "", True), served["seed"])
    assert hashlib.sha256((out / "model" / WEIGHTS_FILE).read_bytes()).hexdigest() == served["sha256"]
    assert hashlib.sha256((run / "best.weights.h5").read_bytes()).hexdigest() == served["compared_sha256"]
    assert load_predictor(out / "model", expected_sha256=served["sha256"]).card.sha256 == served["sha256"]
    assert served["largest_difference"] < 0.02


def test_network_that_fails_is_written_down_and_the_others_go_on(compared: tuple[Path, dict[str, Any]]) -> None:
    _, document = compared
    assert "no_such_network" in document["rows"]["broken"]["failed"][0]
    assert document["rows"]["broken"]["test"] is None
    assert all(document["rows"][name]["test"]["score"]["n"] == 20 for name in ("tiny", "other", "other-scratch"))


def test_row_beside_cannot_win(compared: tuple[Path, dict[str, Any]]) -> None:
    _, document = compared
    assert set(document["choice"]["ranking"]) == {"tiny", "other"}


def test_finished_comparison_trains_nothing_again(
    compared: tuple[Path, dict[str, Any]], films: list[Film], tmp_path: Path
) -> None:
    out, document = compared
    again = tmp_path / "again"
    shutil.copytree(out, again)
    called: list[str] = []

    def note(function: Callable[..., Any], *arguments: Any, watch: Callable[[], None] = lambda: None) -> Any:
        called.append(function.__name__)
        return direct(function, *arguments, watch=watch)

    repeated = compare(STUDY, films, again, replicates=50, run=note)
    assert called == ["costs"]  # of the network that cannot be built
    assert repeated["differences"] == document["differences"]


def test_folder_of_another_comparison_is_refused(compared: tuple[Path, dict[str, Any]], films: list[Film]) -> None:
    with pytest.raises(TrainingError, match="another comparison"):
        compare(replace(STUDY, seeds=(2,)), films, compared[0], run=direct)


def test_report_names_command_machine_rule_and_baseline(compared: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    _, document = compared
    write(tmp_path, document)
    page = (tmp_path / "report.html").read_text()
    for words in ("the command", "the machine", RULE[:60], "source only, no pixel", "95.56"):
        assert words in page
    assert json.loads((tmp_path / "report.json").read_text())["served"] == document["served"]
    assert len(sections(document)) == len({section.heading for section in sections(document)})


def test_committed_page_shows_the_committed_figures() -> None:
    folder = Path(__file__).parents[2] / "docs" / "results" / "compare"
    document = json.loads((folder / "report.json").read_text())
    page = html.unescape((folder / "report.html").read_text())
    assert document["rule"] == json.loads((folder / "rule.json").read_text())
    assert document["served"]["sha256"] in page
    for row in document["rows"].values():
        for split in ("val", "test"):
            for figure in (row[split] or {}).values():
                assert number(figure["value"]) in page


KILLED = """
from pathlib import Path
from mlcore.training.compare import compare
from mlcore.training.dataset import read_manifest
from tests.mlcore.test_compare import LONG, direct
compare(LONG, read_manifest(Path({data!r})), Path({out!r}), replicates=50, run=direct)
"""
LONG = replace(STUDY, networks=("tiny", "other"), beside=(), plan=replace(TINY_PLAN, epochs=4, per_epoch=64))


def test_killed_comparison_goes_on_where_it_was(film_folder: Path, films: list[Film], tmp_path: Path) -> None:
    script = KILLED.format(data=str(film_folder), out=str(tmp_path))
    log = tmp_path / "runs" / "other-seed1" / "run.json"
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL, cwd=Path(__file__).parents[2])
    while not log.exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    first = json.loads((tmp_path / "runs" / "tiny-seed1" / "outcome.json").read_text())
    before = json.loads(log.read_text())["log"]
    document = compare(LONG, films, tmp_path, replicates=50, run=direct)
    assert document["rows"]["tiny"]["runs"]["1"] == first
    assert document["rows"]["other"]["runs"]["1"]["log"][: len(before)] == before
    assert len(document["rows"]["other"]["runs"]["1"]["log"]) == 4


@pytest.mark.skipif(not DEFAULT_DATA.is_dir(), reason=f"the shared films are not at {DEFAULT_DATA}")
def test_one_command_compares_two_networks_on_200_films(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process; that each network has one of its own is tested below, and by the command of `tune`."""
    monkeypatch.setattr("mlcore.training.compare.compare", partial(compare, run=direct))
    arguments = "--limit 67 --networks tiny,other --size 64 --weights none --epochs 1 --per-epoch 32"
    assert main(["compare", *arguments.split(), "--average", "0", "--replicates", "100", "--out", str(tmp_path)]) == 0
    document = json.loads((tmp_path / "report.json").read_text())
    assert document["served"]["sha256"] in capsys.readouterr().out
    assert {"score", "within Kermany pediatric", "within NIH ChestX-ray14"} <= set(document["rows"]["tiny"]["test"])
    assert document["rows"]["other"]["costs"]["peak_mib"] >= document["rows"]["other"]["costs"]["start_mib"]


def test_missing_weights_of_one_network_are_said(tmp_path: Path) -> None:
    kept = tmp_path / "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5"
    kept.touch()
    assert starting_weights("resnet50_v2", str(tmp_path)) == str(kept)
    with pytest.raises(TrainingError, match="resnet50 "):
        starting_weights("resnet50", str(tmp_path))


def test_unknown_network_is_refused_before_anything_starts() -> None:
    with pytest.raises(TrainingError, match="no network 'resnet51'"):
        Study(("resnet51",), Plan())


def scored(films: list[Film], sharpness: float, seed: int = 0) -> np.ndarray:
    """Probabilities that are right the more often the larger `sharpness` is."""
    noise = np.random.default_rng(seed).normal(size=(len(films), 3))
    powers = np.exp(sharpness * THREE.targets(films) + noise)
    return powers / powers.sum(1, keepdims=True)


def test_small_network_wins_only_when_it_is_tied(films: list[Film]) -> None:
    best = scored(films, 6.0)
    parameters = {"large": 10, "small": 5}
    tied = choose(films, THREE, {"large": [best], "small": [best]}, parameters, replicates=100)
    worse = choose(films, THREE, {"large": [best], "small": [scored(films, 0.0)]}, parameters, replicates=100)
    assert (tied["winner"], worse["winner"]) == ("small", "large")


def test_best_seed_of_the_winner_is_served(films: list[Film]) -> None:
    runs = [scored(films, 0.5), scored(films, 6.0), scored(films, 0.0)]
    assert choose(films, THREE, {"one": runs}, {"one": 1}, replicates=50)["run"] == 1


def test_figures_are_means_over_seeds_and_equal_rows_do_not_differ(films: list[Film]) -> None:
    one, two = scored(films, 1.0, 1), scored(films, 1.0, 2)
    scores = {"a": [one, two], "b": [one, two], "one": [one], "two": [two]}
    found = board(films, THREE, scores, reference="a", replicates=100)
    mean = (found["rows"]["one"]["score"]["value"] + found["rows"]["two"]["score"]["value"]) / 2
    assert found["rows"]["a"]["score"]["value"] == pytest.approx(mean, abs=1e-4)
    assert found["differences"]["b"]["score"] == {"value": 0, "low": 0, "high": 0, "p": 1, "holm": 1}


def test_multiply_adds_are_those_that_are_published() -> None:
    """DenseNet-121 with its top: 2.83 · 10⁹ multiply-adds at 224 × 224, so 5.67 GFLOP (Huang et al. 2017)."""
    import keras

    assert 2 * multiply_adds(keras.applications.DenseNet121(weights=None)) / 1e9 == pytest.approx(5.67, abs=0.01)


def test_costs_are_of_the_served_network() -> None:
    convolutions = (3 * 3 * 3 * 8, 3 * 3 * 8 * 16)
    head = 16 * 3
    price = costs(TINY, repeats=2)
    assert multiply_adds(build_served(TINY)) == 16 * 16 * convolutions[0] + 4 * 4 * (convolutions[1] + head) + 3 * 3
    assert price["parameters"] == sum(convolutions) + (8 + 16) * 5 + head + 3 * 3 + 3
    assert set(price["latency_ms"]) == {"1", "8"}
    assert price["machine"]


def test_process_apart_answers_and_says_why_it_died() -> None:
    assert apart(divmod, 7, 3) == (2, 1)
    with pytest.raises(ApartError, match="ZeroDivisionError"):
        apart(divmod, 1, 0)
    with pytest.raises(ApartError, match="signal 9"):
        apart(_kill_oneself)


def _kill_oneself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _touch_for_ever(path: Path) -> None:
    while True:
        path.touch()
        time.sleep(0.01)


def _start_apart(path: Path) -> None:
    apart(_touch_for_ever, path)


def test_process_apart_ends_with_the_one_that_started_it(tmp_path: Path) -> None:
    path = tmp_path / "alive"
    outer = multiprocessing.get_context("spawn").Process(target=_start_apart, args=(path,))
    outer.start()
    while not path.exists():
        time.sleep(0.02)
    outer.kill()
    outer.join()
    deadline = time.monotonic() + 30
    while time.time() - path.stat().st_mtime < 1:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_watcher_that_raises_ends_the_process_apart(tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        apart(_touch_for_ever, tmp_path / "alive", watch=stop)
    assert multiprocessing.active_children() == []

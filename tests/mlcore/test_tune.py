"""A search starts from the default plan, survives kill -9, is shared through its storage, and says what it gained."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import optuna
import psycopg2
import pytest
from django.conf import settings
from django.db import connection
from optuna.trial import TrialState

from mlcore.__main__ import main
from mlcore.training.dataset import DEFAULT_DATA, Film, TrainingError
from mlcore.training.train import Plan, save_scores
from mlcore.training.tune import Search, _Watch, open_study, packed, take_back_lost, tune, unpacked
from mlcore.training.tune_report import gain_in_words, sections, write
from tests.mlcore.conftest import TINY_PLAN
from tests.mlcore.test_compare import direct

LABELS = ("normal", "pneumonia", "effusion")


def search(storage: object, **changes: Any) -> Search:
    return Search(("tiny",), **{"plan": TINY_PLAN, "storage": str(storage), "trials": 3, "size": 64, **changes})


def pretended(
    function: Callable[..., Any], films: list[Film], task: str, plan: Plan, folder: Path, cache: Path, watch: Any
) -> dict[str, Any]:  # fmt: skip
    """A training that takes no time: the higher the dropout, the better the scores."""
    folder.mkdir(parents=True, exist_ok=True)
    val = [film for film in films if film.split == "val"]
    truth = np.array([[film.label == label for label in LABELS] for film in val], dtype=np.float32)
    noise = np.random.default_rng(0).random(truth.shape)
    save_scores(folder / "val.scores.npz", val, LABELS, plan.dropout * truth + noise)
    return {"validation": plan.dropout, "log": []}


def settings_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [trial["parameters"] for trial in document["networks"]["tiny"]["trials"]]


@pytest.fixture(scope="module")
def searched(films: list[Film], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A search with real training."""
    out = tmp_path_factory.mktemp("searched")
    return out, tune(search(out / "study.journal"), films, out, replicates=50, run=direct)


def test_first_trial_is_the_default_plan_and_the_gain_is_over_it(searched: tuple[Path, dict[str, Any]]) -> None:
    found = searched[1]["networks"]["tiny"]
    assert found["trials"][0]["default"]
    assert found["default"]["parameters"]["rate"] == TINY_PLAN.rate
    assert found["best"]["score"] == max(trial["score"] for trial in found["trials"][1:] if "log" in trial)
    assert {"value", "low", "high", "p"} <= set(found["gain"]["score"])


def test_report_holds_every_trial_and_says_what_the_gain_is_worth(
    searched: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    document = {**searched[1], "made": {"command": "the command", "machine": "the machine"}}
    write(tmp_path, document)
    page = (tmp_path / "report.html").read_text()
    assert "The test split was not used" in page
    assert gain_in_words("tiny", document["networks"]["tiny"])[:20] in page
    assert len(sections(document)[1].tables[0].rows) == 3
    assert json.loads((tmp_path / "report.json").read_text())["search"]["storage"] == "journal file"


@pytest.mark.parametrize(
    ("value", "low", "words"),
    [(0.2, -0.1, "includes 0"), (0.2, 0.1, "does not include 0"), (-0.2, -0.3, "no trial did better")],
)
def test_interval_with_zero_is_said_plainly(value: float, low: float, words: str) -> None:
    assert words in gain_in_words("x", {"gain": {"score": {"value": value, "low": low, "high": 0.3, "p": 0.5}}})


def test_finished_search_tries_nothing_again(films: list[Film], tmp_path: Path) -> None:
    wanted = search(tmp_path / "study.journal")
    first = tune(wanted, films, tmp_path, replicates=50, run=pretended)
    again = tune(wanted, films, tmp_path, replicates=50, run=lambda *_, **__: pytest.fail("trained again"))
    assert again == first


def test_interrupted_search_suggests_what_it_would_have(films: list[Film], tmp_path: Path) -> None:
    at_once = tune(search(tmp_path / "one.journal", trials=4), films, tmp_path, replicates=50, run=pretended)
    for trials in (2, 4):
        in_two = search(tmp_path / "two.journal", trials=trials)
        document = tune(in_two, films, tmp_path, replicates=50, run=pretended)
    assert settings_of(document) == settings_of(at_once)


def test_better_settings_are_found_to_be_better(films: list[Film], tmp_path: Path) -> None:
    poor = replace(TINY_PLAN, dropout=0.0)
    found = tune(search(tmp_path / "study.journal", plan=poor, trials=5), films, tmp_path, replicates=200,
                 run=pretended)["networks"]["tiny"]  # fmt: skip
    assert found["gain"]["score"]["value"] > 0
    assert found["importance"]


@pytest.fixture
def database() -> Iterator[str]:
    """The URL of a PostgreSQL database of its own, gone afterwards."""
    owner = {name: settings.DATABASE_OWNER[name.upper()] for name in ("user", "password")}
    server = connection.get_connection_params() | owner
    name = f"tune_{os.getpid()}"
    where = {key: server[key] for key in ("host", "port", "user", "password") if server.get(key)}
    link = psycopg2.connect(dbname="postgres", **where)
    link.autocommit = True
    with link.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    yield f"postgresql:///{name}?{urlencode(where)}"
    with link.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    link.close()


def test_two_searchers_share_a_study_in_postgresql(films: list[Film], tmp_path: Path, database: str) -> None:
    """The second has other folders, as on another machine, and still reports the gain of the first one's trials."""
    first = tune(search(database, trials=2), films, tmp_path / "one", replicates=50, run=pretended)
    second = tune(search(database, trials=3), films, tmp_path / "two", replicates=50, run=pretended)
    assert settings_of(second)[:2] == settings_of(first)
    assert len(list((tmp_path / "two" / "trials").iterdir())) == 1
    assert "gain" in second["networks"]["tiny"]
    assert second["search"]["storage"] == "postgresql"


KILLED = """
from pathlib import Path
from mlcore.training.dataset import read_manifest
from mlcore.training.tune import tune
from tests.mlcore.test_compare import direct
from tests.mlcore.test_tune import long_search
tune(long_search({out!r}), read_manifest(Path({data!r})), Path({out!r}), replicates=50, run=direct)
"""


def long_search(out: str) -> Search:
    return search(f"{out}/study.journal", plan=replace(TINY_PLAN, epochs=8, per_epoch=64), trials=1)


def test_killed_search_goes_on_from_the_last_epoch(film_folder: Path, films: list[Film], tmp_path: Path) -> None:
    script = KILLED.format(out=str(tmp_path), data=str(film_folder))
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL, cwd=Path(__file__).parents[2])
    while not list(tmp_path.glob("trials/*/run.json")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (log,) = tmp_path.glob("trials/*/run.json")
    before = json.loads(log.read_text())["log"]
    found = tune(long_search(str(tmp_path)), films, tmp_path, replicates=50, run=direct)["networks"]["tiny"]
    lost, again = found["trials"]
    assert (lost["state"], again["state"]) == ("fail", "complete")
    assert again["instead_of"] == lost["number"]
    assert again["default"]
    assert again["log"][: len(before)] == before


def test_trial_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    study = open_study(search(tmp_path / "study.journal"), "tiny")
    trial = study.ask()
    trial.set_user_attr("beat", time.time())
    take_back_lost(study)
    assert study.trials[0].state == TrialState.RUNNING


def test_network_that_cannot_be_trained_fails_with_its_reason(films: list[Film], tmp_path: Path) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise TrainingError("no memory left")

    found = tune(search(tmp_path / "study.journal", trials=2), films, tmp_path, run=fail)["networks"]["tiny"]
    assert [trial["reason"] for trial in found["trials"]] == ["no memory left"] * 2
    assert "no gain" in gain_in_words("tiny", found)


@pytest.mark.parametrize(("epochs", "ends"), [(2, True), (1, False)])
def test_trial_that_falls_behind_is_ended_before_its_last_epoch_only(tmp_path: Path, epochs: int, ends: bool) -> None:
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.ThresholdPruner(lower=0.9))
    path = tmp_path / "run.json"
    path.write_text(json.dumps({"log": [{"epoch": 1, "score": 0.5}]}))
    watch = _Watch(study.ask(), path, epochs)
    if ends:
        with pytest.raises(optuna.TrialPruned):
            watch()
    else:
        watch()
    assert study.trials[0].intermediate_values == {1: 0.5}


def test_search_with_another_budget_is_refused(films: list[Film], tmp_path: Path) -> None:
    tune(search(tmp_path / "study.journal", trials=1), films, tmp_path, replicates=50, run=pretended)
    other = search(tmp_path / "study.journal", plan=replace(TINY_PLAN, epochs=5))
    with pytest.raises(TrainingError, match="another budget"):
        tune(other, films, tmp_path, run=pretended)


def test_storage_that_cannot_be_used_is_said_plainly(tmp_path: Path) -> None:
    for storage in ("somewhere", "postgresql://nobody@127.0.0.1:1/none"):
        with pytest.raises(TrainingError, match="storage"):
            open_study(search(storage), "tiny")


def test_packed_scores_come_back_in_any_order_of_the_films(films: list[Film], tmp_path: Path) -> None:
    val = [film for film in films if film.split == "val"]
    scores = np.random.default_rng(0).random((len(val), 3)).astype(np.float32)
    save_scores(tmp_path / "val.scores.npz", val[1:], LABELS, scores[1:])
    back = unpacked(packed(tmp_path / "val.scores.npz", films), val[::-1], 3)
    np.testing.assert_array_equal(back[:-1], scores[:0:-1])
    assert np.isnan(back[-1]).all()


@pytest.mark.skipif(not DEFAULT_DATA.is_dir(), reason=f"the shared films are not at {DEFAULT_DATA}")
def test_one_command_searches_on_200_films(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "choice.json").write_text(json.dumps({"ranking": ["squeezenet", "alexnet"]}))
    arguments = "--limit 67 --top 1 --trials 2 --size 64 --weights none --epochs 1 --per-epoch 32 --average 0"
    where = ["--best-of", str(tmp_path), "--storage", f"sqlite:///{tmp_path}/study.db", "--out", str(tmp_path)]
    assert main(["tune", *arguments.split(), "--replicates", "100", *where]) == 0
    assert "squeezenet" in capsys.readouterr().out
    assert len(json.loads((tmp_path / "report.json").read_text())["networks"]["squeezenet"]["trials"]) == 2

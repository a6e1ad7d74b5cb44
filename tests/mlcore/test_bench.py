"""The speed measurement: its order, its budget, what it writes when cut, and that every kind of case gives figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlcore.__main__ import main
from mlcore.bench import runner
from mlcore.bench.cases import Case, plan
from mlcore.bench.devices import TensorFlow
from mlcore.bench.engines import KerasEngine
from mlcore.bench.films import inputs, prepare, write_films
from mlcore.bench.runner import LEFT_OUT, differences
from mlcore.bench.table import markdown
from mlcore.bench.timing import Effort
from mlcore.bench.worker import Setting, measure

SETTING = Setting("tiny", 64, 3, "cpu", Effort.quick(), workers=1, file_side=160)
ANSWERS = (np.full((2, 3), 0.5, np.float32), np.ones((2, 4, 4, 3), np.float32))


class Pretended:
    """A worker that answers at once, except what it is told to fail or to take long for."""

    def __init__(self, engine: str, setting: Setting) -> None:
        self.gpu = None if engine == "jax" else "Pretended GPU"

    def ready(self, seconds: float) -> dict[str, Any]:
        return {"gpu": self.gpu, "versions": {"keras": "3"}}

    def ask(self, case: Case, seconds: float) -> dict[str, Any]:
        if case.work == "train":
            return {"error": "MemoryError: too large"}
        figures = {"p50_ms": 2.0, "p95_ms": 3.0, "calls": 3, "first_call_s": 1.0, "peak_mib": 9, "peak_is_exact": False}
        if case.work == "matmul":
            return {**figures, "tflops": 100.0}
        if case.work in ("jpeg", "png16"):
            return {**figures, "films_per_s": 9.0, "cpu_ms": {"decode": 1.0, "quality": 2.0, "preprocess": 3.0}}
        return {**figures, "films_per_s": 5000.0, "host_p50_ms": 4.0, "host_p95_ms": 5.0, "answers": ANSWERS}

    def stop(self) -> None: ...


@pytest.fixture(autouse=True)
def _everything_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "missing", lambda engine: ["torch"] if engine == "torch" else [])


def measured(out: Path, minutes: float = 60.0) -> dict[str, Any]:
    silent: list[str] = []
    engines = ("pytorch", "jax", "torch", "tensorflow")
    return runner.run(
        engines, Setting("densenet169", 224, 3, "gpu", Effort.quick(), 1, 32), out, minutes=minutes,
        start=Pretended, say=silent.append,
    )  # fmt: skip


def test_every_case_is_planned_once_and_the_most_telling_come_first() -> None:
    cases = plan(("jax", "torch", "pytorch"))
    assert len(set(cases)) == len(cases)
    first = [(case.work, case.precision) for case in cases[:8]]
    assert first[:4] == [("matmul", p) for p in ("float32", "tf32", "bfloat16")] + [("infer", "float64")]
    assert first[4:] == [("infer", "bfloat16")] * 4
    assert {case.batch for case in cases if case.work == "infer"} == {1, 8, 32, 128, 256}
    assert {case.mode for case in cases if case.engine == "jax"} == {"plain", "compiled"}


def test_case_that_fails_leaves_the_others_and_says_why(tmp_path: Path) -> None:
    document = measured(tmp_path / "bench.json")
    assert json.loads((tmp_path / "bench.json").read_text()) == document
    failed = [row for row in document["cases"] if "error" in row]
    assert {row["work"] for row in failed} == {"train"}
    assert "MemoryError: too large" in markdown(document)


def test_engine_without_gpu_or_not_installed_measures_nothing_and_says_so(tmp_path: Path) -> None:
    document = measured(tmp_path / "bench.json")
    assert document["engines"]["jax"]["error"] == "sees no GPU"
    assert document["engines"]["torch"]["error"] == "not installed: torch"
    assert {row["engine"] for row in document["cases"]} == {"pytorch", "tensorflow"}


def test_no_time_leaves_every_case_out_by_name(tmp_path: Path) -> None:
    document = measured(tmp_path / "bench.json", minutes=0)
    assert {row["error"] for row in document["cases"]} == {LEFT_OUT}
    assert LEFT_OUT in markdown(json.loads((tmp_path / "bench.json").read_text()))


def test_table_marks_a_peak_that_is_only_a_bound_and_gives_the_share_of_the_ceiling(tmp_path: Path) -> None:
    lines = markdown(measured(tmp_path / "bench.json")).splitlines()
    row = next(line for line in lines if "XLA | bfloat16 | 32" in line and "5,000" in line)
    assert "≤ 9" in row
    assert "33.6 %" in row  # 5,000 films/s × 6.72 GFLOP of 100 TFLOP/s


def test_difference_of_maps_is_a_share_of_the_strongest_place() -> None:
    assert differences((ANSWERS[0] + 0.25, ANSWERS[1] * 1.5), ANSWERS) == {"probabilities": 0.25, "maps": 0.5}


def test_film_is_the_same_in_every_batch_and_its_files_can_be_read(tmp_path: Path) -> None:
    np.testing.assert_array_equal(inputs(3, 32)[2], inputs(1, 32, first=2)[0])
    write_films(tmp_path, 160, 1)
    for name in ("00.jpg", "00.png"):
        array, seconds = prepare(str(tmp_path / name), 64)
        assert array.shape == (64, 64, 1)
        assert len(seconds) == 3


def test_network_gives_figures_for_inference_and_training() -> None:
    import keras

    engine = KerasEngine(TensorFlow("cpu"), SETTING.architecture)
    before = keras.config.dtype_policy()
    try:
        infer = measure(engine, Case("tensorflow", "infer", "float32", 2, "plain"), SETTING)
        train = measure(engine, Case("tensorflow", "train", "float32", 2, "plain"), SETTING)
    finally:
        keras.config.set_dtype_policy(before)
    assert [part.shape for part in infer["answers"]] == [(2, 3), (2, 4, 4, 3)]
    assert infer["films_per_s"] > 0
    assert train["films_per_s"] > 0


def test_machine_without_gpu_is_answered_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "missing", lambda engine: [engine])
    assert main(["bench", "--gpu", "--out", str(tmp_path / "bench.json"), "--processes", "1"]) == 2
    assert "no GPU was found" in capsys.readouterr().err
    assert not (tmp_path / "bench.json").exists()

"""`python -m bench`: its arguments, and a run in which a part fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.cli import arguments, main, settled
from bench.found import CannotRun, Found
from bench.parts import PARTS, Options


class Works:
    def __init__(self, value: float = 2.0) -> None:
        self.value = value

    def measure(self, options: Options) -> Found:
        found = Found(text=["How it was done."])
        found.compare("this : that", self.value, 1.0)
        found.table("A table.", ("", "films/s"), [["this", self.value]])
        return found


class Fails:
    def measure(self, options: Options) -> Found:
        raise CannotRun("port 80 is taken")


def run(tmp_path: Path, *argv: str, **parts: Any) -> tuple[int, dict[str, Any], str]:
    """Exit status, document and page."""
    status = main([*argv, "--out", str(tmp_path)], parts=parts)
    return status, json.loads((tmp_path / "bench.json").read_text()), (tmp_path / "bench.html").read_text()


def test_without_parts_all_are_measured_and_named_ones_in_their_order():
    assert arguments([]).parts == list(PARTS)
    assert arguments(["queue", "engines", "queue"]).parts == ["engines", "queue"]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["fast"], "no such part: fast"),
        (["lists", "--studies", "10", "5"], "must ascend"),
        (["lists", "--studies", "5", "5"], "must ascend"),
        (["--studies", "0"], "at least 1"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused_in_words(argv, said, capsys):
    with pytest.raises(SystemExit):
        arguments(argv)
    assert said in capsys.readouterr().err


def test_help_names_every_part_and_what_it_measures(capsys):
    with pytest.raises(SystemExit):
        arguments(["--help"])
    said = capsys.readouterr().out
    assert all(f"{name:<10} {part.about}" in said for name, part in PARTS.items())


def test_quick_stops_at_a_hundred_thousand_studies_unless_sizes_are_named():
    assert settled(arguments([])).studies == (1_000, 100_000, 1_000_000)
    assert settled(arguments(["--quick"])).studies == (1_000, 100_000)
    assert settled(arguments(["--quick", "--studies", "10", "2_000_000"])).studies == (10, 2_000_000)


def test_part_that_fails_is_said_and_the_others_go_on(tmp_path, capsys):
    status, document, page = run(tmp_path, "engines", "site", engines=Fails(), site=Works())
    assert status == 1
    assert document["parts"]["engines"]["error"] == "port 80 is taken"
    assert document["parts"]["site"]["ratios"] == [{"what": "this : that", "ratio": 2.0}]
    assert page.count("port 80 is taken") == 2, "in the table of all parts, and in its own place"
    said = capsys.readouterr().out
    assert "cannot run: port 80 is taken" in said
    assert "2.000 ×  this : that" in said


def test_each_part_names_command_machine_and_date(tmp_path):
    status, document, page = run(tmp_path, "site", "--quick", site=Works())
    part = document["parts"]["site"]
    assert status == 0
    assert part["command"] == "python -m bench site --quick"
    assert "cores" in part["machine"]
    assert part["date"].endswith("+00:00")
    for words in (part["command"], part["machine"], part["date"][:10]):
        assert words in page


def test_parts_of_an_earlier_run_stay_with_their_own_command(tmp_path):
    run(tmp_path, "site", "--quick", site=Works())
    _, document, page = run(tmp_path, "queue", queue=Works(3.0))
    assert document["parts"]["site"]["command"] == "python -m bench site --quick"
    assert document["parts"]["queue"]["command"] == "python -m bench queue"
    assert "python -m bench site --quick" in page


@pytest.mark.parametrize(
    "text", ["{", '{"format": 0, "parts": {"queue": {"plots": [7]}}}'], ids=["damaged", "of before"]
)
def test_earlier_results_that_cannot_be_read_are_left_behind(tmp_path, text):
    (tmp_path / "bench.json").write_text(text)
    status, document, _ = run(tmp_path, "site", site=Works())
    assert status == 0
    assert list(document["parts"]) == ["site"]

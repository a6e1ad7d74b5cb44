"""A report is one JSON and one page that need nothing else; its pictures are the same for the same numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from mlcore.training import figures
from mlcore.training.report import Picture, Section, Table, interval, number, render, to_json, write_report

CURVE = {"x": [0, 0.2, 1], "y": [0, 0.9, 1], "point": [0.2, 0.9], "auroc": {"value": 0.9, "low": 0.8, "high": 0.95}}
LOG = [{"epoch": n, "loss": 1 / n, "score": 1 - 0.3 / n} for n in range(1, 5)]
SUMMARY = {
    "flow": [
        {"step": "read", "films": 40, "left_out": {"not of this task": 8}},
        {"step": "of this task", "films": 32, "left_out": {"refused by intake": 2}},
        {"step": "used", "films": 30, "left_out": {}},
    ],
    "splits": {
        split: {"films": 10, "groups": 7, "labels": {"normal": 5, "pneumonia": 5}} for split in ("train", "val", "test")
    },
}
DRAWN = {
    "roc": lambda: figures.roc({"normal": CURVE, "pneumonia": None, "effusion": CURVE}, 3),
    "roc of many": lambda: figures.roc({f"finding_{n}": CURVE for n in range(14)}),
    "reliability": lambda: figures.reliability({"normal": {"x": [0.1, 0.9], "y": [0.2, 0.8], "ece": 0.1}}),
    "confusion": lambda: figures.confusion(["a", "b"], [[3, 0], [0, 0]]),
    "training": lambda: figures.training_curves({"seed 1": LOG, "seed 2": LOG}),
    "forest": lambda: figures.forest(["one", "two"], [0.7, 0.8], [0.6, 0.7], [0.8, 0.9], "AUROC", 0.5),
    "decision": lambda: figures.decision_curve({"a": {"x": [0.1, 0.5], "model": [0.2, 0.1], "all": [0.2, -0.2]}}),
    "sweep": lambda: figures.sweep({"noise": [{"strength": "0", "lines": {"adults": 0.8}}] * 3}),
    "flow": lambda: figures.flow(SUMMARY),
}


@pytest.mark.parametrize("name", DRAWN)
def test_picture_is_one_svg_element_and_the_same_every_time(name: str) -> None:
    svg = DRAWN[name]()
    assert svg == DRAWN[name]()
    assert svg.startswith("<svg")
    assert svg.rstrip().endswith("</svg>")
    assert "<metadata" not in svg


def test_words_in_pictures_stay_words() -> None:
    assert ">Finding 13<" in DRAWN["roc of many"]()


def test_document_is_sorted_and_numpy_becomes_plain() -> None:
    text = to_json({"b": np.float32(0.5), "a": np.arange(2), "c": np.int64(3)})
    assert json.loads(text) == {"a": [0, 1], "b": 0.5, "c": 3}
    assert text.index('"a"') < text.index('"b"')


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("nan")])
def test_number_that_is_none_is_refused(value: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_report(tmp_path / "out", "report", "Title", {"figure": value}, [])
    assert list(tmp_path.glob("out/*")) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.12345, "0.123"), (-0.5, "−0.500"), (12345, "12\N{THIN SPACE}345"), ("x", "x"),
     (np.float32(0.5), "0.500"), (9.99, "9.990"), (17.14, "17.1"), (-171.4, "−171"), (1714.2, "1\N{THIN SPACE}714")],
)  # fmt: skip
def test_cells_read_as_people_write(value: object, text: str) -> None:
    assert number(value) == text


def test_interval_with_a_minus_is_written_out() -> None:
    assert interval({"value": 0, "low": -0.1, "high": 0.2}) == "−0.100 to 0.200"
    assert interval({"value": 0.5, "low": 0.4, "high": 0.6}) == "0.400–0.600"
    assert interval({"value": 0.5}) == ""


def test_page_needs_no_other_file_and_hides_no_markup(tmp_path: Path) -> None:
    table = Table(["", "AUROC"], [["<b>bold</b>", {"value": 0.9, "low": 0.8, "high": 0.95}], ["none", None]], "n = 3")
    picture = Picture(DRAWN["forest"](), "Test split, n = 3", 'a "forest"')
    section = Section("Figures", ["A < B"], [table], [picture])
    write_report(tmp_path / "out", "report", "Title & more", {"a": 1}, [section] * 5)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "&lt;b&gt;bold" in page
    assert "A &lt; B" in page
    assert "Title &amp; more" in page
    assert 'aria-label="a &#34;forest&#34;"' in page
    assert '<span class="i">0.800–0.950</span>' in page
    assert not re.search(r'(src|href)="(?!#)', page)
    assert "<script" not in page
    assert sorted(path.name for path in tmp_path.glob("out/*")) == ["report.html", "report.json"]


def test_column_of_figures_is_set_right_and_text_is_not() -> None:
    page = render("T", [Section("S", [], [Table(["name", "n"], [["a", 1], ["b", None]])])])
    assert '<th scope="col">name</th><th scope="col" class="n">n</th>' in page

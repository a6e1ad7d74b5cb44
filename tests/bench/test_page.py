"""The page and its pictures: one file, in which every figure stands where it belongs."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

import pytest

from bench import plots
from bench.page import write

BARS = plots.bars("Films per second", "films/s", {"the site": 10.0, "<page>": 5.0}, "<page>")
LINES = plots.lines(
    "Time", "studies", "ms", {"films": [(1_000, 20), (100_000, 40)], "patients": [(1_000, 21)]}, log=True
)
PART = {
    "command": "python -m bench site", "date": "2026-11-27T07:00:00+00:00", "machine": "2 cores", "seconds": 9,
    "text": ["How."], "ratios": [{"what": "the site : <page>", "ratio": 2.0}],
    "tables": [{"caption": "All.", "columns": ["", "films/s"], "rows": [["the site", 171.4], ["<page>", None]]}],
    "plots": [BARS, LINES], "missing": [{"what": "PyTorch", "why": "not installed: torch"}], "raw": {},
}  # fmt: skip


def drawn(spec: dict) -> ElementTree.Element:
    """Parsed, so that it is well formed."""
    return ElementTree.fromstring(plots.draw(spec))


def all_of(root: ElementTree.Element, tag: str) -> list[ElementTree.Element]:
    return root.findall(f".//{{http://www.w3.org/2000/svg}}{tag}")


def test_bars_are_as_long_as_their_values():
    site, page = (float(bar.get("width", "")) for bar in all_of(drawn(BARS), "rect"))
    assert site == pytest.approx(2 * page)


def test_bar_that_the_others_are_compared_with_is_grey():
    site, page = (bar.get("fill") for bar in all_of(drawn(BARS), "rect"))
    assert page == plots.SOFT
    assert site != page


def test_lines_rise_with_their_values_and_carry_their_names():
    picture = drawn(LINES)
    first, second, other = all_of(picture, "circle")
    assert float(first.get("cy", "")) > float(second.get("cy", "")), "40 ms lie above 20 ms"
    assert float(first.get("cx", "")) == float(other.get("cx", "")) < float(second.get("cx", ""))
    assert {"films", "patients"} <= {text.text for text in all_of(picture, "text")}


def test_names_at_the_ends_of_lines_do_not_cover_one_another():
    curves = {name: [(1, 5.0), (4, 5.0)] for name in "abc"}
    texts = all_of(drawn(plots.lines("T", "x", "y", curves)), "text")
    places = sorted(float(text.get("y", "")) for text in texts if text.text in curves)
    assert all(after - before >= 15 for before, after in itertools.pairwise(places))


@pytest.mark.parametrize("values", [{}, {"a": 0.0}, {"a": 0.0, "b": 1e-4}])
def test_bars_of_nothing_are_drawn(values):
    assert len(all_of(drawn(plots.bars("T", "s", values)), "rect")) == len(values)


@pytest.mark.parametrize("log", [False, True])
def test_line_of_one_point_is_drawn(log):
    assert len(all_of(drawn(plots.lines("T", "x", "y", {"a": [(3, 7)]}, log)), "circle")) == 1


def test_picture_is_told_in_words_for_who_cannot_see_it():
    assert plots.words(BARS) == "Films per second: the site 10.0 films/s; <page> 5.000 films/s"


def test_page_holds_ratios_tables_pictures_and_what_is_missing_and_asks_for_nothing_else(tmp_path):
    write(tmp_path, {"parts": {"site": PART}})
    page = (tmp_path / "bench.html").read_text()
    assert "the site : &lt;page&gt;" in page
    assert ">171<" in page
    assert "not installed: torch" in page
    assert page.count("<svg") == 2
    assert not re.findall(r"<script|<link|src=|url\(|@import", page)


def test_figure_that_is_no_number_never_becomes_a_page(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write(tmp_path, {"parts": {"site": {**PART, "raw": {"films_per_s": float("nan")}}}})
    assert not list(tmp_path.glob("bench.*"))

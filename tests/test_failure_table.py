"""Every row of the failure table has tests that exist, and every test named after a row stands in it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.failure_table import ROWS, markdown

ROOT = Path(__file__).resolve().parents[1]
IN_NAME = re.compile(r"def (test_[fF]\d+_\w+)")


def test_every_row_has_a_test() -> None:
    assert list(ROWS) == [f"F{number}" for number in range(1, 30)]
    assert [key for key, row in ROWS.items() if not row.tests] == []


def test_every_test_of_the_table_exists() -> None:
    missing = []
    for test in {test for row in ROWS.values() for test in row.tests}:
        file, _, name = test.partition("::")
        if f"def {name}(" not in (ROOT / file).read_text():
            missing.append(test)
    assert missing == []


def test_every_test_named_after_a_row_stands_in_that_row() -> None:
    unlisted = []
    for path in (ROOT / "tests").rglob("test_*.py"):
        for name in IN_NAME.findall(path.read_text()):
            test = f"{path.relative_to(ROOT)}::{name}"
            rows = re.findall(r"[fF]\d+", name.split("_a_")[0])
            unlisted += [f"{test} in {row}" for row in rows if test not in ROWS[row.upper()].tests]
    assert unlisted == []


def test_the_document_shows_the_table_as_it_is() -> None:
    assert markdown() in (ROOT / "docs" / "reliability.md").read_text()

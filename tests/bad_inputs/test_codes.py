"""The bad-input table against the codes: each has a row, a test elsewhere that names it, or a reason."""

from __future__ import annotations

from pathlib import Path

import diagnosis.errors  # noqa: F401  joins the image codes to the table
from patients.errors import CODES
from tests.bad_inputs.table import ROWS
from tests.bad_inputs.test_faults import FAULTS

TESTS = Path(__file__).resolve().parents[1]
#: Codes that no test names, and why.
UNNAMED = {
    "account_locked": "a page of the sign-in, whose sentence tests/accounts/test_sign_in.py holds",
    "model_unavailable": "shown on the page of a film that no model can read; no request is refused for it",
    "quality_unusual": "said by the gate's network of films unlike all it has seen; tests/mlcore/test_quality_rates.py",
}
HELD = {row.code for row in ROWS} | {fault.code for fault in FAULTS} | {"processing_delayed"}


def test_every_code_has_a_row_or_a_test_that_names_it_or_a_reason():
    elsewhere = "".join(
        path.read_text() for path in TESTS.rglob("test_*.py") if path.parent.name not in ("bad_inputs", "mlcore")
    )
    gates = "".join(path.read_text() for path in (TESTS / "mlcore").glob("test_quality*.py"))
    named = {code for code in CODES if f'"{code}"' in elsewhere + gates}
    assert CODES.keys() - HELD - named - UNNAMED.keys() == set()


def test_no_row_expects_a_code_that_is_not_in_the_table():
    assert (HELD | UNNAMED.keys()) - CODES.keys() == {""}

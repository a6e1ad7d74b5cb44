"""The bad-input table against the table of codes: a new code needs a row, or the file of the test that holds it."""

from __future__ import annotations

from pathlib import Path

import pytest

import diagnosis.errors  # noqa: F401  joins the image codes to the table
from patients.errors import CODES
from tests.bad_inputs.table import ROWS
from tests.bad_inputs.test_faults import FAULTS

ROOT = Path(__file__).resolve().parents[2]
#: Codes that no bad upload or body brings out, and where they are tested.
ELSEWHERE = {
    "processing_delayed": "tests/bad_inputs/test_faults.py",
    "processing_failed": "tests/diagnosis/test_prepare.py",
    "mfa_required": "tests/accounts/test_sign_in.py",
    "reauthentication_required": "tests/accounts/test_stepup.py",
    "not_acceptable": "tests/api/test_access.py",
    "identifier_taken": "tests/api/test_patients.py",
    "patient_signed": "tests/patients/test_services.py",
    "job_not_retriable": "tests/api/test_reads.py",
    "job_not_cancellable": "tests/api/test_reads.py",
    "worker_lost": "tests/diagnosis/test_workers.py",
    "image_integrity": "tests/diagnosis/test_prepare.py",
    "result_refused": "tests/diagnosis/test_infer.py",
    "model_active": "tests/diagnosis/test_models.py",
    "model_not_usable": "tests/diagnosis/test_models.py",
    "no_model_before": "tests/diagnosis/test_models.py",
    "quality_rotated": "tests/mlcore/test_quality.py",
    "quality_exposure": "tests/mlcore/test_quality.py",
    "quality_low_contrast": "tests/mlcore/test_quality.py",
    "quality_inverted": "tests/mlcore/test_quality.py",
    "quality_cropped": "tests/mlcore/test_quality_rates.py",
}
#: Codes that nothing can bring out in a test, with the reason.
UNREACHED = {
    "account_locked": "a page of the sign-in, whose sentence tests/accounts/test_sign_in.py holds",
    "model_unavailable": "shown on the page of a film that no model can read; no request is refused for it",
    "quality_unusual": "said by the gate's network of films unlike all it has seen; tests/mlcore/test_quality_rates.py",
}
HELD = {row.code for row in ROWS} | {fault.code for fault in FAULTS} - {""}


def test_every_code_has_a_row_or_a_test_elsewhere_or_a_reason():
    assert CODES.keys() - HELD - ELSEWHERE.keys() - UNREACHED.keys() == set()
    assert (HELD | ELSEWHERE.keys() | UNREACHED.keys()) - CODES.keys() == {""}


@pytest.mark.parametrize(("code", "file"), ELSEWHERE.items())
def test_the_test_elsewhere_names_the_code(code, file):
    assert f'"{code}"' in (ROOT / file).read_text()

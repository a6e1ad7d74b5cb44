"""What a reader does with a report, each step from the row as it is now.

May import: pytest, `diagnosis`, `patients`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from diagnosis.models import Report
from diagnosis.services import reporting
from patients.errors import ApplicationError


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(ApplicationError) as refusal, transaction.atomic():
        call()
    return refusal.value.code


def save(report: Report, user: Any, **texts: str) -> Report:
    report.refresh_from_db()
    return reporting.draft_save(user=user, report=report, version=report.version, **texts)


def decide(report: Report, user: Any, label: str, verdict: str, reason: str = "") -> Report:
    report.refresh_from_db()
    return reporting.finding_decide(
        user=user, report=report, version=report.version, label=label, verdict=verdict, reason=reason
    )


def sign(report: Report, user: Any) -> Report:
    report.refresh_from_db()
    return reporting.report_sign(user=user, report=report, version=report.version)


def signed(report: Report, user: Any, verdict: str = "accepted") -> Report:
    """The report, with its one positive finding decided and an impression, signed."""
    decide(report, user, "pneumonia", verdict, "artefact" if verdict == "rejected" else "")
    save(report, user, impression="Pneumonia.")
    return sign(report, user)

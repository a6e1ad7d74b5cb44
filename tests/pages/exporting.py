"""Signed reports to be taken out, the form that asks for them, and what comes back.

May import: `diagnosis`, `patients`, `tests.factories`.
"""

from __future__ import annotations

import csv
import io
from datetime import timedelta

from diagnosis.models import Radiograph, ReportExport
from patients.models import AuditEvent
from tests import factories

URL = "/exports/"
REASON = "Teaching on Friday: what the model misses"


def decided(patient, reader, signed_at=None):
    verdicts = {"pneumonia": "accepted", "effusion": "absent", "nodule": "added"}
    report = factories.decided_study_make(patient, reader, verdicts, signed_at=signed_at)
    report.study.accession_number = f"ACC-{report.study.pk}"
    report.study.acquired_at = report.signed_at - timedelta(days=2)
    report.study.save()
    Radiograph.objects.filter(study=report.study).update(view="PA")
    return report


def asked(at, **told):
    days = {"first": str(at.today), "last": str(at.today)}
    return {"clinic": str(at.pk), "reason": REASON} | days | told


def lines(answer) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.content.decode()
    assert answer["Content-Type"].startswith("text/csv"), answer.content.decode()
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


def refused(answer, words: str) -> None:
    assert answer.status_code in (400, 409)
    assert answer["Content-Type"].startswith("text/html")
    assert words in " ".join(answer.content.decode().split())
    assert not ReportExport.objects.exists()
    assert not AuditEvent.objects.filter(verb="export_reports").exists()

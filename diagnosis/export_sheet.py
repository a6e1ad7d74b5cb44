"""Signed reports as a table, one line per study and finding. No name and no picture; no probability without its model
and threshold.

May import: `diagnosis.models`, `.reports`, `patients`. Takes what `diagnosis.services.report_export` read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from diagnosis.models import Finding, Radiograph, Report, ReportedFinding
from diagnosis.reports import decision_title
from patients.models import Patient
from patients.text import harmless_cell

COLUMNS = (
    *("patient number (MRN)", "birth year", "sex", "accession number", "study date", "view"),
    *("report status", "signed by", "signed at"),
    *("finding", "model", "calibrated probability", "threshold", "word", "radiologist's verdict"),
)


def sheet_bytes(reports: Iterable[Report], zone: ZoneInfo) -> bytes:
    """The file, for spreadsheets too: no cell is a formula. Days and times are those of `zone`."""
    text = io.StringIO(newline="")
    text.write("\ufeff")  # without it spreadsheets take the text for another encoding
    sheet = csv.writer(text)
    sheet.writerow(COLUMNS)
    sheet.writerows([harmless_cell(cell) for cell in row] for row in _rows(reports, zone))
    return text.getvalue().encode()


def _rows(reports: Iterable[Any], zone: ZoneInfo) -> Iterator[list[str]]:
    for report in reports:
        study, films = report.study, report.study.radiographs.all()
        views = sorted({film.view for film in films if film.state == Radiograph.State.READY})
        patient = [_number(study.patient), str(study.patient.birth_year), study.patient.sex]
        signed = [report.get_status_display(), report.signed_by.display_name, _moment(report.signed_at, zone)]
        for decision in report.decisions.all() or [None]:
            finding = decision.finding if decision else None
            view = finding.prediction.radiograph.view if finding else " ".join(views)
            yield [
                *(*patient, study.accession_number, _moment(report.day, zone)[:10], view, *signed),
                *(decision_title(decision) if decision else "", *_said(finding), _verdict(decision)),
            ]


def _number(patient: Patient) -> str:
    """The clinic's own number, else another with its system."""
    numbers = list(patient.identifiers.all())
    own = [each.value for each in numbers if each.system == "MRN"]
    return next(iter(own), "") or next((f"{each.system} {each.value}" for each in numbers), "")


def _said(finding: Finding | None) -> list[str]:
    """Model, calibrated probability, threshold and word: all of them or none."""
    if finding is None:
        return ["", "", "", ""]
    numbers = [f"{finding.calibrated:.4f}", f"{finding.threshold:.4f}"]
    return [finding.prediction.model_version.reference, *numbers, finding.get_word_display()]


def _verdict(decision: ReportedFinding | None) -> str:
    if decision is None:
        return ""
    return ": ".join(filter(None, (decision.get_verdict_display(), decision.get_reason_display())))


def _moment(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).isoformat(timespec="seconds")

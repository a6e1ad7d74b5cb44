"""A signed report in the words that stand on paper; `diagnosis.pdf` lays them out.

May import: Django, `diagnosis.models`, `.reports`, `.storage`, `.templatetags.pages`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.formats import date_format

from diagnosis import storage
from diagnosis.models import Report
from diagnosis.pdf import MachineLine, Sheet
from diagnosis.reports import MachineRow, models_of
from diagnosis.templatetags.pages import mrn_first, percent


def sheet_of(study: Any, report: Report, machine: Sequence[MachineRow]) -> Sheet:
    """The sheet of a study (of `selectors.study_read`) with its signed report and what its reader may see of the model.

    Raises `image_integrity` where the stored film is damaged.
    """
    zone = study.clinic.time_zone
    signer = report.signed_by
    amended = report.amendment_reason
    return Sheet(
        clinic=study.clinic.name,
        patient=study.patient.name,
        person=_person(study.patient),
        examination=_examination(study),
        indication=study.indication and f"Why taken: {study.indication}",
        conclusion=report.impression,
        findings=report.findings_text,
        signature=f"{signer.get_full_name() or signer.get_username()}, registration number "
        f"{report.registration_number}, {_moment(report.signed_at, zone)} ({zone})",
        amendment=f"Amended report; it takes the place of an earlier one because: {amended}" if amended else "",
        machine=[MachineLine(row.title, _model_words(row), f"radiologist {row.said}") for row in machine],
        model=_model_line(machine),
        origin=f"Study {study.pk} · report {report.pk}",
        film=_film(study),
    )


def _person(patient: Any) -> str:
    numbers = [f"{each.system} {each.value}" for each in mrn_first(patient.identifiers.all())]
    born = date_format(patient.birth_date, "j F Y") if patient.birth_date else str(patient.birth_year)
    sex = [] if patient.sex == "unknown" else [patient.get_sex_display().lower()]
    return " · ".join([*numbers, f"born {born}", *sex])


def _examination(study: Any) -> str:
    word, moment = ("taken", study.acquired_at) if study.acquired_at else ("received", study.created_at)
    parts = [f"Chest X-ray {word} {_moment(moment, study.clinic.time_zone, 'j F Y')}"]
    if study.accession_number:
        parts.append(f"accession {study.accession_number}")
    return " · ".join(parts)


def _model_words(row: MachineRow) -> str:
    finding = row.finding
    if finding is None:
        return "does not know this finding"
    return f"{finding.word}, {percent(finding.calibrated)} (threshold {percent(finding.threshold)})"


def _model_line(machine: Sequence[MachineRow]) -> str:
    """Every model version that spoke, and the threshold of each of its findings."""
    lines = []
    for model in models_of(machine):
        own = [row for row in machine if row.finding and row.finding.prediction.model_version == model]
        thresholds = ", ".join(f"{row.title} {percent(row.finding.threshold)}" for row in own if row.finding)
        lines.append(f"Model {model.name} {model.version}, weights {model.sha256[:8]}. Thresholds: {thresholds}.")
    return " ".join(lines)


def _film(study: Any) -> Path | None:
    """The first film that the reader may see."""
    film = next((each for each in study.films if each.image_visible and each.display_key), None)
    if film is None:
        return None
    storage.derived_verify(film.display_key)
    return Path(storage.path_of(film.display_key))


def _moment(moment: datetime | None, zone: str, form: str = "j F Y, H:i") -> str:
    return date_format(moment.astimezone(ZoneInfo(zone)), form) if moment else ""

"""A signed report in the words that stand on paper; `diagnosis.pdf` lays them out.

May import: `diagnosis.models`, `.phrases`, `.reports`, `.selectors`, `.storage`, `.templatetags.pages`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from diagnosis import selectors, storage
from diagnosis.models import Report, ReportedFinding
from diagnosis.phrases import Phrases, day_in, moment_in
from diagnosis.reports import MachineRow, models_of
from diagnosis.templatetags.pages import mrn_first, percent


@dataclass(frozen=True, slots=True)
class MachineLine:
    """One line of the model's opinion, in words."""

    title: str
    model: str
    reader: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """Everything that stands on the paper, around it the `frame` of `diagnosis.phrases`. `film` is a picture's path,
    `film_name` which of several it is; `machine` is empty where it may not be seen."""

    frame: Mapping[str, str]
    clinic: str
    patient: str
    person: str
    examination: str
    indication: str
    conclusion: str
    findings: str
    signature: str
    amendment: str
    machine: Sequence[MachineLine]
    model: str
    origin: str
    film: Path | None
    film_name: str


def sheet_of(study: Any, report: Report, machine: Sequence[MachineRow], phrases: Phrases) -> Sheet:
    """The sheet of a study (of `selectors.study_read`) with its signed report and what its reader may see of the model.
    What people wrote stands as they wrote it; the rest is in the language of `phrases`.

    Raises `image_integrity` where the stored film is damaged.
    """
    zone, frame = study.clinic.time_zone, phrases.frame
    signer, signed_at = report.signed_by, report.signed_at
    assert signer is not None, "the database gives every signed report both"
    assert signed_at is not None
    amended = report.amendment_reason
    names = selectors.film_names(study.films, frame["film"])
    film = next((each for each in study.films if each.image_visible and each.display_key), None)
    return Sheet(
        frame=frame,
        clinic=study.clinic.name,
        patient=study.patient.name,
        person=_person(study.patient, phrases),
        examination=_examination(study, phrases),
        indication=frame["why"].format(text=study.indication) if study.indication else "",
        conclusion=report.impression,
        findings=report.findings_text,
        signature=frame["signature"].format(
            name=signer.display_name,
            number=report.registration_number,
            moment=moment_in(phrases, signed_at.astimezone(ZoneInfo(zone))),
            zone=zone,
        ),
        amendment=frame["amended"].format(reason=amended) if amended else "",
        machine=[
            MachineLine(_title(row, phrases), _model_words(row, phrases, names), _said(row, phrases)) for row in machine
        ],
        model=_model_line(machine, phrases),
        origin=frame["origin"].format(study=study.pk, report=report.pk),
        film=_picture(film) if film else None,
        film_name=names.get(film.pk, "") if film else "",
    )


def _person(patient: Any, phrases: Phrases) -> str:
    numbers = [f"{each.system} {each.value}" for each in mrn_first(patient.identifiers.all())]
    born = day_in(phrases, patient.birth_date) if patient.birth_date else str(patient.birth_year)
    sex = [] if patient.sex == "unknown" else [phrases.frame[patient.sex]]
    return " · ".join([*numbers, phrases.frame["born"].format(day=born), *sex])


def _examination(study: Any, phrases: Phrases) -> str:
    word, moment = ("taken", study.acquired_at) if study.acquired_at else ("received", study.created_at)
    day = day_in(phrases, moment.astimezone(ZoneInfo(study.clinic.time_zone)))
    parts = [phrases.frame[word].format(day=day)]
    if study.accession_number:
        parts.append(phrases.frame["accession"].format(number=study.accession_number))
    return " · ".join(parts)


def _title(row: MachineRow, phrases: Phrases) -> str:
    """In English as the model's card writes it."""
    known = phrases.findings.get(row.decision.label) if phrases.locale != "en" else None
    return known[0] if known else row.title


def _model_words(row: MachineRow, phrases: Phrases, names: Mapping[UUID, str]) -> str:
    """With the name of the film that it is said of, where there are several."""
    finding = row.finding
    if finding is None:
        return phrases.frame["unknown"]
    numbers = {"percent": percent(finding.calibrated), "threshold": percent(finding.threshold)}
    said = phrases.frame["said"].format(word=phrases.words[finding.word], **numbers)
    name = names.get(finding.prediction.radiograph_id)
    return f"{said} · {name}" if name else said


def _said(row: MachineRow, phrases: Phrases) -> str:
    verdict = row.decision.verdict
    against = "_against" if verdict == ReportedFinding.Verdict.ADDED and row.finding else ""
    reason = phrases.reasons.get(row.decision.reason, "")
    return phrases.frame[f"{verdict}{against}"].format(reason=reason)


def _model_line(machine: Sequence[MachineRow], phrases: Phrases) -> str:
    """Every model version that spoke, and the threshold of each of its findings."""
    lines = []
    for model in models_of(machine):
        own = [row for row in machine if row.finding and row.finding.prediction.model_version == model]
        thresholds = ", ".join(f"{_title(row, phrases)} {percent(row.finding.threshold)}" for row in own if row.finding)
        said = {"model": f"{model.name} {model.version}", "weights": model.sha256[:8], "thresholds": thresholds}
        lines.append(phrases.frame["model"].format(**said))
    return " ".join(lines)


def _picture(film: Any) -> Path:
    storage.derived_verify(film.display_key)
    return Path(storage.path_of(film.display_key))

"""Films of patients who agreed, with the labels of signed reports, as a training set that `mlcore.training` reads.

One folder: `manifest.csv`, `films/`, `card.json`. Pictures are the display copies: the pixels that decoding gave, as
the network sees them, and nothing beside them. Names are keyed hashes whose key is thrown away, so they differ in each
export and lead nowhere. May import: Django, `diagnosis.models`, `.storage`, `mlcore.header`, `mlcore.training.formats`,
`patients`. `manage.py export_training_set` calls it.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import json
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from diagnosis import storage
from diagnosis.models import Radiograph, Report, ReportedFinding
from diagnosis.querysets import SIGNED
from mlcore.contracts import ImageRefusedError
from mlcore.header import inspect_header
from mlcore.training.films import Film
from mlcore.training.formats import DRAWN_SHARES, MANIFEST, class_of, drawn
from patients import access
from patients.access import Action
from patients.audit import audit_record
from patients.consents import Purpose
from patients.errors import ApplicationError
from patients.models import AuditEvent, Clinic, Consent, Patient, User
from patients.models import Purpose as Use
from patients.querysets import consent_permits

#: A film has a class where the report decides on both of these; with neither of them and nothing else it is normal.
ASKED = frozenset({"pneumonia", "effusion"})
UNDECIDED = "undecided"
#: Whole years of age from, up to and including; what is older is not told apart.
AGE_BANDS = ((0, 1), (2, 4), (5, 9), (10, 17), *((first, first + 9) for first in range(18, 88, 10)))
COLUMNS = (*MANIFEST, "labels", "absent", "patient_id_known", "age_band", "sex", "view")
_CHUNKS = {b"IHDR", b"IDAT", b"IEND"}
_SEX = {Patient.Sex.FEMALE: "F", Patient.Sex.MALE: "M"}

NOTES = (
    "labels: the findings that the signed report calls present; absent: those it calls absent; of any other nothing is "
    "known, and a reader must not take it for absent.",
    "label: a class where the report decides on pneumonia and on effusion; normal means that it finds neither, and "
    "nothing else. undecided: something is present, and one of the two is not decided on.",
    "A report is about a study; each of its films carries the labels of the whole.",
    "group_id: one patient of one clinic; a patient of two clinics is two groups. The split is drawn by "
    "group and may be drawn again.",
    "Ages are bands and stand in age_band; the column age, which the reader takes for years, is not written.",
    "The pictures are the films themselves: whoever holds an original recognises its copy.",
)


@dataclass(frozen=True, slots=True)
class Labelled:
    """One film that may go out, with what the report in force says."""

    film: Radiograph
    present: frozenset[str]
    absent: frozenset[str]
    label: str


@dataclass(slots=True)
class Selection:
    """The films that may go out, and how many may not, by reason."""

    films: list[Labelled] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def patients(self) -> list[Patient]:
        return list({each.film.study.patient: None for each in self.films})

    def counts(self) -> dict[str, Any]:
        """Films, patients, per finding how many films have it and have it not, classes, and what is left out."""
        present = Counter(label for each in self.films for label in each.present)
        absent = Counter(label for each in self.films for label in each.absent)
        return {
            "films": len(self.films),
            "patients": len(self.patients),
            "findings": {
                label: {"present": present[label], "absent": absent[label]} for label in sorted(present | absent)
            },
            "classes": dict(sorted(Counter(each.label for each in self.films).items())),
            "left_out": dict(sorted(self.left_out.items())),
        }


def training_select(*, user: User, clinics: Sequence[Clinic], burned_in_checked: bool = False) -> Selection:
    """What may go out of these clinics now; every film of theirs is either in it or counted as left out.

    With `burned_in_checked` somebody vouches that no text of a person stands in films whose file does not say so.
    Raises `permission_denied` unless the user may take de-identified data out of each of the clinics.
    """
    for clinic in clinics:
        access.require_at(user, Action.EXPORT_DEIDENTIFIED, clinic)
    selection = Selection()
    films = Radiograph.objects.filter(clinic__in=clinics).select_related("study__patient", "clinic")
    films = films.annotate(permitted=consent_permits(Purpose.TRAINING, "study__patient")).order_by("created_at", "id")
    reports = _reports_in_force(clinics)
    for film in films.iterator(chunk_size=500):
        labelled = _labelled(film, reports.get(film.study_id), burned_in_checked=burned_in_checked)
        if isinstance(labelled, str):
            selection.left_out[labelled] += 1
        else:
            selection.films.append(labelled)
    return selection


def training_export(
    *, user: User, clinics: Sequence[Clinic], folder: Path, burned_in_checked: bool = False
) -> Selection:
    """Write what `training_select` gives into `folder`, which must not exist; it appears whole or not at all.

    The audit of every clinic and patient concerned is written before the folder appears. Raises as `training_select`;
    `consent_changed` where somebody withdrew meanwhile; OSError where the folder cannot be written.
    """
    selection = training_select(user=user, clinics=clinics, burned_in_checked=burned_in_checked)
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    partial.mkdir(parents=True)
    try:
        manifest = _films_write(partial, selection)
        card = _card(user, clinics, selection) | {"manifest_sha256": manifest}
        (partial / "card.json").write_text(json.dumps(card, indent=1))
        with transaction.atomic():
            _require_consent(selection)
            _record(user, clinics, selection, manifest)
        os.rename(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return selection


# --- which films


def _reports_in_force(clinics: Iterable[Clinic]) -> dict[Any, Report]:
    signed = Report.objects.filter(status__in=SIGNED)
    superseded = signed.filter(supersedes__isnull=False).order_by().values("supersedes")
    reports = signed.filter(study__clinic__in=clinics).exclude(pk__in=superseded).prefetch_related("decisions")
    return {report.study_id: report for report in reports}


def _labelled(film: Any, report: Report | None, *, burned_in_checked: bool) -> Labelled | str:
    """The film with its labels, or why it is left out."""
    if not film.permitted:
        return "no consent to training"
    if film.state != Radiograph.State.READY:
        return "not usable as a film"
    if not film.display_key:
        return "picture no longer kept"
    if report is None or report.signed_at is None:
        return "no signed report"
    if film.created_at > report.signed_at:
        return "came after the report"
    present, absent = _said(report)
    label = _label(present, absent)
    if not label:
        return "nothing decided in the report"
    if reason := _text_in_pixels(film, burned_in_checked):
        return reason
    return Labelled(film, present, absent, label)


def _said(report: Report) -> tuple[frozenset[str], frozenset[str]]:
    """(present, absent) by the report's decisions; what could not be decided is neither."""
    decisions = [each for each in report.decisions.all() if each.reason != ReportedFinding.Reason.NOT_DECIDABLE]
    present = {each.label for each in decisions if each.is_present}
    if any(label.endswith("_pneumonia") for label in present):
        present.add("pneumonia")
    return frozenset(present), frozenset({each.label for each in decisions if not each.is_present} - present)


def _label(present: frozenset[str], absent: frozenset[str]) -> str:
    decided = present | absent >= ASKED
    if not present:
        return "normal" if decided else ""
    return class_of(present) if decided else UNDECIDED


def _text_in_pixels(film: Radiograph, checked: bool) -> str:
    """Why the film may show who it is, or nothing."""
    try:
        with storage.path_of(storage.original_key(film.sha256)).open("rb") as stream:
            burned_in = inspect_header(stream)[0].burned_in
    except (OSError, ImageRefusedError):
        return "original missing or damaged"
    if burned_in == "YES":
        return "text in the picture (BurnedInAnnotation)"
    return "" if burned_in == "NO" or checked else "text in the picture not ruled out"


# --- the folder


def _films_write(folder: Path, selection: Selection) -> str:
    """Pictures and manifest; the manifest's sha256. A picture that is damaged or carries more than pixels stays out."""
    (folder / "films").mkdir()
    key = secrets.token_bytes(32)
    rows: dict[str, dict[str, str]] = {}
    films: list[Film] = []
    kept = []
    for each in selection.films:
        picture = _picture(each.film)
        if picture is None:
            selection.left_out["picture missing or damaged"] += 1
            continue
        kept.append(each)
        name, patient = _pseudonym(key, each.film.pk), _pseudonym(key, each.film.study.patient_id)
        path = folder / "films" / f"{name}.png"
        path.write_bytes(picture)
        sha256 = hashlib.sha256(picture).hexdigest()
        rows[name] = _row(each, name, patient, sha256)
        films.append(Film(path, each.label, "train", patient, each.film.clinic.code, "", sha256))
    selection.films = kept
    for film in drawn(films, DRAWN_SHARES):
        rows[film.path.stem]["split"] = film.split
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows[name] for name in sorted(rows))  # by pseudonym: the order of arrival is not told
    return hashlib.sha256((folder / "manifest.csv").read_bytes()).hexdigest()


def _row(each: Labelled, name: str, patient: str, sha256: str) -> dict[str, str]:
    film, person = each.film, each.film.study.patient
    return {
        "file": f"films/{name}.png",
        "label": each.label,
        "group_id": patient,
        "source_dataset": film.clinic.code,
        "source_repo": "signed reports",
        "sha256": sha256,
        "labels": "|".join(sorted(each.present)),
        "absent": "|".join(sorted(each.absent)),
        "patient_id_known": "1",
        "age_band": _age_band((film.study.acquired_at or film.created_at).year - person.birth_year),
        "sex": _SEX.get(Patient.Sex(person.sex), ""),
        "view": film.view if film.view != Radiograph.View.UNKNOWN else "",
    }


def _age_band(years: int) -> str:
    if years < 0:  # taken before the birth: one of the two is wrong
        return ""
    return next((f"{first}-{last}" for first, last in AGE_BANDS if first <= years <= last), f"{AGE_BANDS[-1][1] + 1}+")


def _pseudonym(key: bytes, row: object) -> str:
    return hmac.new(key, str(row).encode(), hashlib.sha256).hexdigest()[:24]


def _picture(film: Radiograph) -> bytes | None:
    """The display copy, proved whole and to be nothing but pixels."""
    try:
        storage.derived_verify(film.display_key)
        picture = storage.path_of(film.display_key).read_bytes()
    except ApplicationError as error:
        if error.code != "image_integrity":
            raise
        return None
    return picture if set(_chunks(picture)) <= _CHUNKS else None


def _chunks(png: bytes) -> Iterator[bytes]:
    place = 8
    while place + 8 <= len(png):
        yield png[place + 4 : place + 8]
        place += 12 + int.from_bytes(png[place : place + 4], "big")


def _card(user: User, clinics: Sequence[Clinic], selection: Selection) -> dict[str, Any]:
    """Who took what out when, on which consent, and how it must be read. Nothing of a single patient."""
    given = Consent.objects.filter(purpose=Purpose.TRAINING, patient__in=selection.patients)
    newest = given.order_by("patient_id", "-given_on", "-recorded_at").distinct("patient_id")
    return {
        "format": "cxr training set 1",
        "made_at": timezone.now().isoformat(timespec="seconds"),
        "made_by": user.get_username(),
        "clinics": [clinic.code for clinic in clinics],
        **selection.counts(),
        "consent": {
            "purpose": Purpose.TRAINING.value,
            "patients_by_text_version": dict(sorted(Counter(each.text_version for each in newest).items())),
            "patients_by_how": dict(sorted(Counter(each.given_how for each in newest).items())),
        },
        "notes": list(NOTES),
    }


# --- consent and record


def _require_consent(selection: Selection) -> None:
    """At the last moment, in the transaction of the record."""
    ids = [patient.pk for patient in selection.patients]
    agreeing = Patient.objects.filter(consent_permits(Purpose.TRAINING), pk__in=ids)
    if agreeing.count() != len(ids):
        raise ApplicationError("consent_changed")


def _record(user: User, clinics: Sequence[Clinic], selection: Selection, manifest: str) -> list[AuditEvent]:
    """One event for each clinic with what went out, one for each patient for their access report."""
    events = []
    for clinic in clinics:
        films = [each for each in selection.films if each.film.clinic_id == clinic.pk]
        patients = {each.film.study.patient: None for each in films}
        what = {"films": ["", str(len(films))], "patients": ["", str(len(patients))], "manifest": ["", manifest]}
        events.append(
            audit_record(
                user=user, verb="export_training", target=clinic, clinic=clinic, changes=what, purpose=Use.RESEARCH
            )
        )
        events += [
            audit_record(
                user=user,
                verb="export_training",
                target=patient,
                clinic=clinic,
                patient=patient,
                changes={"manifest": ["", manifest]},
                purpose=Use.RESEARCH,
            )
            for patient in patients
        ]
    return events

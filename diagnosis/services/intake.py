"""Takes a film in: checks, one durable file, one transaction with study, film, job and audit, then a hint.

May import: Django, `diagnosis.models`, `.storage`, `.services`, `mlcore.header`, `patients`. Reads headers only; the
committed Job(prepare) hands the film on to `diagnosis.services.prepare`.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

import diagnosis.errors  # noqa: F401  joins the image codes to the table
from diagnosis import storage
from diagnosis.models import Job, ModelVersion, Radiograph, Study, UploadKey
from diagnosis.services.consent import film_take_permitted
from diagnosis.services.identity import patient_check
from diagnosis.services.merging import require_not_merged
from diagnosis.services.queue import DATABASE_AWAY, PRIORITY, hint_publish
from diagnosis.services.reading import reading_open
from diagnosis.services.retention import expired_refuse
from mlcore.contracts import HeaderFacts, ImageRefusedError
from mlcore.header import inspect_header
from patients import access
from patients.access import Action
from patients.audit import audit_record
from patients.errors import ApplicationError, error_sentence
from patients.locks import lock_try, lock_wait
from patients.models import Clinic, Patient, User
from patients.text import clean_text

log = logging.getLogger("diagnosis.intake")

#: What the database refuses when two requests race past the checks, as people read it.
_RACES = {
    "accession_once_per_clinic": "accession_taken",
    "sop_instance_once_per_clinic": "dicom_instance_conflict",
}


class Upload(Protocol):
    """A received file, as `diagnosis.uploads` hands it over."""

    name: str | None
    content_type: str | None
    size: int
    sha256: str

    def temporary_file_path(self) -> str: ...


@dataclass(frozen=True)
class IntakeResult:
    """What became of an upload. `created` is False for a replay of the same request and for bytes that were there;
    `only_job` is the film's, where its study came with it and so has no other.

    `warnings` are `{code, message}`, with `processing_delayed` when no worker could be told.
    """

    radiograph: Radiograph
    created: bool
    only_job: Job | None = None
    replayed: bool = False
    duplicate: bool = False
    warnings: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class _Film:
    """One checked upload on its way into the database. `study` may not be stored yet; `for_model` says that the patient
    agrees to a model's reading it."""

    user: User
    study: Study
    upload: Upload
    view: str
    key: str
    for_model: bool
    facts: HeaderFacts
    fingerprint: str


def study_create(
    *,
    user: User,
    patient: Patient,
    upload: Upload | None,
    view: str = Radiograph.View.UNKNOWN,
    indication: str = "",
    urgency: str = Study.Urgency.ROUTINE,
    accession_number: str = "",
    referring_doctor: User | None = None,
    source: str = "web",
    idempotency_key: str = "",
    declared_sha256: str = "",
) -> IntakeResult:
    """A new study of the patient with one film, durable when this returns; the same film again adds nothing.

    Every refusal is an ApplicationError with a code of the table and leaves an audit event and no job. `patient`
    is one that the user may see. With `idempotency_key` a repeated request gives the first one's film.
    """
    with _refusals_recorded(user, patient):
        access.require_at(user, Action.STUDY_UPLOAD, patient.clinic)
        study = Study(
            patient=patient,
            clinic=patient.clinic,
            indication=clean_text(_one_line(indication), field="indication", limit=500),
            urgency=_choice(urgency, Study.Urgency.values, "urgency"),
            accession_number=clean_text(accession_number, field="accession_number", limit=64),
            referring_doctor=_doctor(referring_doctor, patient.clinic),
            source=source,
            created_by=user,
        )
        return _film_take(user, study, upload, view, idempotency_key, declared_sha256)


def radiograph_add(
    *,
    user: User,
    study: Study,
    upload: Upload | None,
    view: str = Radiograph.View.UNKNOWN,
    source: str = "web",
    idempotency_key: str = "",
    declared_sha256: str = "",
) -> IntakeResult:
    """One more film for a study that exists and that the user may see; otherwise as `study_create`. The study keeps the
    source of its first film."""
    with _refusals_recorded(user, study.patient):
        access.require_at(user, Action.STUDY_UPLOAD, study.clinic)
        return _film_take(user, study, upload, view, idempotency_key, declared_sha256)


# --- checks before anything is kept


@contextmanager
def _refusals_recorded(user: User, patient: Patient) -> Iterator[None]:
    """Whatever is refused leaves an audit event of its own, after the rollback."""
    try:
        yield
    except DATABASE_AWAY as error:
        raise ApplicationError("temporarily_unavailable") from error
    except ApplicationError as error:
        audit_record(user=user, verb="upload", clinic=patient.clinic, patient=patient, outcome=error.code)
        raise


def _choice(value: str, allowed: list[str], field: str) -> str:
    if value not in allowed:
        raise ApplicationError("invalid_parameter", field=field, allowed=", ".join(allowed))
    return value


def _doctor(doctor: User | None, clinic: Clinic) -> User | None:
    if doctor is None or access.active_memberships(doctor).filter(role=access.DOCTOR, clinic=clinic).exists():
        return doctor
    raise ApplicationError("invalid_parameter", field="referring_doctor", allowed="referring doctors of the clinic")


def _film_take(
    user: User, study: Study, upload: Upload | None, view: str, key: str, declared_sha256: str
) -> IntakeResult:
    for_model = film_take_permitted(study.patient, study.urgency)
    if upload is None:
        raise ApplicationError("file_missing")
    if declared_sha256 and declared_sha256.strip().lower() != upload.sha256:
        raise ApplicationError("checksum_mismatch")
    film = _Film(
        user=user,
        study=study,
        upload=upload,
        view=_choice(view, Radiograph.View.values, "view"),
        key=clean_text(key, field="Idempotency-Key", limit=255),
        for_model=for_model,
        facts=_inspect(upload, study.patient),
        fingerprint=_fingerprint(study, upload, view),
    )
    result = _film_commit(film)
    if result.created and not hint_publish(Job.Kind.PREPARE, enough=settings.PREPARE_CONCURRENCY):
        sentence = error_sentence("processing_delayed")
        result.warnings.append({"code": "processing_delayed", "message": sentence})
    return result


def _inspect(upload: Upload, patient: Patient) -> HeaderFacts:
    try:
        with Path(upload.temporary_file_path()).open("rb") as stream:
            facts, identity = inspect_header(stream, name=upload.name or "", content_type=upload.content_type or "")
    except ImageRefusedError as refusal:
        raise ApplicationError(refusal.code, fields=None, **refusal.params) from refusal
    except OSError as error:
        raise ApplicationError("storage_unavailable") from error
    patient_check(patient, identity)
    return facts


def _one_line(text: str) -> str:
    """What was typed into a box of several lines."""
    return text.replace("\r\n", " ").replace("\n", " ") if isinstance(text, str) else text


def _fingerprint(study: Study, upload: Upload, view: str) -> str:
    """Hash of everything the request says; the same key must come with the same."""
    said = [str(study.patient_id), upload.sha256, view]
    if study._state.adding:
        said += [study.indication, study.urgency, study.accession_number, str(study.referring_doctor_id)]
    else:
        said += [str(study.pk)]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


# --- one transaction


def _film_commit(film: _Film) -> IntakeResult:
    """File first, rows second. The same key, or the same bytes at the same clinic, meet here one after the other."""
    first = film.study._state.adding
    try:
        with transaction.atomic(durable=True):
            if film.key and (known := _known_request(film)):
                return _result(known, replayed=True)
            known = _known_bytes(film)
            radiograph, job = (known, None) if known else _film_add(film)
            if film.key:
                UploadKey.objects.create(
                    user=film.user,
                    clinic=film.study.clinic,
                    key=film.key,
                    fingerprint=film.fingerprint,
                    radiograph=radiograph,
                )
            _record(film, radiograph, outcome="duplicate_of" if known else "ok")
    except IntegrityError as error:
        constraint = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None)
        if constraint not in _RACES:
            raise
        raise ApplicationError(_RACES[constraint]) from error
    if known:
        return _result(known, duplicate=True)
    return _result(radiograph, created=True, only_job=job if first else None)


def _result(radiograph: Radiograph, *, created: bool = False, **how: Any) -> IntakeResult:
    return IntakeResult(radiograph, created=created, warnings=list(radiograph.warnings), **how)


def _known_request(film: _Film) -> Radiograph | None:
    """The film that this key brought before. Raises `idempotency_in_progress` and `idempotency_key_reused`."""
    clinic = film.study.clinic
    if not lock_try(f"upload key {film.user.pk} {clinic.pk} {film.key}"):
        raise ApplicationError("idempotency_in_progress")
    used = UploadKey.objects.filter(user=film.user, clinic=clinic, key=film.key).select_related("radiograph").first()
    if used is None:
        return None
    if used.fingerprint != film.fingerprint:
        raise ApplicationError("idempotency_key_reused")
    return used.radiograph


def _known_bytes(film: _Film) -> Radiograph | None:
    """The patient's film with the same bytes. Raises `image_under_other_patient`; other clinics do not count."""
    clinic, sha256 = film.study.clinic, film.upload.sha256
    lock_wait(f"film {clinic.pk} {sha256}")
    same = list(Radiograph.objects.filter(clinic=clinic, sha256=sha256).select_related("study").order_by("created_at"))
    if not same:
        return None
    own = next((each for each in same if each.study.patient_id == film.study.patient_id), None)
    if own is None:
        log.warning("bytes of radiograph %s were sent for another patient", same[0].pk)
        raise ApplicationError("image_under_other_patient")
    expired_refuse(own)
    return own


def _film_add(film: _Film) -> tuple[Radiograph, Job]:
    study, upload, facts = film.study, film.upload, film.facts
    _refuse_conflicts(study, facts)
    lock_wait(f"bytes {upload.sha256}")  # whoever removes expired files with the same bytes waits, or is done
    storage.original_store(Path(upload.temporary_file_path()), upload.sha256)
    first = study._state.adding
    if first:
        study.acquired_at = _moment(facts.acquired_at, study.clinic)
        study.save(force_insert=True)
    radiograph = Radiograph.objects.create(
        study=study,
        clinic=study.clinic,
        view=film.view if film.view != Radiograph.View.UNKNOWN else _view_of(facts),
        sha256=upload.sha256,
        size=upload.size,
        format=facts.format,
        width=facts.width,
        height=facts.height,
        sop_instance_uid=facts.sop_instance_uid,
        series_instance_uid=facts.series_instance_uid,
        study_instance_uid=facts.study_instance_uid,
        warnings=[asdict(warning) for warning in facts.warnings],
    )
    job = Job.objects.create(
        radiograph=radiograph,
        kind=Job.Kind.PREPARE,
        # The model whose input is prepared: none where the patient does not agree to AI assistance.
        model_version_id=_active_model() if film.for_model else None,
        priority=PRIORITY[study.urgency],
    )
    reading_open(radiograph, first=first)
    return radiograph, job


def _active_model() -> UUID | None:
    return ModelVersion.objects.filter(status=ModelVersion.Status.ACTIVE).values_list("pk", flat=True).first()


def _refuse_conflicts(study: Study, facts: HeaderFacts) -> None:
    """What can be said before a file is written; the constraints say it again when two requests race."""
    uid, number = facts.sop_instance_uid, study.accession_number
    if uid and Radiograph.objects.filter(clinic=study.clinic, sop_instance_uid=uid).exists():
        raise ApplicationError("dicom_instance_conflict")
    taken = Study.objects.filter(clinic=study.clinic, accession_number=number)
    if not study._state.adding:
        require_not_merged(study)
    elif number and taken.exists():
        raise ApplicationError("accession_taken")


def _view_of(facts: HeaderFacts) -> str:
    position = facts.view_position.upper()
    return position if position in Radiograph.View.values else Radiograph.View.UNKNOWN


def _moment(text: str, clinic: Clinic) -> datetime | None:
    """When the film was taken, by the clinic's clock; None when the header's date makes no sense."""
    digits = (text[:14] if text[:14].isdigit() else text[:8]).ljust(14, "0")
    try:
        moment = datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=ZoneInfo(clinic.time_zone))
    except ValueError:
        return None
    return moment if moment.year > 1895 and moment < timezone.now() + timedelta(days=1) else None


def _record(film: _Film, radiograph: Radiograph, *, outcome: str) -> None:
    study = film.study
    audit_record(
        user=film.user,
        verb="upload",
        target=radiograph,
        clinic=study.clinic,
        patient=study.patient,
        outcome=outcome,
    )

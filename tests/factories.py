"""Rows for tests, one plain function per model; every argument has a sensible default.

May import: the models of both apps. Rows are written straight to the database, past the services, so that a test
can set up any state; whatever the database guards (periods, hashes, one live job) holds here too.
"""

from __future__ import annotations

import hashlib
import itertools
import time
from datetime import timedelta
from typing import Any

from allauth.account.internal.flows.login import (
    _AUTHENTICATION_METHODS_USER_SESSION_KEY,
    AUTHENTICATION_METHODS_SESSION_KEY,
)
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.test import Client
from django.utils import timezone

from diagnosis.models import (
    AlertMail,
    CriticalAlert,
    Discordance,
    FilmExpiry,
    Finding,
    Job,
    ModelChange,
    ModelVersion,
    OperatingPoint,
    Prediction,
    Radiograph,
    Reading,
    Report,
    ReportedFinding,
    Study,
    StudyMove,
    StudyRemoval,
    ThresholdChange,
)
from diagnosis.services.reading import readings_place
from patients.models import (
    BreakGlass,
    Clinic,
    Consent,
    DataPolicy,
    LegalHold,
    Membership,
    Patient,
    PatientIdentifier,
    User,
)
from patients.policy import Scope
from patients.text import search_name

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
PASSWORD = "correct horse battery staple"
LABELS = {"normal": 0.1, "pneumonia": 0.8, "effusion": 0.3}

_number = itertools.count(1)


def clinic_make(name: str = "", **fields: Any) -> Clinic:
    number = next(_number)
    return Clinic.objects.create(name=name or f"Clinic {number}", code=fields.pop("code", f"clinic-{number}"), **fields)


def user_make(role: str = "", clinic: Clinic | None = None, *, username: str = "", **fields: Any) -> User:
    """A user with the password `PASSWORD`, and with `role` at `clinic` when both are given."""
    user = User.objects.create_user(username or f"{role or 'user'}-{next(_number)}", password=PASSWORD, **fields)
    if role and clinic is not None:
        membership_make(user, clinic, role)
    return user


def membership_make(user: User, clinic: Clinic, role: str, **fields: Any) -> Membership:
    """A membership that began yesterday and has no end, unless told otherwise; a radiologist's with a number to sign
    with."""
    if role == "radiologist":
        fields.setdefault("registration_number", "MCI-4711")
    fields.setdefault("valid_from", timezone.now() - timedelta(days=1))
    return Membership.objects.create(user=user, clinic=clinic, role=role, **fields)


def client_make(clinic: Clinic, *scopes: str) -> User:
    """An API client of the clinic: with these scopes, or with every one."""
    client = User.objects.create(username=f"client-{next(_number)}", password=make_password(None))
    membership_make(client, clinic, "client", scopes=list(scopes or Scope))
    return client


def break_glass_make(user: User, clinic: Clinic, *, over: bool = False) -> BreakGlass:
    """Emergency access of the user to the clinic, since a minute ago; `over` now."""
    since = timezone.now() - timedelta(minutes=1)
    ends_at = timezone.now() if over else since + BreakGlass.LASTS
    return BreakGlass.objects.create(
        user=user, clinic=clinic, reason="Nobody else can be reached", started_at=since, ends_at=ends_at
    )


def system_admin_make(**fields: Any) -> User:
    return User.objects.create_superuser(f"admin-{next(_number)}", password=PASSWORD, **fields)


def sign_in(client: Client, user: User, *, ago: int = 0, second_factor: bool = False) -> None:
    """As after signing in on the page `ago` seconds before now, by password and perhaps by a second factor."""
    client.force_login(user, backend=BACKEND)
    session = client.session
    session[_AUTHENTICATION_METHODS_USER_SESSION_KEY] = str(user.pk)
    session[AUTHENTICATION_METHODS_SESSION_KEY] = [
        {"method": method, "at": time.time() - ago} for method in ("password", *(["mfa"] if second_factor else []))
    ]
    session.save()


def patient_make(clinic: Clinic, name: str = "", *, mrn: str = "", **fields: Any) -> Patient:
    """A patient; `mrn` adds an identifier of the system MRN."""
    name = name or f"Patient {next(_number)}"
    fields.setdefault("birth_year", fields["birth_date"].year if fields.get("birth_date") else 1970)
    patient = Patient.objects.create(clinic=clinic, name=name, search_name=search_name(name), **fields)
    if mrn:
        identifier_make(patient, mrn)
    return patient


def identifier_make(patient: Patient, value: str, system: str = "MRN") -> PatientIdentifier:
    return PatientIdentifier.objects.create(patient=patient, clinic=patient.clinic, system=system, value=value)


def consent_make(patient: Patient, purpose: str, decision: str = "permit", **fields: Any) -> Consent:
    """A decision of today in writing, recorded by an operator of the clinic."""
    if "recorded_by" not in fields:
        fields["recorded_by"] = user_make("operator", patient.clinic)
    values = {
        "given_on": patient.clinic.today,
        "given_how": "written",
        "text_version": "2026-1",
        "clinic": patient.clinic,
    }
    return Consent.objects.create(patient=patient, purpose=purpose, decision=decision, **(values | fields))


def legal_hold_make(patient: Patient, recorded_by: User) -> LegalHold:
    return LegalHold.objects.create(
        patient=patient, clinic=patient.clinic, holds=True, reason="A claim is open", recorded_by=recorded_by
    )


def expiry_make(radiograph: Radiograph) -> FilmExpiry:
    return FilmExpiry.objects.create(radiograph=radiograph, rule="kept 10 years", size=radiograph.size)


def data_policy_make(clinic: Clinic, **rules: Any) -> DataPolicy:
    return DataPolicy.objects.create(clinic=clinic, **rules)


def study_make(patient: Patient, **fields: Any) -> Study:
    return Study.objects.create(patient=patient, clinic=patient.clinic, **fields)


def radiograph_make(study: Study, *, content: bytes = b"", **fields: Any) -> Radiograph:
    """A film's row. `content` only gives the hash and size; no file is written."""
    content = content or f"film {next(_number)}".encode()
    values: dict[str, Any] = {
        "clinic": study.clinic,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "format": "png",
        "width": 512,
        "height": 512,
    }
    if fields.get("state") == "rejected":
        values |= {"code": "image_blank", "message": "The image has no content."}
    return Radiograph.objects.create(study=study, **(values | fields))


def job_make(radiograph: Radiograph, kind: str = "prepare", state: str = "queued", **fields: Any) -> Job:
    """A job in any state, with what the database demands of that state."""
    now = timezone.now()
    values: dict[str, Any] = {"model_version": model_version_make() if kind == "infer" else None}
    if state == "running":
        values |= {"attempt": 1, "fence": next(_number), "lease_until": now + timedelta(minutes=1), "started_at": now}
    elif state in ("succeeded", "failed"):
        values |= {"attempt": 1, "started_at": now, "finished_at": now}
    if state == "failed":
        values["error_code"] = "worker_lost"
    return Job.objects.create(radiograph=radiograph, kind=kind, state=state, **(values | fields))


def model_version_make(version: str = "1.0.0", *, name: str = "test-model", **fields: Any) -> ModelVersion:
    """The model version of this name and version, made (active, unless told otherwise) on first use, with its history:
    one that is active or retired was activated."""
    sha256 = hashlib.sha256(f"{name} {version}".encode()).hexdigest()
    labels = [{"key": key, "title": key.capitalize(), "severity": float(key != "normal")} for key in LABELS]
    defaults = {
        "sha256": sha256,
        "card": {"labels": labels},
        "folder": f"{name}-{version}",
        "status": "active",
    } | fields
    model, created = ModelVersion.objects.get_or_create(name=name, version=version, defaults=defaults)
    if created:
        if model.status in ("active", "retired"):
            ModelChange.objects.create(model_version=model, verb="activate", after="active", by="factory")
        OperatingPoint.objects.bulk_create(
            OperatingPoint(model_version=model, label=label, threshold=0.5) for label in LABELS
        )
    return model


def threshold_proposal_make(
    model: ModelVersion, clinic: Clinic, label: str, threshold: float, user: User | None = None
) -> ThresholdChange:
    """A threshold that somebody proposed for the clinic, in place of 0.5."""
    return ThresholdChange.objects.create(
        model_version=model,
        clinic=clinic,
        label=label,
        verb="propose",
        threshold=threshold,
        before=0.5,
        reason="Too much is missed",
        positives=30,
        negatives=70,
        user=user or user_make("radiologist", clinic),
    )


def prediction_make(
    radiograph: Radiograph,
    model_version: ModelVersion | None = None,
    *,
    calibrated: dict[str, float] | None = None,
    **fields: Any,
) -> Prediction:
    """A prediction with one finding per label; `calibrated` sets the numbers."""
    prediction = Prediction.objects.create(
        radiograph=radiograph,
        image_sha256=radiograph.sha256,
        model_version=model_version or model_version_make(),
        **({"engine": "fake"} | fields),
    )
    Finding.objects.bulk_create(
        Finding(
            prediction=prediction,
            label=label,
            probability=number,
            calibrated=number,
            threshold=0.5,
            word="present" if number >= 0.5 else "absent",
        )
        for label, number in (calibrated or LABELS).items()
    )
    return prediction


def predicted_film_make(study: Study, **fields: Any) -> Prediction:
    """A film that went the whole way: ready, both jobs succeeded, one prediction."""
    radiograph = radiograph_make(study, state="ready")
    job_make(radiograph, "prepare", "succeeded")
    job_make(radiograph, "infer", "succeeded")
    return prediction_make(radiograph, **fields)


def report_make(study: Study, author: User, status: str = "final", **fields: Any) -> Report:
    """A report; signed by its author when `status` is final or amended."""
    now = timezone.now()
    signature = {"signed_by": author, "signed_at": now, "registration_number": "MCI-4711"}
    facts = {"preliminary": {"preliminary_at": now}, "final": signature, "amended": signature}
    return Report.objects.create(study=study, author=author, status=status, **(facts.get(status, {}) | fields))


def reading_make(study: Study, **fields: Any) -> Reading:
    """The study's row of the worklist, in order of arrival; placed by its films' results when `placed`."""
    placed = fields.pop("placed", False)
    at = fields.setdefault("received_at", study.created_at)
    reading = Reading.objects.create(study=study, clinic=study.clinic, **({"stands_at": at, "urgency": 0.0} | fields))
    if placed:
        with transaction.atomic():
            readings_place([study.radiographs.all()[0].pk])
        reading.refresh_from_db()
    return reading


def claim_make(reading: Reading, user: User, *, minutes: float = 10) -> Reading:
    """Somebody reads it since ten minutes before the claim ends; `minutes` are left."""
    until = timezone.now() + timedelta(minutes=minutes)
    reading.claimed_by, reading.claimed_at, reading.claimed_until = user, until - timedelta(minutes=10), until
    reading.save()
    return reading


def decision_make(report: Report, label: str, verdict: str = "added", **fields: Any) -> ReportedFinding:
    """What the report's author decided on a label."""
    return ReportedFinding.objects.create(
        report=report, label=label, verdict=verdict, **({"decided_by": report.author} | fields)
    )


def alert_make(report: Report, label: str = "pneumonia", **fields: Any) -> CriticalAlert:
    """A critical finding of a report that waits, and the mail about it; `minutes` ago."""
    study = report.study
    if minutes := fields.pop("minutes", 0):
        fields["created_at"] = timezone.now() - timedelta(minutes=minutes)
    mail = AlertMail.objects.create(study=study, clinic=study.clinic, kind="raised")
    facts = {"title": label.capitalize(), "raised_by": report.author, "mail": mail} | fields
    return CriticalAlert.objects.create(study=study, clinic=study.clinic, report=report, label=label, **facts)


def move_make(study: Study, patient: Patient, user: User, **fields: Any) -> StudyMove:
    """That this person asked to put the study under this patient."""
    facts = {"from_patient": study.patient, "to_patient": patient, "asked_by": user, "reason": "Names were swapped"}
    return StudyMove.objects.create(study=study, clinic=study.clinic, **facts | fields)


def removal_make(study: Study, user: User | None = None, **fields: Any) -> StudyRemoval:
    """That an administrator of the clinic asked for the removal of the study's pictures."""
    facts = {"asked_by": user or user_make("clinicadmin", study.clinic), "reason": "A hand"}
    return StudyRemoval.objects.create(study=study, clinic=study.clinic, **facts | fields)


def discordance_make(report: Report, label: str = "pneumonia", verdict: str = "rejected", **fields: Any) -> Discordance:
    """The author of this draft rejects what the model says, or adds it (`verdict`), and has signed now."""
    said = Finding.objects.filter(prediction__radiograph__study=report.study, prediction__shadow=False)
    finding, rejected = said.get(label=label), verdict == "rejected"
    decision = decision_make(report, label, verdict, finding=finding, reason="artefact" if rejected else "")
    report.status, report.signed_by, report.signed_at = "final", report.author, timezone.now()
    report.registration_number = "MCI-4711"
    report.save()
    facts = {"kind": "model_only" if rejected else "reader_only", "finding": finding, "decision": decision} | fields
    return Discordance.objects.create(study=report.study, clinic=report.study.clinic, **facts)


def decided_study_make(
    patient: Patient, reader: User, verdicts: dict[str, str], *, signed_at: Any = None, **fields: Any
) -> Report:
    """A study with one film that the model answered, and a signed report with a verdict for some of its labels;
    `fields` are the prediction's. A rejected finding has no correlate, or the reason of `rejected:reason`."""
    prediction = predicted_film_make(study_make(patient), **fields)
    findings = {finding.label: finding for finding in prediction.findings.all()}
    report = report_make(prediction.radiograph.study, reader, "draft")
    for label, verdict in verdicts.items():
        verdict, _, reason = verdict.partition(":")
        reason = (reason or "no_correlate") if verdict == "rejected" else ""
        decision_make(report, label, verdict, reason=reason, finding=findings.get(label))
    return signed_make(report, signed_at)


def signed_make(report: Report, at: Any = None) -> Report:
    """The draft, signed by its author at a moment (now)."""
    report.status = "amended" if report.supersedes_id else "final"
    report.signed_by, report.signed_at, report.registration_number = report.author, at or timezone.now(), "MCI-4711"
    report.save()
    return report

"""Two clinics with everything in them, and a signed-in person per role: what the access matrix walks through."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
from allauth.mfa.models import Authenticator
from axes.models import AccessAttempt
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from knox.models import AuthToken
from PIL import Image
from rest_framework.test import APIClient

from diagnosis.models import OperatingPoint, Radiograph, Study, Worker
from patients.audit import audit_record
from patients.models import Clinic
from tests import factories
from tests.access.table import ROLES
from tests.encodings import as_png
from tests.films import synthetic_film

UNKNOWN = "00000000-0000-4000-8000-000000000000"
FILM = as_png(synthetic_film(seed=7))
CONSENT = {"given_on": "2026-01-05", "given_how": "written", "text_version": "1"}
OWN_NAME, FOREIGN_NAME = "Owenia Ownperson", "Farida Farperson"
#: A version on trial has read every film, and says this of every label.
TRIAL_NAME, TRIAL_NUMBER = "trial-reader", 0.4242


class Side:
    """A clinic with a patient, whose film is analysed, in a study with and a study without a signed report."""

    def __init__(self, name: str, clinic: Clinic, radiologist: Any, assigned: Any, sender: Any, opener: Any) -> None:
        self._ids: dict[str, dict[str, str]] = {}
        self.clinic = clinic
        self.sender = sender
        self.patient = factories.patient_make(
            clinic, name, mrn="7001", abha_number=f"abha {clinic.code}", birth_year=1961, created_by=sender
        )
        factories.consent_make(self.patient, "ai_assistance", recorded_by=sender)
        self.use = factories.break_glass_make(opener, clinic, over=True)
        self.person, self.program = factories.user_make("operator", clinic), factories.client_make(clinic)
        self.model = factories.model_version_make()
        self.trial = factories.model_version_make(name=TRIAL_NAME, status="shadow")
        self.proposal = factories.threshold_proposal_make(self.model, clinic, "pneumonia", 0.4)
        OperatingPoint.objects.create(model_version=self.model, clinic=clinic, label="effusion", threshold=0.3)
        self.unsigned = self._study(assigned)
        self.signed = self._study(assigned)
        colleague = factories.user_make("radiologist", clinic)
        self.report = factories.report_make(self.signed, colleague, "draft")
        self.discordance = factories.discordance_make(self.report)
        self.draft = factories.report_make(self.unsigned, radiologist, "draft", impression="Nothing new.")
        said = self.unsigned.radiographs.get().predictions.get(shadow=False).findings.get(label="pneumonia")
        factories.decision_make(self.draft, "pneumonia", "accepted", finding=said)
        twin = factories.patient_make(clinic, name, mrn="7002", birth_year=1961, created_by=sender)
        self.move = factories.move_make(self.signed, twin, colleague)
        self.removal = factories.removal_make(self.unsigned)
        self.alert = factories.alert_make(self.draft)
        self.alert_of_signed = factories.alert_make(self.report)

    def _study(self, assigned: Any) -> Study:
        study = factories.study_make(self.patient, referring_doctor=assigned, created_by=self.sender)
        factories.reading_make(study)
        radiograph = factories.radiograph_make(study, state="ready")
        radiograph.display_key = f"derived/{radiograph.sha256[:2]}/{radiograph.sha256}/display.png"
        radiograph.reading_key = f"derived/{radiograph.sha256[:2]}/{radiograph.sha256}/reading.png"
        radiograph.save()
        factories.job_make(radiograph, "prepare", "succeeded")
        factories.job_make(radiograph, "infer", "failed")
        map_key = f"derived/{radiograph.sha256[:2]}/{radiograph.sha256}/maps.npz"
        factories.prediction_make(radiograph, self.model, map_key=map_key)
        factories.job_make(radiograph, "infer", "succeeded", model_version=self.trial, shadow=True)
        said = dict.fromkeys(factories.LABELS, TRIAL_NUMBER)
        factories.prediction_make(radiograph, self.trial, map_key=map_key, calibrated=said, shadow=True)
        return study

    def ids(self, variant: str) -> dict[str, str]:
        """The value of each parameter of an address, by its name or by the folder before it. Read once."""
        if variant not in self._ids:
            self._ids[variant] = self._ids_read(variant)
        return self._ids[variant]

    def _ids_read(self, variant: str) -> dict[str, str]:
        study = self.signed if variant == "signed" else self.unsigned
        radiograph = study.radiographs.get()
        by_kind = {
            "patient": self.patient,
            "study": study,
            "radiograph": radiograph,
            "job": radiograph.jobs.get(state="failed"),
            "prediction": radiograph.predictions.get(shadow=False),
            "identifier": self.patient.identifiers.get(),
            "model": self.model,
            "clinic": self.clinic,
            "person": self.person,
            "client": self.program,
            "use": self.use,
            "report": self.report if variant == "signed" else self.draft,
            "discordance": self.discordance,
            "move": self.move,
            "removal": self.removal,
            "alert": self.alert_of_signed if variant == "signed" else self.alert,
        }
        return {kind: str(row.pk) for kind, row in by_kind.items()}


class World:
    """Both sides, and the people. Nobody belongs to the far clinic except its own radiologist."""

    def __init__(self, media_root: Path) -> None:
        self.media_root = media_root
        home = factories.clinic_make("Home Clinic", code="home")
        far = factories.clinic_make("Far Clinic", code="far")
        self.people = {role: factories.user_make(role, home) for role in ROLES[1:5]}
        self.people["assigned"] = factories.user_make("doctor", home)
        self.people["clinicadmin"] = factories.user_make("clinicadmin", home)
        self.people["system"] = factories.system_admin_make()
        self.people |= {name: factories.client_make(home) for name in ("client", "sender")}
        self.stranger = factories.user_make("radiologist", far)
        own = [self.people[role] for role in ("radiologist", "assigned", "sender", "system")]
        self.own = Side(OWN_NAME, home, *own)
        self.foreign = Side(FOREIGN_NAME, far, *[self.stranger] * 4)
        self.sessions, self.tokens = {"anonymous": Client()}, {"anonymous": APIClient()}
        for role, user in self.people.items():
            self.sessions[role], self.tokens[role] = Client(), APIClient()
            factories.sign_in(self.sessions[role], user)
            self.tokens[role].credentials(HTTP_AUTHORIZATION=f"Token {AuthToken.objects.create(user)[1]}")
        self._rows_for_the_administration()
        for radiograph in Radiograph.objects.all():
            _files_write(media_root, radiograph)
        self.model_root = media_root / "models"
        for model in (self.own.model, self.own.trial):
            (self.model_root / model.folder / "figures").mkdir(parents=True)
            (self.model_root / model.folder / "figures" / "roc.svg").write_text("<svg/>")
        self.answers: dict[tuple[Any, ...], HttpResponse] = {}
        for client in (*self.sessions.values(), *self.tokens.values()):
            client.raise_request_exception = False

    def _rows_for_the_administration(self) -> None:
        now = timezone.now()
        operator = self.people["operator"]
        Worker.objects.create(name="infer@test", kind="infer", started_at=now, seen_at=now)
        Authenticator.objects.create(user=self.stranger, type="recovery_codes", data={})
        AccessAttempt.objects.create(username="nobody", ip_address="10.0.0.9", failures_since_start=1)
        audit_record(user=operator, verb="read", target=self.own.patient, clinic=self.own.clinic)

    def call(
        self, role: str, method: str, route: str, side: Side, *, variant: str = "", **options: Any
    ) -> HttpResponse:
        """Ask for a route, its parameters filled from `side` (or with `given`), with a body that would be accepted."""
        path = fill(route, side.ids(variant), options.pop("given", None))
        if route.startswith("/api/"):
            client, data = self.tokens[role], api_body(method, route, side)
            if "/reports/" in route:
                options["HTTP_IF_MATCH"] = '"0"'
            kind = {} if method == "GET" or data is None else {"format": "multipart" if "file" in data else "json"}
            options["HTTP_IDEMPOTENCY_KEY"] = "one-try"
        else:
            client, data, kind = self.sessions[role], page_body(method, route, side, variant), {}
        return getattr(client, method.lower())(path, data, **kind, **options)


def _files_write(media_root: Path, radiograph: Radiograph) -> None:
    """What prepare and infer would have left of a film: the two pictures and the maps."""
    folder = (media_root / radiograph.display_key).parent
    folder.mkdir(parents=True)
    for name in ("display.png", "reading.png"):
        Image.new("L", (512, 512), 90).save(folder / name)
    content = io.BytesIO()
    np.savez(content, maps=np.zeros((7, 7, 3), np.float16), labels=np.array(["normal", "pneumonia", "effusion"]))
    (folder / "maps.npz").write_bytes(content.getvalue())


_KIND_OF_FOLDER = {
    "patients": "patient",
    "studies": "study",
    "worklist": "study",
    "radiographs": "radiograph",
    "jobs": "job",
    "predictions": "prediction",
    "model-versions": "model",
    "reports": "report",
    "alerts": "alert",
}
_PARAMETER = re.compile(r"(?:(?P<folder>[\w-]+)/)?<(?:\w+:)?(?P<name>\w+)>")


def fill(route: str, ids: dict[str, str], given: str | None = None) -> str:
    """The address of a route; `given` stands in for its first parameter."""
    fills = [given] if given is not None else []

    def value(match: re.Match[str]) -> str:
        folder, name = match["folder"], match["name"]
        kind = name.removesuffix("_id") if name.endswith("_id") else _KIND_OF_FOLDER.get(folder, name)
        text = fills.pop() if fills else {"label": "pneumonia", "figure": "roc", **ids}.get(kind, "1")
        return f"{folder}/{text}" if folder else text

    return _PARAMETER.sub(value, route)


def page_body(method: str, route: str, side: Side, variant: str = "") -> dict[str, Any] | None:
    draft = {"version": "0", "report": str(side.draft.pk)}
    report = side.report if variant == "signed" else side.draft
    own_point = {"clinic": str(side.clinic.pk), "label": "effusion", "reason": "Too many alarms"}
    person = {"name": "Newly Registered", "birth_year": "1990", "sex": "other", "clinic": str(side.clinic.pk)}
    days = {"first": str(side.clinic.today), "last": str(side.clinic.today)}
    same_person = {"name": side.patient.name, "birth_year": "1961", "sex": "unknown", "phone": "12345"}
    return {
        "POST /": {"patient": str(side.patient.pk)},
        "POST /send/patient/": {"query": "person"},
        "POST /patients/": {"query": "person"},
        "POST /audit/patient/": {"number": side.patient.abha_number},
        "POST /patients/new/": person,
        "POST /exports/": days | {"clinic": str(side.clinic.pk), "reason": "For the meeting on Friday"},
        "POST /worklist/views/": {"name": "Mine", "query": "state=mine"},
        "POST /worklist/views/remove/": {"name": "Mine"},
        "POST /emergency/": {"clinic": str(side.clinic.pk), "reason": "Nobody can be reached at night"},
        "POST /people/new/": {
            "clinic": str(side.clinic.pk),
            "first_name": "Newly",
            "username": "newly",
            "roles": ["operator"],
        },
        "POST /people/<uuid:clinic_id>/<int:person_id>/": {"roles": ["radiographer"]},
        "POST /people/programs/new/": {"clinic": str(side.clinic.pk), "name": "Gateway", "scopes": ["study:upload"]},
        "POST /studies/<uuid:study_id>/read/": draft,
        "POST /studies/<uuid:study_id>/read/first/": {"impression": "Nothing to see."},
        "POST /studies/<uuid:study_id>/read/decide/": draft | {"decide": "pneumonia accepted"},
        "POST /studies/<uuid:study_id>/read/draft/": draft,
        "POST /studies/<uuid:study_id>/read/normal/": draft,
        "POST /studies/<uuid:study_id>/read/preliminary/": draft,
        "POST /clinics/<uuid:clinic_id>/report/": {"language": "fr", "mass": "Masse."},
        "POST /studies/<uuid:study_id>/read/sign/": draft,
        "POST /studies/<uuid:study_id>/read/discard/": draft,
        "POST /studies/<uuid:study_id>/report/amend/": {"report": str(report.pk), "reason": "Something was overlooked"},
        "POST /studies/<uuid:study_id>/report/acknowledge/": {
            "alerts": [str((side.alert_of_signed if variant == "signed" else side.alert).pk)],
            "action_taken": "Dr Rao was told by phone",
        },
        "POST /moves/<uuid:move_id>/decide/": {"outcome": "left"},
        "POST /studies/<uuid:study_id>/move/": {"number": "7002", "reason": "Names were swapped"},
        "POST /second-look/<uuid:discordance_id>/": {"outcome": "stands", "model_was": "wrong"},
        "GET /models/<uuid:model_id>/thresholds/": {"clinic": str(side.clinic.pk)},
        "POST /models/<uuid:model_id>/thresholds/propose/": own_point | {"threshold": "0.4"},
        "POST /models/<uuid:model_id>/thresholds/decide/": own_point
        | {"proposal": str(side.proposal.pk), "decision": "approve"},
        "POST /models/<uuid:model_id>/thresholds/restore/": own_point,
        "POST /patients/<uuid:patient_id>/edit/": same_person,
        "POST /patients/<uuid:patient_id>/consents/": CONSENT | {"training": "permit"},
        "POST /patients/<uuid:patient_id>/identifiers/": {"system": "DICOM", "value": "new-1"},
    }.get(f"{method} {route}")


def api_body(method: str, route: str, side: Side) -> dict[str, Any] | None:
    person = {"name": "Newly Registered", "birth_year": 1990, "sex": "other", "clinic": str(side.clinic.pk)}
    film = {"file": SimpleUploadedFile("film.png", FILM, content_type="image/png")}
    return {
        "POST patients/": person,
        "POST patients/matches/": person,
        "PATCH patients/<str:id>/": {"phone": "12345"},
        "POST patients/<str:id>/identifiers/": {"system": "DICOM", "value": "new-1"},
        "POST patients/<str:id>/consents/": CONSENT | {"purpose": "training", "decision": "permit"},
        "POST reports/": {"study": str(side.unsigned.pk)},
        "PATCH reports/<str:id>/": {"impression": "Nothing to see."},
        "POST reports/<str:id>/decide/": {"label": "pneumonia", "verdict": "accepted"},
        "POST reports/<str:id>/amend/": {"reason": "Something was overlooked"},
        "POST alerts/<str:id>/acknowledge/": {"action_taken": "Dr Rao was told by phone"},
        "POST first-impressions/": {"study": str(side.unsigned.pk), "impression": "Nothing to see."},
        "POST studies/": film | {"patient": str(side.patient.pk)},
        "POST studies/<str:id>/radiographs/": film,
    }.get(f"{method} {route.removeprefix('/api/v1/')}")

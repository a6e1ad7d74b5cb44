"""The second wall alone: everything that asks who may see what says yes, and still PostgreSQL shows no foreign row."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.db.models import Q
from django.http import HttpResponse

from diagnosis import querysets as diagnosis_querysets
from diagnosis.models import (
    AlertMail,
    CriticalAlert,
    Discordance,
    FilmExpiry,
    Finding,
    FirstImpression,
    Job,
    OperatingPoint,
    Prediction,
    Radiograph,
    Reading,
    Report,
    ReportedFinding,
    ReportExport,
    Study,
    StudyMove,
    StudyRemoval,
    ThresholdChange,
)
from patients import access
from patients import querysets as patients_querysets
from patients.models import Clinic, Consent, LegalHold, Patient, PatientIdentifier
from tests.access import table
from tests.access.table import Row, rows
from tests.access.test_matrix import _films_lie_in_their_place, ask, db, undone, world  # noqa: F401  fixtures among it
from tests.access.world import FOREIGN_NAME, OWN_NAME, World

WALK = rows(table.PAGES + table.API)
#: Models, who works where and in which words a clinic reports are no patient data: the first wall alone keeps them.
OBJECTS = [
    row
    for row in WALK
    if "<" in row.route and not row.route.startswith(("/models/", "/api/v1/model", "/people/", "/clinics/"))
]
CHANGES = [row for row in WALK if row.method != "GET"]
#: With the first wall down the roles of a clinic's staff do not differ.
ASKERS = ("operator", "assigned", "clinicadmin", "system", "sender")
#: What a foreign row must not lend to any page, besides the patient's name.
PHONE, QUESTION, NUMBER = "0999-123-456", "Is it the far lung?", "FAR-0815"
#: Every model with clinical data, and the way from it to its clinic. The audit only grows, in the asker's own name.
TO_CLINIC = {
    Patient: "clinic",
    PatientIdentifier: "clinic",
    Consent: "clinic",
    LegalHold: "clinic",
    FilmExpiry: "radiograph__clinic",
    Study: "clinic",
    Radiograph: "clinic",
    Job: "radiograph__clinic",
    Prediction: "radiograph__clinic",
    Finding: "prediction__radiograph__clinic",
    Reading: "clinic",
    Report: "study__clinic",
    ReportedFinding: "report__study__clinic",
    FirstImpression: "study__clinic",
    CriticalAlert: "clinic",
    AlertMail: "clinic",
    Discordance: "clinic",
    StudyMove: "clinic",
    StudyRemoval: "clinic",
    ReportExport: "clinic",
    OperatingPoint: "clinic",
    ThresholdChange: "clinic",
}


@pytest.fixture(scope="module")
def far(world: World) -> World:  # noqa: F811
    """The world, with more on the foreign rows to recognise them by."""
    side = world.foreign
    Patient.objects.filter(pk=side.patient.pk).update(phone=PHONE)
    Study.objects.filter(pk=side.signed.pk).update(accession_number=NUMBER)
    Study.objects.filter(clinic=side.clinic).update(indication=QUESTION)
    return world


@pytest.fixture(autouse=True)
def _first_wall_is_down(db: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """Whoever asks is let through, whatever the role: every `visible_to`, scope and right of the first wall."""
    everything = Q(pk__isnull=False)
    for model in apps.get_models():
        queryset = type(model._default_manager.all())
        for name in filter(lambda each: each.endswith("visible_to"), dir(queryset)):
            monkeypatch.setattr(queryset, name, lambda self, user: self.all())
    for module in (patients_querysets, diagnosis_querysets):
        monkeypatch.setattr(module, "patient_scope", lambda *args, **options: everything)
    monkeypatch.setattr(diagnosis_querysets, "study_scope", lambda *args, **options: everything)
    monkeypatch.setattr(access.Rights, "clinics", lambda *args: list(Clinic.objects.values_list("id", flat=True)))
    monkeypatch.setattr(access, "can_at", lambda user, action, clinic: True)


def leaked(response: HttpResponse) -> list[str]:
    """What of the foreign patient is in an answer."""
    body = response.body.decode(errors="replace")
    found = [text for text in (FOREIGN_NAME, PHONE, QUESTION, NUMBER) if text in body]
    return found + ["pixels"] * response.headers.get("Content-Type", "").startswith("image/png")


def foreign_rows(world: World) -> dict[str, list[Any]]:  # noqa: F811
    clinic = world.foreign.clinic
    return {
        model.__name__: list(model.objects.filter(**{path: clinic}).order_by("pk").values())
        for model, path in TO_CLINIC.items()
    }


@pytest.mark.parametrize("row", WALK, ids=lambda row: f"{row.method} {row.route}")
def test_no_answer_holds_anything_foreign(far, row):
    ids = [far.foreign.ids("")[kind] for kind in ("patient", "study", "radiograph", "job", "prediction")]
    for role in ASKERS:
        home, away = ask(far, role, row, "own"), ask(far, role, row, "foreign")
        at_home = home.body.decode(errors="replace")
        assert [text for text in leaked(home) if text != "pixels"] == [], role
        assert [id for id in ids if id in at_home] == [], role
        assert leaked(away) == [], role


@pytest.mark.parametrize("row", OBJECTS, ids=lambda row: f"{row.method} {row.route}")
def test_a_foreign_id_is_as_unknown_as_any(far, row):
    assert {role: ask(far, role, row, "foreign").status_code for role in ASKERS} == dict.fromkeys(ASKERS, 404)


@pytest.mark.parametrize("row", CHANGES, ids=lambda row: f"{row.method} {row.route}")
def test_no_foreign_row_is_changed(far, row):
    before = foreign_rows(far)
    for role in ("operator", "assigned", "system"):
        with undone():
            far.call(role, row.method, row.route, far.foreign)
            assert foreign_rows(far) == before, role


def test_the_first_wall_is_down_in_these_tests(far):
    """A clinic administrator is shown the film and the result of the own clinic, whom the first wall refuses both."""
    for route in ("/images/<uuid:radiograph_id>/", "/api/v1/predictions/<str:id>/"):
        assert ask(far, "clinicadmin", Row("GET", route, {}), "own").status_code == 200
    assert OWN_NAME in ask(far, "clinicadmin", Row("GET", "/patients/", {}), "own").body.decode()

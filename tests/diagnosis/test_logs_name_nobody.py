"""No log line names a patient: the main flows, their refusals and their faults, at the most talkative level."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from logging.config import DictConfigurator
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError

from cxrsite.logs import RENDERERS, logging_config
from diagnosis import tasks
from diagnosis.models import Job, Study
from diagnosis.services import infer, prepare
from diagnosis.services.recovery import sweep
from patients.models import Patient
from tests import factories
from tests.synthetic import as_png, synthetic_film

#: Put together here, so that no line of code which a log quotes holds them.
NAME, NUMBER = "Zebedee Quux" + "marker", "77" + "8899"
TALKATIVE = ("", "django", "django.request", "celery", "celery.app.trace", "celery.worker.strategy", "axes", "gunicorn")


class Kept(logging.Handler):
    """Every line as the site would write it, in each of its forms."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        configs = [logging_config(level="DEBUG", form=form) for form in RENDERERS]
        self.forms = [DictConfigurator(each).configure_formatter(each["formatters"]["event"]) for each in configs]

    def emit(self, record: logging.LogRecord) -> None:
        self.lines += [form.format(record) for form in self.forms]


@pytest.fixture
def log() -> Iterator[Kept]:
    """What every logger says from here on; at the end nobody may have been named."""
    kept, levels = Kept(), {name: logging.getLogger(name).level for name in TALKATIVE}
    logging.getLogger().addHandler(kept)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield kept
    logging.getLogger().removeHandler(kept)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    assert kept.lines
    said = "\n".join(kept.lines).casefold()
    for marker in (*NAME.casefold().split(), NUMBER):
        assert marker not in said


@pytest.fixture
def somebody(clinic) -> Patient:
    return factories.patient_make(clinic, NAME, mrn=NUMBER, birth_year=1961, sex="male")


def film(name: str = f"{NAME} {NUMBER}.png", seed: int = 1) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, as_png(synthetic_film(seed)), content_type="image/png")


def failing(*args: Any, **kwargs: Any) -> Any:
    """A fault whose words name the patient, as PostgreSQL's do."""
    raise IntegrityError(f"duplicate key: Key (name, value)=({NAME}, {NUMBER}) already exists")


def test_registering_and_searching_name_nobody(log, client_for, api_for, clinic):
    page, api = client_for("operator"), api_for("operator")
    form = {"name": NAME, "birth_year": "1961", "sex": "male", "clinic": str(clinic.pk)}
    assert page.post("/patients/new/", form).status_code == 302
    body = {"name": NAME, "birth_year": 1961, "identifiers": [{"value": NUMBER}], "clinic": str(clinic.pk)}
    assert api.post("/api/v1/patients/", body, format="json").status_code == 201
    assert api.post("/api/v1/patients/", body, format="json").status_code == 409
    assert api.post("/api/v1/patients/matches/", body, format="json").status_code == 200
    assert page.post("/patients/", {"query": NAME}).status_code == 200
    assert page.get("/patients/", {"query": NAME}).status_code == 200
    assert api.get("/api/v1/patients/", {"q": NUMBER}).status_code == 200


def test_refused_texts_name_nobody(log, client_for, api_for, somebody, clinic):
    page, api = client_for("operator"), api_for("operator")
    for bad in (f"{NAME}\x00", f"{NAME}\u202e", NAME * 50):
        body = {"name": bad, "birth_year": 1961, "clinic": str(clinic.pk)}
        assert api.post("/api/v1/patients/", body, format="json").status_code == 400
        assert page.post(f"/patients/{somebody.pk}/edit/", {"name": bad, "sex": "male"}).status_code == 400
    assert api.get("/api/v1/patients/", {"name__startswith": NAME}).status_code == 400


def test_a_film_on_its_whole_way_names_nobody(log, client_for, api_for, somebody, model):
    response = client_for("operator").post("/", {"patient": somebody.pk, "file": film(), "indication": NAME})
    assert response.status_code in (200, 302)
    while prepare.prepare_next(worker="test"):
        pass
    assert infer.infer_waiting(worker="test") == 1
    sweep()
    study = Study.objects.get()
    reader, api = client_for("radiologist"), api_for("radiologist")
    for path in (f"/studies/{study.pk}/", f"/patients/{somebody.pk}/", "/films/", "/status/"):
        assert reader.get(path).status_code == 200
    for path in ("studies", "radiographs", "predictions", f"patients/{somebody.pk}/history"):
        assert api.get(f"/api/v1/{path}/").status_code == 200


def test_a_refused_film_names_nobody(log, api_for, client_for, somebody):
    api = api_for("operator")
    for content in (b"", b"%PDF " + NAME.encode(), as_png(synthetic_film(1))[:3000]):
        upload = SimpleUploadedFile(f"{NAME}.png", content, content_type="image/png")
        api.post("/api/v1/studies/", {"patient": somebody.pk, "file": upload}, headers={"Idempotency-Key": NUMBER})
        client_for("operator").post("/", {"patient": somebody.pk, "file": film(f"{NAME}.gif")})
    while prepare.prepare_next(worker="test"):
        pass


@pytest.mark.parametrize("target", ["patients.views.patient_search", "patients.api.views.patients_matching"])
def test_a_fault_whose_words_name_a_patient_is_logged_without_them(log, client_for, api_for, monkeypatch, target):
    monkeypatch.setattr(target, failing)
    asked = (
        api_for("operator").get("/api/v1/patients/", {"q": NAME})
        if "api" in target
        else client_for("operator").post("/patients/", {"query": NAME})
    )
    assert asked.status_code == 500
    assert NAME not in asked.content.decode()
    assert any("IntegrityError" in line for line in log.lines)


@pytest.mark.parametrize("stage", ["prepare", "infer"])
def test_a_stage_that_fails_on_a_film_names_nobody(log, monkeypatch, take_in, model, somebody, stage):
    take_in(patient=somebody)
    if stage == "infer":
        prepare.prepare_next(worker="test")
        monkeypatch.setattr(infer, "predictor_for", failing)
        infer.infer_waiting(worker="test")
    else:
        monkeypatch.setattr(prepare, "decode", failing)
        prepare.prepare_next(worker="test")
    assert not Job.objects.filter(kind=stage, state="succeeded").exists()
    assert any("IntegrityError" in line for line in log.lines)


def test_a_task_that_fails_names_nobody(log):
    @tasks.task("tests.failing")
    def fails() -> None:
        failing()

    fails.apply()
    assert any("tests.failing failed" in line and "IntegrityError" in line for line in log.lines)

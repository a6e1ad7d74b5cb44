"""Fixtures of the flow: received uploads made from synthetic films, a registered model, films taken in."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from diagnosis.models import Job, ModelVersion, Prediction, Radiograph, Report
from diagnosis.services import infer, reporting
from diagnosis.services.intake import study_create
from diagnosis.services.models import model_activate, model_register
from diagnosis.services.pauses import Pauses
from diagnosis.services.prepare import prepare_next
from diagnosis.services.presence import Presence
from diagnosis.uploads import FilmUpload
from patients.models import Patient, User
from tests import factories
from tests.diagnosis.predictors import model_folder_make
from tests.diagnosis.workers import Workers, hints_forget
from tests.synthetic import as_png, synthetic_film


def small_film(film_id: uuid.UUID) -> bytes:
    return as_png(synthetic_film(film_id.int % 1000, size=(256, 256), film_id=film_id))


UploadOf = Callable[..., FilmUpload]
TakeIn = Callable[..., Radiograph]


@pytest.fixture(autouse=True)
def hints(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Hints are listed here instead of being sent, except where real workers wait for them."""
    sent: list[str] = []
    if request.node.get_closest_marker("workers"):
        return sent

    def publish(kind: str, count: int = 1, *, enough: int | None = None) -> bool:
        sent.extend([str(kind)] * count)
        return True

    for module in ("intake", "models", "queue", "recovery"):  # prepare calls it in queue
        monkeypatch.setattr(f"diagnosis.services.{module}.hint_publish", publish)
    return sent


@pytest.fixture
def workers(model: ModelVersion, settings: Any, tmp_path: Path) -> Iterator[Workers]:
    """Real processes, with faults that some films bring along, a short lease and frequent sweeps."""
    settings.JOB_LEASE_SECONDS = 3
    settings.SWEEP_SECONDS = 1
    settings.PREDICTOR_LOADER = "tests.diagnosis.worker_faults.load"
    hints_forget()
    running = Workers(tmp_path)
    yield running
    running.end()
    hints_forget()


@pytest.fixture
def send(take_in: TakeIn) -> Callable[[uuid.UUID], Radiograph]:
    """Send a small film that carries this id."""

    def one(film_id: uuid.UUID) -> Radiograph:
        return take_in(data=small_film(film_id))

    return one


@pytest.fixture
def upload_of() -> UploadOf:
    """`upload_of(data, name, content_type)`: a file as the upload handler hands it over."""

    def make(data: bytes, name: str = "film.png", content_type: str = "image/png") -> FilmUpload:
        upload = FilmUpload(name, content_type, len(data), None)
        upload.write(data)
        upload.flush()
        upload.sha256 = hashlib.sha256(data).hexdigest()
        return upload

    return make


@pytest.fixture
def film(upload_of: UploadOf) -> FilmUpload:
    return upload_of(as_png(synthetic_film(1)))


@pytest.fixture
def model(
    db: None,
    tmp_path: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    hints: list[str],
) -> ModelVersion:
    """An active model whose predictor reads the film's id out of its pixels."""
    settings.PREDICTOR_LOADER = "tests.diagnosis.predictors.load_reader"
    settings.ALLOW_FAKE_RESULTS = True
    monkeypatch.setattr(infer, "PRESENCE", Presence())
    monkeypatch.setattr(infer, "PAUSES", Pauses())
    registered = model_activate(
        model=model_register(folder=model_folder_make(tmp_path / "reader"), by="test"), by="test"
    )
    hints.clear()
    return registered


@pytest.fixture
def take_in(user_for: Callable[..., User], patient: Patient, upload_of: UploadOf) -> TakeIn:
    """`take_in(seed, film_id=…)` sends one synthetic film for the patient and gives its row."""

    def take(seed: int = 1, *, film_id: uuid.UUID | None = None, data: bytes = b"", **fields: Any) -> Radiograph:
        data = data or as_png(synthetic_film(seed, film_id=film_id))
        fields = {"user": user_for("operator"), "patient": patient} | fields
        return study_create(upload=upload_of(data), **fields).radiograph

    return take


@pytest.fixture
def prepared(take_in: TakeIn) -> Callable[..., Job]:
    """As `take_in`, prepared too: the waiting infer job of the film."""

    def make(seed: int = 1, **fields: Any) -> Job:
        radiograph = take_in(seed, **fields)
        while prepare_next(worker="test"):
            pass
        return Job.objects.get(radiograph=radiograph, kind="infer")

    return make


# --- reports


@pytest.fixture
def radiologist(user_for):
    return user_for("radiologist")


@pytest.fixture
def study(patient):
    return factories.study_make(patient)


@pytest.fixture
def prediction(study) -> Prediction:
    """The model reports pneumonia, and neither effusion nor anything else."""
    return factories.predicted_film_make(study)


@pytest.fixture
def draft(study, prediction, radiologist) -> Report:
    return reporting.draft_open(user=radiologist, study=study)

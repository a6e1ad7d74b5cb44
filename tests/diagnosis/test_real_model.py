"""Real weights through the site's own loader: added, activated, answered, gone back from; the served bytes are those
that were compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command

from diagnosis.models import Job, ModelVersion, Prediction
from diagnosis.services import infer
from diagnosis.services.infer import infer_waiting
from diagnosis.services.model_files import model_folder
from diagnosis.services.presence import Presence
from mlcore.backbones import Architecture, build_served
from mlcore.card import CARD_FILE, WEIGHTS_FILE
from mlcore.preprocess import PreprocessingSpec
from mlcore.registry import bundled_folder

pytestmark = pytest.mark.django_db
SIZE = (32, 32)


ARCHITECTURE = Architecture("mobilenet_v2", SIZE, labels=3)


def folder_make(folder: Path, network: Any, version: str, bias: list[float]) -> Path:
    """A model folder of a real small network without training, whose answers lean as `bias` says."""
    folder.mkdir(parents=True)
    kernel, _ = network.get_layer("bias").get_weights()
    network.get_layer("bias").set_weights([kernel, np.array(bias, np.float32)])
    network.save_weights(folder / WEIGHTS_FILE)
    card = json.loads((bundled_folder() / CARD_FILE).read_text())
    card |= {
        "name": "tiny",
        "version": version,
        "sha256": hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest(),
        "architecture": ARCHITECTURE.to_json(),
        "preprocessing": PreprocessingSpec(size=SIZE).to_json(),
        "metrics": {},
        "artefacts": [],
    }
    (folder / CARD_FILE).write_text(json.dumps(card))
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("compared")
    network = build_served(ARCHITECTURE)
    leaning = {"1.0.0": [4.0, 0.0, 0.0], "2.0.0": [0.0, 4.0, 0.0]}
    return {version: folder_make(base / version, network, version, bias) for version, bias in leaning.items()}


@pytest.mark.timeout(300)
def test_activated_it_answers_gone_back_the_former_does(
    folders: dict[str, Path],
    prepared: Callable[..., Job],
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.INFER_ENGINE = "keras"
    monkeypatch.setattr(infer, "PRESENCE", Presence())

    def next_film(seed: int) -> Prediction:
        job = prepared(seed)
        infer_waiting(worker="test")
        return Prediction.objects.get(radiograph=job.radiograph)

    call_command("model", "add", str(folders["1.0.0"]), "--activate")
    call_command("model", "add", str(folders["2.0.0"]), "--activate")
    second = next_film(1)
    call_command("model", "rollback")
    first = next_film(2)
    assert [each.model_version.version for each in (second, first)] == ["2.0.0", "1.0.0"]
    assert second.findings.order_by("-probability").first().label == "pneumonia"
    assert first.findings.order_by("-probability").first().label == "normal"
    assert infer.PRESENCE.model_sha256 == first.model_version.sha256
    assert first.engine.startswith("keras-")


def test_the_served_bytes_are_those_that_were_compared(folders: dict[str, Path]) -> None:
    call_command("model", "add", str(folders["1.0.0"]), "--activate")
    model = ModelVersion.objects.get()
    served = model_folder(model)
    for name in (WEIGHTS_FILE, CARD_FILE):
        assert (served / name).read_bytes() == (folders["1.0.0"] / name).read_bytes()


def test_a_worker_refuses_other_bytes(
    folders: dict[str, Path], prepared: Callable[..., Job], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.INFER_ENGINE = "keras"
    monkeypatch.setattr(infer, "PRESENCE", Presence())
    call_command("model", "add", str(folders["1.0.0"]), "--activate")
    served = model_folder(ModelVersion.objects.get()) / WEIGHTS_FILE
    served.write_bytes(folders["2.0.0"].joinpath(WEIGHTS_FILE).read_bytes())
    prepared(1)
    infer_waiting(worker="test")
    assert not Prediction.objects.exists()
    assert "sha256" in infer.PRESENCE.note
    assert Job.objects.get(kind="infer").attempt == 0

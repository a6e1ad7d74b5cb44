"""Every command of the study, as its user types it, on 200 of the shared films with a tiny budget; a network of a
second's training stands in the place of SqueezeNet and of ResNet50. The real ones are built in their own tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlcore.__main__ import main
from mlcore.backbones import BACKBONES, Backbone
from mlcore.training.dataset import DEFAULT_DATA
from tests.mlcore import test_chestnet

pytestmark = [
    pytest.mark.skipif(not DEFAULT_DATA.is_dir(), reason=f"the shared films are not at {DEFAULT_DATA}"),
    pytest.mark.timeout(900),
]
_TINY = ["--limit", "67", "--replicates", "20", "--size", "64", "--weights", "none", "--epochs", "1"]


@pytest.fixture(autouse=True)
def _small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKBONES, "squeezenet", BACKBONES["tiny"])
    residual = f"{test_chestnet.__name__}.{test_chestnet.tiny_residual.__name__}"
    monkeypatch.setitem(BACKBONES, "resnet50", Backbone(residual, 64, "caffe"))


def test_train_makes_a_model_that_evaluate_finds_as_its_card_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, again = tmp_path / "run", tmp_path / "evaluation"
    assert main(["train", *_TINY, "--network", "squeezenet", "--per-epoch", "64", "--out", str(run)]) == 0
    measure = ["evaluate", "--limit", "67", "--replicates", "20", "--no-sweep", "--model", str(run / "model")]
    assert main([*measure, "--out", str(again)]) == 0
    document = json.loads((again / "evaluation.json").read_text())
    assert document["model"]["sha256"] in (run / "model" / "card.json").read_text()
    assert set(document["test"]["parts"]) == {"pooled", "within Kermany pediatric", "within NIH ChestX-ray14"}


@pytest.mark.parametrize(
    ("recipe", "options"),
    [
        ("transfer_study", ["--only", "squeezenet"]),
        ("varshni2019", ["--backbone", "squeezenet"]),
        ("abiyev2018", []),
        ("rahman2020", ["--only", "squeezenet"]),
        ("chexnet2017", ["--backbone", "squeezenet", "--only", "squeezenet"]),
        ("chestnet2018", ["--backbone", "resnet50", "--only", "chestnet", "--limit", "20"]),
    ],
)
def test_recipe_runs_and_sets_its_figure_beside_the_papers(recipe: str, options: list[str], tmp_path: Path) -> None:
    assert main(["recipe", recipe, *_TINY, *options, "--out", str(tmp_path)]) == 0
    document = json.loads((tmp_path / f"{recipe}.json").read_text())
    assert document["differences"]
    assert not any(one["comparable"] for one in document["comparisons"])

"""ChestNet and CheXNet as recipes: two branches, what the second adds, and only the findings that can be measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlcore.backbones import BACKBONES, Backbone
from mlcore.training.films import TrainingError
from mlcore.training.recipes import RECIPES, chestnet2018, chexnet2017
from mlcore.training.recipes.common import Options
from mlcore.training.tasks import CHESTXRAY14
from mlcore.training.train import Plan
from tests.mlcore.fourteen import nih_folder


def tiny_residual(input_shape: tuple[int, ...], include_top: bool, weights: None) -> Any:
    """Two stages under the names that Keras gives the last two of a residual network."""
    import keras

    film = keras.Input(input_shape)
    middle = keras.layers.Conv2D(8, 8, strides=8, activation="relu", name="conv4_block1_out")(film)
    return keras.Model(film, keras.layers.Conv2D(12, 2, strides=2, activation="relu", name="conv5_block1_out")(middle))


@pytest.fixture(autouse=True)
def _small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKBONES, "resnet50", Backbone(f"{__name__}.tiny_residual", 64, "caffe"))
    monkeypatch.setitem(BACKBONES, "densenet121", replace(BACKBONES["tiny"]))
    monkeypatch.setattr(chestnet2018, "WIDTH", 16)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Effusion on 20 films of every split, mass on 10."""
    return nih_folder(tmp_path_factory.mktemp("nih") / "films", train=40, val=40, test=40)


@pytest.fixture
def options(data: Path, tmp_path: Path) -> Options:
    return Options(data, tmp_path / "out", epochs=1, size=64, weights="none", replicates=20, backbone="", only=())


def network() -> Any:
    return chestnet2018.chestnet(CHESTXRAY14, Plan(backbone="resnet50", size=64, weights="none", dropout=0.0))


def test_both_recipes_are_on_the_list() -> None:
    assert {"chexnet2017", "chestnet2018"} <= set(RECIPES)


def test_the_answer_is_the_mean_of_the_two_branches() -> None:
    import keras

    chestnet = network()
    films = np.random.default_rng(0).random((2, 64, 64, 1), dtype=np.float32)
    branches = keras.Model(
        chestnet.input, [chestnet.get_layer(name).output for name in ("classification", "attention")]
    )
    classified, attended = (np.asarray(value) for value in branches(films, training=False))
    answer = np.asarray(chestnet(films, training=False))
    assert answer.shape == (2, len(CHESTXRAY14.labels))
    assert np.ptp(attended) > 0
    np.testing.assert_allclose(answer, (classified + attended) / 2, atol=1e-5)


def test_a_findings_map_is_a_share_of_the_film() -> None:
    import keras

    chestnet = network()
    films = np.random.default_rng(0).random((1, 64, 64, 1), dtype=np.float32)
    shares = next(layer for layer in chestnet.layers if isinstance(layer, keras.layers.Softmax))
    values = np.asarray(keras.Model(chestnet.input, shares.output)(films, training=False))
    assert values.shape == (1, 8 * 8, len(CHESTXRAY14.labels))
    np.testing.assert_allclose(values.sum(1), 1, atol=1e-5)


def test_attention_branch_needs_a_residual_network(options: Options) -> None:
    with pytest.raises(TrainingError, match="residual network"):
        chestnet2018.run(replace(options, backbone="densenet121"))


def test_chestnet_reports_what_the_attention_branch_adds(options: Options) -> None:
    document = chestnet2018.run(replace(options, backbone="resnet50"))
    assert [system["system"] for system in document["systems"]] == ["chestnet", "classification branch alone"]
    both, alone = (system["facts"]["parameters"] for system in document["systems"])
    assert both > alone
    (pair,) = document["paired"]
    assert set(pair["difference"]["pooled"]) >= {"value", "low", "high", "p"}
    assert "Every finding" in (options.out / "chestnet2018.html").read_text()


@pytest.fixture
def chexnet(options: Options) -> dict[str, Any]:
    return chexnet2017.run(options)


def test_chexnet_measures_only_findings_with_enough_films_and_names_the_others(chexnet: dict[str, Any]) -> None:
    (system,) = chexnet["systems"]
    assert system["labels"] == ["effusion"]
    assert set(system["evaluation"]["parts"]["pooled"]["labels"]) == {"effusion"}
    said = " ".join(chexnet["differences"])
    assert "mass (10 train, 10 val, 10 test)" in said
    assert "hernia (0 train, 0 val, 0 test)" in said
    assert "40 films teach here" in said
    assert "effusion (20 train, 20 val, 20 test)" in said
    assert all(not row["comparable"] for row in chexnet["comparisons"])
    assert {row["metric"] for row in chexnet["comparisons"]} == {"macro_auroc", "auroc.effusion"}


def test_a_trial_measures_what_it_has_and_says_that_it_is_one(options: Options) -> None:
    document = chexnet2017.run(replace(options, limit=16))
    assert set(document["systems"][0]["labels"]) == {"effusion", "mass"}
    assert any("trial" in line for line in document["differences"])

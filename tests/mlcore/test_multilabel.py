"""A model of 14 findings answers for each by itself, and says nothing of those it was not trained on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlcore.__main__ import main
from mlcore.backbones import build_served
from mlcore.card import WEIGHTS_FILE, Calibration, ModelCard, card_from_json, load_card
from mlcore.contracts import ModelIntegrityError
from mlcore.explain import finding_map
from mlcore.interpret import interpret, urgency
from mlcore.pipeline import Pipeline
from mlcore.predictors.base import Predictor
from mlcore.predictors.fake import FakePredictor
from mlcore.registry import load_predictor
from mlcore.training.tasks import CHESTXRAY14_LABELS
from tests.films import synthetic_film
from tests.mlcore.fourteen import TRAINED, UNTRAINED, fourteen_folder, nih_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fourteen_folder(tmp_path_factory.mktemp("models") / "fourteen")


@pytest.fixture(scope="module")
def card(folder: Path) -> ModelCard:
    return load_card(folder)


@pytest.fixture(scope="module")
def predictor(folder: Path, card: ModelCard) -> Predictor:
    return load_predictor(folder, expected_sha256=card.sha256)


@pytest.fixture(scope="module")
def batch() -> np.ndarray:
    return np.random.default_rng(0).random((3, 64, 64, 1), dtype=np.float32)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.png"
    synthetic_film(3).save(path)
    return path


def test_card_written_before_there_were_several_labels_reads_as_exclusive(card: ModelCard) -> None:
    from mlcore.registry import bundled_folder

    value = load_card(bundled_folder()).to_json()
    del value["architecture"]["exclusive"]
    for label in value["labels"]:
        del label["trained"]
    old = card_from_json(value)
    assert old.architecture.exclusive
    assert old.calibration.exclusive
    assert all(label.trained for label in old.labels)


def test_card_of_fourteen_findings_survives_json(card: ModelCard) -> None:
    assert card_from_json(json.loads(json.dumps(card.to_json()))) == card
    assert card.label_keys == TRAINED


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v: v["operating_points"].update(hernia=0.5), "operating point"),
        (lambda v: v["operating_points"].pop("edema"), "operating point"),
        (lambda v: v["operating_points"].clear(), "fit them on labelled films"),
        (lambda v: v["calibration"]["bias"].append(0.0), "bias"),
        (lambda v: [label.update(trained=False) for label in v["labels"]], "no label is trained"),
        (lambda v: v["architecture"].update(exclusive=True), "together or not at all"),
    ],
)
def test_card_whose_thresholds_and_trained_labels_differ_is_refused(card: ModelCard, change: Any, said: str) -> None:
    value = json.loads(json.dumps(card.to_json()))
    change(value)
    with pytest.raises(ModelIntegrityError, match=said):
        card_from_json(value)


def test_outputs_that_were_not_trained_do_not_leave_the_engine(
    folder: Path, card: ModelCard, predictor: Predictor, batch: np.ndarray
) -> None:
    output = predictor.predict(batch)
    network = build_served(card.architecture)
    network.load_weights(folder / WEIGHTS_FILE)
    probabilities, maps = (np.asarray(value) for value in network(batch, training=False))
    places = [CHESTXRAY14_LABELS.index(label) for label in TRAINED]
    assert probabilities.shape == (3, len(CHESTXRAY14_LABELS))
    np.testing.assert_allclose(output.probabilities, probabilities[:, places], atol=1e-5)
    np.testing.assert_allclose(output.maps, maps[..., places], atol=1e-4)


def test_each_probability_is_the_sigmoid_of_the_mean_of_its_own_map(predictor: Predictor, batch: np.ndarray) -> None:
    output = predictor.predict(batch)
    expected = 1 / (1 + np.exp(-output.maps.mean((1, 2))))  # fresh weights: the bias behind the pooling is zero
    np.testing.assert_allclose(output.probabilities, expected, atol=1e-5)
    assert not np.allclose(output.probabilities.sum(1), 1, atol=0.1)


def test_label_is_calibrated_by_its_own_bias_and_the_temperature(card: ModelCard) -> None:
    scores = np.full(len(TRAINED), 0.8, np.float32)
    odds = np.log(0.8 / 0.2) / 2 + np.array([-1 + 0.1 * k for k in range(len(TRAINED))])
    np.testing.assert_allclose(card.calibration.apply(scores), 1 / (1 + np.exp(-odds)), atol=1e-5)


def test_calibration_keeps_certain_scores_finite() -> None:
    certain = Calibration(0.5, (0.0, 0.0), exclusive=False).apply(np.array([[0.0, 1.0]], np.float32))
    np.testing.assert_allclose(certain, [[0, 1]], atol=1e-5)


def test_findings_do_not_weaken_one_another(card: ModelCard) -> None:
    alone, together = np.full((2, len(TRAINED)), 0.01, np.float32)
    alone[0], together[:4] = 0.99, 0.99
    first = interpret(alone, card)[0]
    assert interpret(together, card)[0] == first
    assert [finding.word for finding in interpret(together, card)[4:]] == ["absent"] * (len(TRAINED) - 4)


def test_urgency_is_that_of_the_worst_finding(card: ModelCard) -> None:
    scores = np.full(len(TRAINED), 1e-6, np.float32)
    assert urgency(interpret(scores, card), card) < 0.01
    scores[TRAINED.index("pneumothorax")] = 1
    assert urgency(interpret(scores, card), card) > 0.99


def test_fake_predictor_answers_for_the_trained_labels_only(card: ModelCard, batch: np.ndarray) -> None:
    fake = FakePredictor(card)
    output = fake.predict(batch)
    assert output.probabilities.shape == (3, len(TRAINED))
    assert output.maps.shape[-1] == len(TRAINED)
    assert ((fake.film_probabilities("film") > 0) & (fake.film_probabilities("film") <= 1)).all()
    assert fake.film_probabilities("film").sum() > 1.5


def test_map_of_a_finding_of_its_own_does_not_depend_on_the_others() -> None:
    maps = np.ones((2, 2, 3), np.float32)
    maps[0, 0, 1] = 4
    np.testing.assert_allclose(finding_map(maps, 1, exclusive=False), [[1, 0.25], [0.25, 0.25]])
    np.testing.assert_allclose(finding_map(maps, 1), [[1, 0], [0, 0]])


def test_pipeline_gives_a_finding_per_trained_label_and_none_else(predictor: Predictor, film: Path) -> None:
    result, _, output = Pipeline(predictor).run_with_maps(film.read_bytes(), film.name)
    assert tuple(finding.label for finding in result.findings) == TRAINED
    assert output is not None
    assert output.maps.shape[-1] == len(TRAINED)


def test_clinic_threshold_for_an_untrained_label_shows_nothing(predictor: Predictor, film: Path) -> None:
    result = Pipeline(predictor, {"hernia": 0.1}).run(film.read_bytes(), film.name)
    assert "hernia" not in {finding.label for finding in result.findings}


@pytest.mark.parametrize("as_json", [True, False])
def test_command_line_names_no_untrained_label(
    folder: Path, film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    overlays = tmp_path / "maps"
    arguments = ["predict", str(film), "--model", str(folder), "--overlay", str(overlays)]
    assert main([*arguments, "--json"] if as_json else arguments) == 0
    said = capsys.readouterr().out
    assert all(label in said for label in TRAINED)
    assert not any(label in said for label in UNTRAINED)
    assert len(list(overlays.iterdir())) == len(TRAINED)


def test_score_of_an_untrained_label_is_refused_rather_than_named(card: ModelCard) -> None:
    everything = np.full(len(CHESTXRAY14_LABELS), 0.5, np.float32)
    with pytest.raises(ValueError, match="trained label"):
        interpret(everything, card)


def test_threshold_outside_the_range_is_refused(card: ModelCard) -> None:
    points = {**card.operating_points, "edema": 1.2}
    with pytest.raises(ModelIntegrityError):
        card_from_json(replace(card, operating_points=points).to_json())


def test_training_on_several_findings_gives_a_model_that_shows_those_with_enough_films(tmp_path: Path) -> None:
    data = nih_folder(tmp_path / "films", train=16, val=40, test=24)
    arguments = ["train", "--task", "chestxray14", "--network", "tiny", "--weights", "none", "--size", "64"]
    arguments += ["--epochs", "1", "--per-epoch", "16", "--replicates", "20"]
    assert main([*arguments, "--data", str(data), "--out", str(tmp_path / "run")]) == 0
    trained = load_card(tmp_path / "run" / "model")
    assert tuple(label.key for label in trained.labels) == CHESTXRAY14_LABELS
    assert not trained.architecture.exclusive
    assert trained.label_keys == ("effusion",)  # 20 validation films have it, 10 a mass, none anything else
    assert set(trained.operating_points) == {"effusion"}
    assert "auroc.effusion" in trained.metrics["test"]["parts"]["pooled"]["figures"]

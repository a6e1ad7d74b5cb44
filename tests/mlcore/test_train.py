"""Training learns what can be learned, says what it did, and refuses what it cannot do."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import keras
import numpy as np
import pytest

from mlcore.__main__ import main
from mlcore.preprocess import standardise
from mlcore.training.batches import TrainingBatches, balanced_draw, class_weights, log_priors, plain_draw, strata
from mlcore.training.dataset import Film, Samples, TrainingError
from mlcore.training.tasks import CHESTXRAY14, THREE
from mlcore.training.train import Plan, Run, load_scores, predict_scores, save_scores, train
from tests.films import synthetic_film
from tests.mlcore.conftest import tiny_backbone
from tests.mlcore.separable import HALVES, PLAN, linear, plan, samples, several, train_here


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train_here(tmp_path_factory.mktemp("separable"))


@pytest.fixture(scope="module")
def backbone_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the tiny backbone, whose normalisation has seen something."""
    backbone = tiny_backbone((64, 64, 3), False, None)
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(layer.moving_mean + 0.5)
    path = tmp_path_factory.mktemp("weights") / "tiny.weights.h5"
    backbone.save_weights(path)
    return path


def tiny_samples() -> Samples:
    small = samples(24)
    return replace(small, pictures=np.repeat(np.repeat(small.pictures, 2, axis=1), 2, axis=2))


def backbone_of(model: keras.Model) -> keras.Model:
    return next(layer for layer in model.layers if isinstance(layer, keras.Model))


def test_separable_films_are_learned_within_every_source(run: Run) -> None:
    best = max(entry["score"] for entry in run.log)
    assert best > 0.98
    assert run.best_epoch == next(entry["epoch"] for entry in run.log if entry["score"] == best)
    assert {"source 0", "source 1"} < set(run.log[0])


def test_run_on_disk_names_plan_films_machine_and_versions(run: Run) -> None:
    stored = json.loads((run.out / "run.json").read_text())
    assert stored == json.loads(json.dumps(run.to_json()))
    assert stored["plan"]["seed"] == 1
    assert stored["task"]["labels"] == list(THREE.labels)
    assert stored["films"]["films"] == 96
    assert set(stored["versions"]) >= {"python", "keras"}


def test_logs_hold_every_epoch_as_table_and_for_tensorboard(run: Run) -> None:
    with (run.out / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4]
    assert float(rows[-1]["loss"]) == run.log[-1]["loss"]
    assert list((run.out / "tensorboard").rglob("events.*"))


def test_kept_scores_are_those_of_the_best_weights(run: Run) -> None:
    val = samples().select([film.split == "val" for film in samples().films])
    hashes, labels, scores = load_scores(run.out / "val.scores.npz")
    assert hashes == [film.sha256 for film in val.films]
    assert labels == list(THREE.labels)
    np.testing.assert_allclose(predict_scores(run.model(), val, THREE, PLAN.spec), scores, atol=1e-5)


def test_scores_are_of_the_films_as_serving_prepares_them(run: Run) -> None:
    few = samples().select([i < 5 for i in range(96)])
    inputs = np.stack([standardise(picture.astype(np.float32) / 255, PLAN.spec) for picture in few.pictures[:5]])
    network = run.model()
    expected = keras.ops.convert_to_numpy(keras.ops.softmax(network(inputs)))
    np.testing.assert_allclose(predict_scores(network, few, THREE, PLAN.spec), expected, atol=1e-4)


def test_scores_of_no_film_are_an_empty_table(run: Run) -> None:
    assert predict_scores(run.model(), samples().select([False] * 96), THREE, PLAN.spec).shape == (0, 3)


def test_stored_scores_come_back_without_pickles(tmp_path: Path) -> None:
    films, scores = samples().films[:2], np.array([[0.25, 0.5, 0.25], [0, 1, 0]], np.float32)
    save_scores(tmp_path / "x.npz", films, THREE.labels, scores)
    hashes, labels, again = load_scores(tmp_path / "x.npz")
    assert (hashes, labels) == (["hash 0", "hash 1"], list(THREE.labels))
    np.testing.assert_array_equal(again, scores)


def test_labels_that_go_together_are_learned_one_by_one(tmp_path: Path) -> None:
    many = samples(draw=several)
    run = train(many, HALVES, plan(epochs=2), tmp_path, linear)
    scores = predict_scores(run.model(), many, HALVES, PLAN.spec)
    for k, label in enumerate(HALVES.labels):
        held = np.array([label in film.findings for film in many.films])
        assert scores[held, k].min() > scores[~held, k].max()
    assert (scores[[film.findings == {"top", "left"} for film in many.films]].sum(1) > 1).all()


@pytest.mark.parametrize(("balance", "rare"), [("weights", (0.35, 0.65)), ("none", (0.0, 0.3))])
def test_class_weights_make_a_rare_label_count_as_much(tmp_path: Path, balance: str, rare: tuple[float, float]) -> None:
    """On films that say nothing, the mean probability is the share of the label as the loss counts it."""
    noise = samples(draw=lambda i: frozenset({"top"} if i % 12 == 5 else ()))
    blank = replace(noise, pictures=np.full_like(noise.pictures, 128))
    two = replace(THREE, labels=("normal", "pneumonia"))
    run = train(blank, two, plan(balance=balance, prior_floor=1, per_epoch=640, epochs=1), tmp_path, linear)
    low, high = rare
    assert low < load_scores(run.out / "val.scores.npz")[2][:, 1].mean() < high


def test_training_stops_when_nothing_gets_better_and_stays_stopped(tmp_path: Path) -> None:
    stopped = train_here(tmp_path, rate=0.0, patience=2, epochs=50)
    assert [entry["epoch"] for entry in stopped.log] == [1, 2, 3]
    assert train_here(tmp_path, rate=0.0, patience=2, epochs=50).log == stopped.log


def test_loss_without_bounds_is_said_plainly(tmp_path: Path) -> None:
    def explodes(task: object, plan: Plan) -> keras.Model:
        film = keras.Input((plan.size, plan.size, 1))
        return keras.Model(film, keras.layers.Dense(3)(keras.layers.Flatten()(film)) * float("nan"))

    with pytest.raises(TrainingError, match="lower rate"):
        train(samples(), THREE, plan(epochs=1), tmp_path, explodes)


def test_run_with_another_plan_or_other_films_is_not_continued(run: Run) -> None:
    with pytest.raises(TrainingError, match=r"rate 0\.02, not 0\.5"):
        train_here(run.out, rate=0.5)
    with pytest.raises(TrainingError, match="another split"):
        train(samples(90), THREE, PLAN, run.out, linear)


def test_films_of_one_split_only_are_refused(tmp_path: Path) -> None:
    alone = samples().select([film.split == "train" for film in samples().films])
    with pytest.raises(TrainingError, match="train and the val"):
        train(alone, THREE, PLAN, tmp_path, linear)


def test_frozen_epochs_train_the_head_only(tmp_path: Path, backbone_file: Path) -> None:
    frozen = Plan(backbone="tiny", size=64, weights=str(backbone_file), head_epochs=1, epochs=0, per_epoch=16, batch=8)
    run = train(tiny_samples(), THREE, frozen, tmp_path)
    start = tiny_backbone((64, 64, 3), False, str(backbone_file))
    for before, after in zip(start.get_weights(), backbone_of(run.model()).get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert [entry["phase"] for entry in run.log] == ["head"]


def test_fine_tuning_after_the_head_leaves_the_statistics_of_pretrained_layers(
    tmp_path: Path, backbone_file: Path
) -> None:
    both = Plan(
        backbone="tiny", size=64, weights=str(backbone_file), augment="none", head_epochs=1, epochs=1, per_epoch=16,
        batch=8, average=0,
    )  # fmt: skip
    run = train(tiny_samples(), THREE, both, tmp_path)
    assert [entry["phase"] for entry in run.log] == ["head", "tune"]
    start = tiny_backbone((64, 64, 3), False, str(backbone_file))
    for before, after in zip(start.layers, backbone_of(run.model()).layers, strict=True):
        if isinstance(before, keras.layers.BatchNormalization):
            np.testing.assert_array_equal(before.moving_mean, after.moving_mean)


def test_from_scratch_the_statistics_are_learned_too(tiny_run: Path) -> None:
    from mlcore.backbones import build_member
    from tests.mlcore.conftest import TINY

    member = build_member(TINY, dropout=0.1)
    member.load_weights(tiny_run / "best.weights.h5")
    norm = next(la for la in backbone_of(member).layers if isinstance(la, keras.layers.BatchNormalization))
    assert np.abs(keras.ops.convert_to_numpy(norm.moving_mean)).max() > 0


def test_network_without_a_frozen_part_has_no_head_epochs(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="head epochs"):
        train_here(tmp_path, head_epochs=1)


def test_weights_that_cannot_be_fetched_offline_are_said_plainly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", unreachable)
    monkeypatch.setattr("keras.src.backend.config.keras_home", lambda: str(tmp_path / "keras"))
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path / "keras"))
    with pytest.raises(TrainingError, match=r"no route to host.*--weights .*none"):
        train(tiny_samples(), THREE, Plan(size=64), tmp_path)


def test_weights_file_that_is_not_there_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"nowhere\.h5"):
        train(tiny_samples(), THREE, Plan(size=64, weights=str(tmp_path / "nowhere.h5")), tmp_path)


def test_half_precision_is_used_and_leaves_no_trace(tmp_path: Path) -> None:
    seen = []

    def build(task: object, plan: Plan) -> keras.Model:
        seen.append(keras.config.dtype_policy().name)
        return linear(THREE, plan)

    run = train(samples(), THREE, plan(precision="mixed_float16", epochs=2), tmp_path, build)
    assert seen == ["mixed_float16", "float32"]  # to train, and to measure at the end
    assert {weight.dtype for weight in run.model().weights} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"
    assert run.log[-1]["score"] > 0.9


def test_draw_is_balanced_over_source_and_label_and_repeatable() -> None:
    of = [("a", "x")] * 3 + [("a", "y")] * 40 + [("b", "x")] * 7
    drawn = balanced_draw(of, 30, np.random.default_rng(1))
    assert {stratum: [of[i] for i in drawn].count(stratum) for stratum in set(of)} == dict.fromkeys(set(of), 10)
    np.testing.assert_array_equal(drawn, balanced_draw(of, 30, np.random.default_rng(1)))


def test_plain_draw_shows_every_film_once() -> None:
    assert sorted(plain_draw(9, 0, np.random.default_rng(1))) == list(range(9))


def test_last_batch_is_as_large_as_the_others() -> None:
    batches = TrainingBatches(samples(), THREE, count=20, balance="none", floor=1, batch=8, seed=1)
    assert [len(batches[i][1]) for i in range(len(batches))] == [8, 8, 8]


def test_film_with_several_labels_counts_as_its_rarest() -> None:
    def film(*findings: str) -> Film:
        return Film(Path(), "", "train", "", "NIH ChestX-ray14", "", "", frozenset(findings))

    of = strata([film("mass"), film("mass", "hernia"), film(), film("mass")], CHESTXRAY14)
    assert [label for _, label in of] == ["mass", "hernia", "none", "mass"]


def test_prior_of_a_source_says_which_labels_it_holds(films: list[Film]) -> None:
    priors = np.exp(log_priors(films, THREE.targets(films), "strata", 0.02))
    source = np.array([film.source for film in films])
    np.testing.assert_allclose(priors[source == "adults"], 1 / 3, atol=1e-6)
    np.testing.assert_allclose(priors[source == "children"][:, 2], 0.02 / 2.02, atol=1e-6)


def test_class_weights_give_every_label_the_same_sum() -> None:
    targets = np.array([[1, 0]] * 9 + [[0, 1]], np.float32)
    present = class_weights(targets, exclusive=True)[1]
    assert (targets * present).sum(0) == pytest.approx([5, 5])
    absent, present = class_weights(targets, exclusive=False)
    assert (targets * present).sum(0) == pytest.approx(((1 - targets) * absent).sum(0))


def test_command_trains_members_and_writes_a_model_folder(
    film_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--data", str(film_folder), "--out", str(tmp_path), "--network", "tiny", "--weights", "none",
               "--epochs", "1", "--per-epoch", "16", "--batch", "8", "--members", "2", "--limit", "10",
               "--augment", "paper", "--replicates", "20", "--name", "trial", "--version", "1.2"]  # fmt: skip
    assert main(["train", *options]) == 0
    card = json.loads((tmp_path / "model" / "card.json").read_text())
    assert (card["name"], card["version"], card["architecture"]["members"]) == ("trial", "1.2", 2)
    assert [member["plan"]["seed"] for member in card["training"]["members"]] == [1, 2]
    assert "model: trial 1.2" in capsys.readouterr().out


def test_command_trains_on_folders_named_as_their_owner_likes_and_evaluates_the_model(tmp_path: Path) -> None:
    for place, name in enumerate(("normal", "Tuberculosis")):
        (tmp_path / "films" / name).mkdir(parents=True)
        for seed in range(20):
            film = synthetic_film(100 * place + seed, (256, 256))
            film.save(tmp_path / "films" / name / f"{seed}.png")
    data, run = ["--data", str(tmp_path / "films"), "--replicates", "20"], tmp_path / "run"
    options = ["--task", "normal,tuberculosis", "--network", "tiny", "--weights", "none", "--epochs", "1"]
    assert main(["train", *data, *options, "--per-epoch", "16", "--batch", "8", "--out", str(run)]) == 0
    card = json.loads((run / "model" / "card.json").read_text())
    assert [label["key"] for label in card["labels"]] == ["normal", "tuberculosis"]
    assert main(["evaluate", *data, "--no-sweep", "--model", str(run / "model")]) == 0


def test_a_task_that_is_none_is_refused_with_the_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--task", "tuberculosis", "--out", str(tmp_path / "run")]) == 2
    assert "chestxray14" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--head-epochs", "2", "--weights", "none"), "nothing to keep"),
        (("--epochs", "3", "--patience", "3"), "below --epochs"),
    ],
)
def test_options_that_would_do_nothing_are_refused(
    options: tuple[str, ...], words: str, film_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--data", str(film_folder), "--out", str(tmp_path), *options]) == 2
    assert words in capsys.readouterr().err

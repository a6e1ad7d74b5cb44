"""The papers' systems run end to end on a few synthetic films, go on after a stop, and claim nothing they cannot."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlcore.__main__ import main
from mlcore.backbones import BACKBONES
from mlcore.training.dataset import TrainingError
from mlcore.training.recipes import RECIPES, abiyev2018, rahman2020, transfer_study, varshni2019
from mlcore.training.recipes.common import Options
from mlcore.training.recipes.paper import Claim, Protocol, comparison
from tests.films import synthetic_film
from tests.mlcore.conftest import COLUMNS

KINDS = (
    ("NIH ChestX-ray14", "normal", "No Finding"),
    ("NIH ChestX-ray14", "pneumonia", "Pneumonia"),
    ("NIH ChestX-ray14", "effusion", "Effusion"),
    ("Kermany pediatric", "normal", "Normal"),
    ("Kermany pediatric", "pneumonia", "Pneumonia (bacteria)"),
    ("Kermany pediatric", "pneumonia", "Pneumonia (virus)"),
)
FIGURE = {"value": 0.9, "low": 0.85, "high": 0.94, "n": 400}
BOASTS = ("better", "best", "beat", "win", "outperform", "superior", "state of the art")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four films of every kind the tasks ask for, in every split."""
    folder = tmp_path_factory.mktemp("papers")
    rows = []
    for split in ("train", "val", "test"):
        for source, label, words in KINDS * 4:
            number = len(rows)
            path = folder / f"{number:03d}.png"
            synthetic_film(number, (160, 160)).save(path)
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            rows.append((path.name, label, split, f"patient-{number}", source, source, sha256, words))
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([(*COLUMNS, "labels"), *rows])
    return folder


@pytest.fixture(scope="module")
def options(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Options]:
    """Options of a run of seconds, in a folder of its own per recipe."""
    folder = tmp_path_factory.mktemp("runs")

    def make(name: str, **changes: Any) -> Options:
        tiny = Options(data, folder / name, epochs=1, weights="none", replicates=20)
        return replace(tiny, **changes)

    return make


@pytest.fixture(scope="module")
def abiyev(options: Callable[..., Options]) -> dict[str, Any]:
    return abiyev2018.run(options("abiyev2018"))


@pytest.fixture(scope="module")
def varshni(options: Callable[..., Options]) -> dict[str, Any]:
    return varshni2019.run(options("varshni2019", size=64, backbone="tiny"))


@pytest.fixture(scope="module")
def rahman(options: Callable[..., Options]) -> dict[str, Any]:
    """With a small network in SqueezeNet's place: what is tested is the recipe."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES, "squeezenet", BACKBONES["tiny"])
        return rahman2020.run(options("rahman2020", size=64, only=("squeezenet",)))


@pytest.fixture(scope="module")
def transfer(options: Callable[..., Options]) -> dict[str, Any]:
    return transfer_study.run(options("transfer_study", size=64, only=("tiny",)))


@pytest.fixture(params=["abiyev", "varshni", "rahman", "transfer"])
def document(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(request.getfixturevalue(request.param))


def page(options: Callable[..., Options], document: dict[str, Any]) -> str:
    return (options(document["recipe"]).out / f"{document['recipe']}.html").read_text()


def named(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(system["system"], system["task"]) for system in document["systems"]}


def test_abiyev_sets_three_networks_side_by_side(abiyev: dict[str, Any]) -> None:
    assert named(abiyev) == {(name, "three") for name in ("BPNN", "CpNN", "CNN")}
    assert [(row["first"], row["second"]) for row in abiyev["paired"]] == [("CNN", "BPNN"), ("CNN", "CpNN")]


def test_varshni_asks_four_classifiers_within_every_source(varshni: dict[str, Any]) -> None:
    kinds = ("svm", "forest", "neighbours", "bayes")
    sources = ("Kermany pediatric", "NIH ChestX-ray14")
    assert named(varshni) == {(f"tiny + {kind}", f"pneumonia, {source}") for kind in kinds for source in sources}


def test_varshni_says_which_settings_it_chose_without_the_test_films(varshni: dict[str, Any]) -> None:
    facts = varshni["systems"][0]["facts"]
    assert set(facts["chosen"]) == {"C", "gamma"}
    assert 0 <= facts["cross_validated_auroc"] <= 1


def test_rahman_asks_three_questions(rahman: dict[str, Any]) -> None:
    tasks = ("children-pneumonia", "bacterial-viral", "children-three")
    assert named(rahman) == {("squeezenet", task) for task in tasks}


def test_transfer_study_measures_on_validation_beside_the_source_alone(transfer: dict[str, Any]) -> None:
    pooled = transfer["systems"][0]["evaluation"]["parts"]["pooled"]
    assert transfer["split"] == "val"
    assert transfer["comparisons"][0]["source_only"] == pooled["baselines"]["source_only"]["accuracy"]


def test_systems_that_were_not_run_are_named_with_their_command(transfer: dict[str, Any]) -> None:
    commands = {row["system"]: row["command"] for row in transfer["not_run"]}
    assert len(commands) == 10
    assert commands["densenet169"].endswith("--only densenet169")


def test_paper_s_figure_stands_beside_ours_with_films_and_interval(document: dict[str, Any]) -> None:
    assert document["comparisons"]
    for row in document["comparisons"]:
        assert row["paper"] in {claim["value"] for claim in document["paper"]["claims"]}
        assert row["here"]["low"] <= row["here"]["high"]
        assert row["here"]["n"] > 0


def test_page_names_paper_figure_and_every_difference(
    document: dict[str, Any], options: Callable[..., Options]
) -> None:
    text = page(options, document).replace("&#39;", "'")
    assert all(f"{row['paper']:.4g}" in text for row in document["comparisons"])
    assert all(line in text for line in document["differences"])
    assert document["command"] in text


def test_unverified_figure_is_printed_as_such(abiyev: dict[str, Any], options: Callable[..., Options]) -> None:
    assert "0.924 (unverified)" in page(options, abiyev)


def test_no_report_claims_a_win(document: dict[str, Any]) -> None:
    """On films that are not the paper's, nothing may be compared."""
    for row in document["comparisons"]:
        assert not row["comparable"]
        assert row["sentence"].startswith("Not comparable: ")
    words = " ".join([*document["notes"], *(row["sentence"] for row in document["comparisons"])]).lower()
    assert not [boast for boast in BOASTS if boast in words.split()]


def test_report_holds_no_path_of_the_machine(document: dict[str, Any], options: Callable[..., Options]) -> None:
    written = (options(document["recipe"]).out / f"{document['recipe']}.json").read_text()
    assert str(options("x").out.parent) not in written + page(options, document)
    assert json.loads(written)["recipe"] == document["recipe"]


def test_stopped_run_goes_on_with_the_systems_it_has(
    options: Callable[..., Options], monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = options("stopped", limit=12)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(abiyev2018, "convolutional", killed)
        with pytest.raises(KeyboardInterrupt):
            abiyev2018.run(stopped)
    monkeypatch.setattr(abiyev2018, "competitive", killed)  # made before the stop: must not be made again
    document = abiyev2018.run(stopped)
    assert named(document) == {(name, "three") for name in ("BPNN", "CpNN", "CNN")}


def test_finished_run_is_read_back(
    abiyev: dict[str, Any], options: Callable[..., Options], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlcore.training.train.train", None)
    monkeypatch.setattr("mlcore.training.evaluate.evaluation", None)
    assert abiyev2018.run(options("abiyev2018")) == abiyev


def test_run_with_other_options_is_refused(abiyev: dict[str, Any], options: Callable[..., Options]) -> None:
    with pytest.raises(TrainingError, match="choose another --out"):
        abiyev2018.run(options("abiyev2018", epochs=2))


def test_films_that_cannot_answer_are_refused_by_name(options: Callable[..., Options], film_folder: Path) -> None:
    with pytest.raises(TrainingError, match=r"Normal or pneumonia, children.*no such film"):
        rahman2020.run(options("elsewhere", data=film_folder))


def test_competitive_units_settle_on_the_groups_of_films() -> None:
    random = np.random.default_rng(0)
    centres = np.array([[0, 0], [1, 0], [0, 1]], dtype=np.float32)
    vectors = np.repeat(centres, 50, axis=0) + random.normal(0, 0.05, (150, 2)).astype(np.float32)
    units = abiyev2018.competitive(vectors, units=12, epochs=5, rate=0.1, seed=1)
    won = abiyev2018.winners(vectors, units)
    targets = np.repeat(np.eye(3, dtype=np.float32), 50, axis=0)
    shares = abiyev2018.unit_labels(won, targets, len(units))
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-5)
    assert (shares[won].argmax(1) == targets.argmax(1)).all()


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_states_its_paper_and_its_differences(name: str) -> None:
    module = import_module(f"mlcore.training.recipes.{name}")
    assert module.PAPER.claims
    assert module.DIFFERENCES
    assert "\n" not in module.HELP


@pytest.mark.parametrize("name", RECIPES)
def test_no_figure_of_a_paper_can_be_beaten_on_other_films(name: str) -> None:
    for claim in import_module(f"mlcore.training.recipes.{name}").PAPER.claims:
        ours = replace(claim.protocol, films=1, split="ours, by patient", sources=("children",))
        row = comparison(claim, {"value": 1.0, "low": 1.0, "high": 1.0, "n": 1}, ours, claim.system)
        assert not row["comparable"]
        assert row["sentence"].startswith("Not comparable: ")


PROTOCOL = Protocol(("A",), ("normal", "pneumonia"), "official lists", 400)


def claimed(value: float, verified: bool = True) -> Claim:
    return Claim("network", "task", "accuracy", value, PROTOCOL, verified)


@pytest.mark.parametrize(
    ("value", "said"), [(0.8, "ours is higher"), (0.97, "ours is lower"), (0.9, "no difference is shown")]
)
def test_same_protocol_is_judged_by_the_interval(value: float, said: str) -> None:
    row = comparison(claimed(value), FIGURE, PROTOCOL, "network")
    assert row["comparable"]
    assert said in row["sentence"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sources": ("B",)}, "films: A in the paper, B here"),
        ({"labels": ("normal", "effusion")}, "labels: "),
        ({"split": "ours, by patient"}, "split: official lists in the paper"),
        ({"films": 399}, "number of films tested: 400 in the paper, 399 here"),
    ],
)
def test_every_difference_of_protocol_forbids_comparing(change: dict[str, Any], reason: str) -> None:
    row = comparison(claimed(0.5), FIGURE, replace(PROTOCOL, **change), "network")
    assert not row["comparable"]
    assert reason in row["sentence"]


def test_what_a_paper_does_not_state_never_agrees() -> None:
    unknown = replace(claimed(0.5), protocol=replace(PROTOCOL, films=None))
    assert not comparison(unknown, FIGURE, replace(PROTOCOL, films=None), "network")["comparable"]


@pytest.mark.parametrize(("verified", "system"), [(False, "network"), (True, "another network")])
def test_unverified_figure_or_other_system_is_not_compared(verified: bool, system: str) -> None:
    assert not comparison(claimed(0.5, verified), FIGURE, PROTOCOL, system)["comparable"]


def test_weights_are_found_in_a_folder_by_network(tmp_path: Path) -> None:
    for name in ("resnet50v2_weights_notop.h5", "resnet50_weights_notop.h5", "resnet50_weights.h5",
                 "mobilenet_v2_1.0_224_imagenet_notop.weights.h5", "NASNet-mobile-no-top.h5"):  # fmt: skip
        (tmp_path / name).touch()
    options = Options(tmp_path, tmp_path, weights=str(tmp_path))
    assert Path(options.weights_of("resnet50")).name == "resnet50_weights_notop.h5"
    assert Path(options.weights_of("resnet50_v2")).name == "resnet50v2_weights_notop.h5"
    assert Path(options.weights_of("mobilenet_v2")).name.startswith("mobilenet_v2_1.0")
    assert Path(options.weights_of("nasnet_mobile")).name == "NASNet-mobile-no-top.h5"
    assert options.weights_of("vgg16") == "none"


def test_weights_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="Give imagenet, none, a file or a folder"):
        Options(tmp_path, tmp_path, weights=str(tmp_path / "missing.h5")).weights_of("vgg16")


def test_list_has_one_line_per_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipe", "--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(RECIPES)


def test_unknown_recipe_is_refused_with_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipe", "varshni2020"]) == 2
    said = capsys.readouterr().err
    assert all(name in said for name in ("varshni2020", *RECIPES))


def test_recipe_without_a_place_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipe", "abiyev2018"]) == 2
    assert "--out" in capsys.readouterr().err


def test_command_runs_a_recipe_and_names_its_report(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["recipe", "abiyev2018", "--data", str(data), "--out", str(tmp_path), "--epochs", "1"]
    assert main([*words, "--replicates", "10", "--only", "CpNN"]) == 0
    assert str(tmp_path / "abiyev2018.html") in capsys.readouterr().out
    assert (tmp_path / "abiyev2018.html").exists()

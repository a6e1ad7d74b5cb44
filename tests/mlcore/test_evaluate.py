"""An evaluation says every figure with its interval, what cannot be said, and what guessing without pixels reaches."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlcore.__main__ import main
from mlcore.card import load_card
from mlcore.registry import bundled_folder
from mlcore.training.dataset import Film
from mlcore.training.evaluate import differences, evaluation, paired_difference
from mlcore.training.evaluation_report import PAPER_ACCURACY, pictures, sections, statement
from mlcore.training.report import to_json
from mlcore.training.statistics import wilson
from mlcore.training.tasks import CHESTXRAY14, THREE

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results" / "default" / "evaluation.json"
THRESHOLDS = {"normal": 0.5, "pneumonia": 0.4, "effusion": 0.3}
#: (source, batch, label, films), as in the real films: children have no effusion, adults' labels go with batches.
MADE = (
    ("children", "c1", "normal", 40), ("children", "c1", "pneumonia", 60),
    ("adults", "a1", "normal", 40), ("adults", "a1", "pneumonia", 30),
    ("adults", "a2", "normal", 40), ("adults", "a2", "effusion", 30),
)  # fmt: skip


def made_films() -> list[Film]:
    """One film per line of `MADE` and number; every patient has two, adults have sex and age."""
    films = []
    for source, batch, label, count in MADE:
        for number in range(count):
            adult = source == "adults"
            films.append(
                Film(
                    Path("none"),
                    label,
                    "test",
                    f"{batch}-{label}-{number // 2}",
                    source,
                    batch,
                    f"{len(films):064d}",
                    frozenset() if label == "normal" else frozenset({label}),
                    age=30.0 + number if adult else None,
                    sex="FM"[number % 2] if adult else "",
                    view="PA" if adult and number < 5 else "",
                )
            )
    return films


def guesses(films: Sequence[Film], skill: float, seed: int = 0) -> np.ndarray:
    """Probabilities (films, labels) that know the label the better the greater `skill`."""
    logits = skill * THREE.targets(films) + np.random.default_rng(seed).normal(0, 1, (len(films), 3))
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


@pytest.fixture(scope="module")
def made() -> list[Film]:
    return made_films()


@pytest.fixture(scope="module")
def result(made: list[Film]) -> dict[str, Any]:
    probabilities = guesses(made, 2)
    return evaluation(
        made, probabilities, THREE, thresholds=THRESHOLDS, train_films=made, replicates=200,
        uncalibrated=probabilities**2 / (probabilities**2).sum(1, keepdims=True), features=probabilities,
    )  # fmt: skip


def test_every_figure_has_its_films_and_an_interval_around_it(result: dict[str, Any]) -> None:
    for part in result["parts"].values():
        for name, figure in part["figures"].items():
            assert figure["n"] == part["films"]
            if not name.startswith("ece"):
                assert figure["low"] <= figure["value"] <= figure["high"], name


def test_parts_are_pooled_and_every_source(result: dict[str, Any]) -> None:
    assert {name: part["films"] for name, part in result["parts"].items()} == {
        "pooled": 240, "within adults": 140, "within children": 100,
    }  # fmt: skip


def test_document_has_no_number_that_is_none(result: dict[str, Any]) -> None:
    assert json.loads(to_json(result)) == json.loads(json.dumps(result))


def test_label_that_no_film_of_a_source_has_leaves_only_its_false_alarms(result: dict[str, Any]) -> None:
    figures = result["parts"]["within children"]["figures"]
    assert "specificity.effusion" in figures
    assert not {"auroc.effusion", "sensitivity.effusion", "auprc.effusion"} & set(figures)


def test_source_only_baseline_ranks_nothing_inside_a_source(result: dict[str, Any]) -> None:
    assert result["parts"]["within adults"]["baselines"]["source_only"]["macro_auroc"] == 0.5
    assert result["parts"]["pooled"]["baselines"]["source_only"]["macro_auroc"] > 0.6
    assert result["parts"]["within adults"]["baselines"]["always_normal"]["accuracy"] == pytest.approx(
        80 / 140, abs=1e-4
    )


def test_predictive_values_are_at_the_prevalence_asked_for(made: list[Film]) -> None:
    found = evaluation(
        made, guesses(made, 2), THREE, thresholds=THRESHOLDS, train_films=made, replicates=20,
        prevalence={"pneumonia": 0.03},
    )["parts"]["pooled"]["figures"]  # fmt: skip
    sensitivity, specificity = found["sensitivity.pneumonia"]["value"], found["specificity.pneumonia"]["value"]
    ppv = 0.03 * sensitivity / (0.03 * sensitivity + 0.97 * (1 - specificity))
    assert found["ppv@0.03.pneumonia"]["value"] == pytest.approx(ppv, abs=1e-3)
    assert "ppv@0.05.pneumonia" not in found
    assert "ppv@0.05.effusion" in found


def test_wilson_interval_stands_beside_the_bootstrap(result: dict[str, Any]) -> None:
    figure = result["parts"]["pooled"]["figures"]["sensitivity.effusion"]
    low, high = wilson(figure["value"] * 30, 30)
    assert (figure["wilson_low"], figure["wilson_high"]) == pytest.approx((low, high), abs=1e-3)


def test_small_or_uniform_subgroup_says_why_it_has_no_figure(result: dict[str, Any]) -> None:
    groups = {(group["by"], group["name"]): group for group in result["subgroups"]}
    assert groups["age", "60 to 79"]["films"] == 20
    assert groups["age", "60 to 79"]["too_few"] == "only normal"
    assert groups["view", "PA"]["films"] == 20
    assert "figures" in groups["sex", "F"]
    fewer = evaluation(
        made_films()[:110], guesses(made_films()[:110], 2), THREE, thresholds=THRESHOLDS, train_films=[], replicates=20
    )
    adults = next(group for group in fewer["subgroups"] if group["name"] == "a1")
    assert adults["too_few"] == "fewer than 20 films"


def test_model_that_goes_by_the_file_is_better_between_batches(made: list[Film]) -> None:
    batch = np.array([film.batch for film in made])
    by_file = np.where((batch == "a1")[:, None], [0.2, 0.7, 0.1], [0.4, 0.2, 0.4])
    cheats = by_file + np.random.default_rng(0).random(by_file.shape) * 0.01
    cheats /= cheats.sum(1, keepdims=True)

    def pneumonia(probabilities: np.ndarray) -> dict[str, Any]:
        found = evaluation(made, probabilities, THREE, thresholds={}, train_films=made, replicates=100)
        return found["between_batches"]["adults"]["pneumonia"]

    assert pneumonia(cheats)["other"]["value"] == 1
    assert pneumonia(cheats)["difference"]["high"] < 0
    honest = pneumonia(guesses(made, 2))["difference"]
    assert honest["low"] < 0 < honest["high"]


def test_source_that_shows_in_the_probabilities_is_found_on_normals(made: list[Film], result: dict[str, Any]) -> None:
    assert result["source_probe"]["probabilities"]["source"]["value"] < 0.65
    marked = guesses(made, 2)
    marked[[film.source == "adults" for film in made]] *= [1, 1, 20]
    marked /= marked.sum(1, keepdims=True)
    found = evaluation(made, marked, THREE, thresholds={}, train_films=made, replicates=10)
    assert found["source_probe"]["probabilities"]["source"]["value"] > 0.75
    assert found["source_probe"]["probabilities"]["source"]["n"] == 120


def test_findings_that_come_together_are_measured_each_for_itself() -> None:
    random = np.random.default_rng(0)
    names = ("effusion", "pneumonia", "nodule")
    films = [
        Film(
            Path("none"), "", "test", f"p{i // 3}", "NIH ChestX-ray14", "b", f"{i:064d}",
            frozenset(name for name in names if random.random() < 0.3),
        )
        for i in range(150)
    ]  # fmt: skip
    probabilities = np.clip(0.5 * CHESTXRAY14.targets(films) + 0.5 * random.random((150, 14)), 0.01, 0.99)
    found = evaluation(
        films, probabilities, CHESTXRAY14, thresholds={"effusion": 0.5}, train_films=films, replicates=50
    )
    figures = found["parts"]["pooled"]["figures"]
    assert figures["macro_auroc"]["value"] > 0.9
    assert "accuracy" not in figures
    assert "auroc.hernia" not in figures
    assert "confusion" not in found["parts"]["pooled"]
    assert statement(found) == ""
    assert "roc" in pictures(found, "test")
    to_json(found)


@pytest.mark.parametrize(
    "probabilities", [np.zeros((3, 3)), np.full((240, 3), np.nan)], ids=["another number of films", "nan"]
)
def test_probabilities_that_do_not_fit_are_refused(made: list[Film], probabilities: np.ndarray) -> None:
    with pytest.raises(ValueError, match="probabilities"):
        evaluation(made, probabilities, THREE, thresholds={}, train_films=made, replicates=10)


def test_better_model_wins_the_paired_comparison_and_a_model_ties_with_itself(made: list[Film]) -> None:
    good, bad = guesses(made, 3), guesses(made, 0.5, seed=1)
    found = paired_difference(made, THREE, good, bad, replicates=300)
    assert set(found) == {"pooled", "within adults", "within children"}
    assert found["within adults"]["low"] > 0
    assert found["within adults"]["p"] < 0.02
    assert found["within adults"]["delong"]["effusion"]["p"] < 0.02
    assert found["pooled"]["mcnemar"] < 0.02
    same = paired_difference(made, THREE, good, good, replicates=50)["pooled"]
    assert (same["value"], same["low"], same["high"], same["p"], same["mcnemar"]) == (0, 0, 0, 1, 1)


def test_same_seed_gives_the_same_document(made: list[Film]) -> None:
    def once() -> str:
        return to_json(
            evaluation(made, guesses(made, 2), THREE, thresholds=THRESHOLDS, train_films=made, replicates=30)
        )

    assert once() == once()


def test_statement_sets_the_paper_beside_the_guess_without_pixels(result: dict[str, Any]) -> None:
    text = statement(result)
    blind = result["parts"]["pooled"]["baselines"]["source_only"]["accuracy"]
    assert f"{100 * PAPER_ACCURACY:.2f} %" in text
    assert f"{100 * blind:.1f} %" in text
    assert "cannot mean" in text


def test_page_has_every_section_and_all_pictures_of_the_folder(result: dict[str, Any]) -> None:
    changes = {"noise": [{"strength": "0.1", "auroc": {"within adults": 0.7}, "words": 0.2}]}
    full = {**result, "robustness": {"films": 9, "as_they_are": {"within adults": 0.8}, "changes": changes}}
    drawn = pictures(full, "test")
    assert set(drawn) == {"roc", "reliability", "decision", "confusion", "robustness", "subgroups"}
    assert all("Test split" in picture.caption for picture in drawn.values())
    document = {
        "model": {"name": "m", "version": "1", "sha256": "0" * 64}, "command": "c",
        "val": {**result, "statement": statement(result)}, "test": full,
    }  # fmt: skip
    found = sections(document, {"val": drawn, "test": drawn})
    assert found[1].text == [statement(result)]
    assert sum(len(section.figures) for section in found) == 11  # no sweep of val
    assert all(len(row) == len(table.columns) for section in found for table in section.tables for row in table.rows)


def test_difference_is_named_and_noise_is_not() -> None:
    old = {"parts": {"pooled": {"value": 0.5, "curve": [0.1, 0.2]}}}
    assert differences(old, {"parts": {"pooled": {"value": 0.501, "curve": [0.1, 0.2]}}}) == []
    (line,) = differences(old, {"parts": {"pooled": {"value": 0.5, "curve": [0.1, 0.3]}}})
    assert "parts.pooled.curve[1]" in line


def test_model_folder_holds_the_pictures_of_its_card(tiny_folder: Path) -> None:
    card = load_card(tiny_folder)
    stored = {path.stem: path.read_text() for path in (tiny_folder / "figures").iterdir()}
    assert stored == {name: picture.svg for name, picture in pictures(card.metrics["test"], "test").items()}


def test_weights_are_stored_in_half_the_bytes(tiny_folder: Path) -> None:
    import h5py

    types: dict[int, set[str]] = {}
    with h5py.File(tiny_folder / "served.weights.h5") as file:
        file.visititems(
            lambda _, item: (
                types.setdefault(item.ndim, set()).add(str(item.dtype)) if isinstance(item, h5py.Dataset) else None
            )
        )
    assert types[4] == {"float16"}
    assert types[1] == {"float32"}


def test_command_writes_page_document_and_pictures_of_both_splits(
    tiny_folder: Path, film_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--data", str(film_folder), "--model", str(tiny_folder), "--replicates", "50", "--split", "both"]
    assert main(["evaluate", *options, "--out", str(tmp_path), "--gallery"]) == 0
    assert "Same as the card." in capsys.readouterr().err
    document = json.loads((tmp_path / "evaluation.json").read_text())
    metrics = load_card(tiny_folder).metrics
    assert {split: document[split] for split in ("val", "test")} == json.loads(json.dumps(metrics))
    assert str(tmp_path) not in (tmp_path / "evaluation.html").read_text()
    assert (tmp_path / "figures" / "test" / "robustness.svg").exists()
    assert "do not publish" in (tmp_path / "failures-test.html").read_text()


@pytest.mark.parametrize("place", ["model", "docs/results/x", ""])
def test_gallery_of_films_goes_neither_into_a_model_nor_into_results(
    place: str, tiny_folder: Path, film_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = {"model": ["--out", str(tiny_folder)], "": []}.get(place, ["--out", str(tmp_path / place)])
    options = ["--data", str(film_folder), "--model", str(tiny_folder), "--replicates", "10", "--gallery", *out]
    assert main(["evaluate", *options]) == 2
    assert "films" in capsys.readouterr().err
    assert not (tiny_folder / "failures-test.html").exists()


def test_card_of_the_default_model_and_its_results_are_the_same_figures() -> None:
    document, card = json.loads(RESULTS.read_text()), load_card(bundled_folder())
    assert document["model"] == {"name": card.name, "version": card.version, "sha256": card.sha256}
    # Measured on two engines, whose probabilities differ by a millionth.
    assert differences(card.metrics, {split: document[split] for split in ("val", "test")}, tolerance=0.0005) == []
    drawn = pictures(card.metrics["test"], "test")
    stored = {path.stem: path.read_text() for path in (bundled_folder() / "figures").iterdir()}
    assert stored.keys() == drawn.keys()
    assert stored == {name: picture.svg for name, picture in drawn.items()}

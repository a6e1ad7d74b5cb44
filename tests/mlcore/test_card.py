"""A card is read whole or refused; the bundled one is true to its weights."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from mlcore.card import WEIGHTS_FILE, card_from_json, load_card
from mlcore.contracts import ModelIntegrityError
from mlcore.registry import bundled_folder, verify_weights


@pytest.fixture
def value() -> dict[str, Any]:
    return load_card(bundled_folder()).to_json()


def test_card_survives_json(value: dict[str, Any]) -> None:
    card = card_from_json(value)
    assert card_from_json(json.loads(json.dumps(card.to_json(), allow_nan=False))) == card


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("sha256", "abc"),
        ("version", ""),
        ("labels", []),
        ("operating_points", {"normal": 0.5}),
        ("operating_points", {"normal": 0.5, "pneumonia": 1.5, "effusion": 0.5}),
        ("calibration", {"temperature": 0, "bias": [0, 0, 0]}),
        ("calibration", {"temperature": 1, "bias": [0]}),
        ("architecture", {"backbone": "unheard_of", "size": [224, 224], "labels": 3}),
        ("limitations", "one sentence"),
        ("metrics", None),
    ],
)
def test_card_that_contradicts_itself_is_refused(value: dict[str, Any], name: str, change: object) -> None:
    with pytest.raises(ModelIntegrityError):
        card_from_json({**value, name: change})


@pytest.mark.parametrize("name", ["name", "sha256", "labels", "preprocessing", "calibration", "operating_points"])
def test_card_without_a_part_is_refused(value: dict[str, Any], name: str) -> None:
    del value[name]
    with pytest.raises(ModelIntegrityError):
        card_from_json(value)


def test_card_whose_preprocessing_id_is_of_another_recipe_is_refused(value: dict[str, Any]) -> None:
    changed = copy.deepcopy(value)
    changed["preprocessing"]["blur"] = 3.0
    with pytest.raises(ModelIntegrityError, match="preprocessing id"):
        card_from_json(changed)


def test_missing_or_broken_card_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelIntegrityError):
        load_card(tmp_path)
    (tmp_path / "card.json").write_text("{")
    with pytest.raises(ModelIntegrityError):
        load_card(tmp_path)


def test_bundled_model_is_small_and_its_weights_are_those_of_its_card() -> None:
    folder = bundled_folder()
    verify_weights(folder, load_card(folder).sha256)
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 25_000_000
    assert (folder / WEIGHTS_FILE).is_file()


def test_bundled_card_gives_every_figure_with_its_interval_beside_the_baselines() -> None:
    metrics = load_card(bundled_folder()).metrics
    for split in ("val", "test"):
        parts = metrics[split]["parts"]
        assert set(parts) == {"pooled", "within Kermany pediatric", "within NIH ChestX-ray14"}
        for part in parts.values():
            assert set(part["baselines"]) == {"source_only", "batch_only", "always_normal"}
            for name, figure in part["figures"].items():
                # A redrawn calibration error is larger on average than that of the films themselves.
                assert figure["low"] <= figure["value"] <= figure["high"] or name.startswith("ece")


def test_bundled_card_credits_its_films_and_says_where_it_is_weak() -> None:
    card = load_card(bundled_folder())
    credits, limits = " ".join(card.credits), " ".join(card.limitations)
    assert all(name in credits for name in ("Wang et al.", "NIHCC", "Kermany", "CC BY 4.0", "Apache-2.0"))
    assert all(name in limits for name in ("adults", "child", "unknown", "noisy"))

"""What a GPU's engine does, on the processor that is here: XLA compiles a real small network, in float32 and in mixed
precision, and only what was proved answers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlcore import registry
from mlcore.artefacts import MIXED, Artefact
from mlcore.card import WEIGHTS_FILE, ModelCard, load_card
from mlcore.contracts import ModelIntegrityError
from mlcore.predictors import keras as engine
from mlcore.predictors.keras import KerasPredictor, policies
from mlcore.registry import load_predictor, verify_files
from mlcore.training import export as exporting
from mlcore.training.export import export, passes, write_card
from mlcore.training.films import Film

LIKE_AMPERE = (MIXED, "float32")


@pytest.fixture(scope="module")
def batch() -> np.ndarray:
    return np.random.default_rng(1).random((9, 64, 64, 1), dtype=np.float32)


@pytest.fixture(scope="module")
def made(tiny_folder: Path, tiny_card: ModelCard) -> Callable[..., KerasPredictor]:
    """The tiny network, compiled under these policies; made once."""
    there: dict[tuple[str, ...], KerasPredictor] = {}

    def make(*compiled: str) -> KerasPredictor:
        if compiled not in there:
            there[compiled] = KerasPredictor(tiny_card, tiny_folder / WEIGHTS_FILE, compiled)
        return there[compiled]

    return make


def test_compiled_network_says_what_the_plain_one_says(made: Callable[..., KerasPredictor], batch: np.ndarray) -> None:
    plain, compiled = made(), made("float32")
    assert plain.engine.endswith("-cpu")
    assert compiled.engine.endswith("-cpu-xla-float32")
    said, expected = compiled.predict(batch), plain.predict(batch)
    np.testing.assert_allclose(said.probabilities, expected.probabilities, atol=1e-5)
    np.testing.assert_allclose(said.maps, expected.maps, atol=1e-4 * float(np.abs(expected.maps).max()))


def test_mixed_precision_computes_in_bfloat16_and_answers_in_float32(
    made: Callable[..., KerasPredictor], batch: np.ndarray
) -> None:
    mixed = made(MIXED)
    assert mixed.engine.endswith("-cpu-xla-mixed_bfloat16")
    said, expected = mixed.predict(batch), made().predict(batch)
    apart = np.abs(said.probabilities - expected.probabilities).max()
    assert 1e-6 < apart < 0.02
    assert said.probabilities.dtype == said.maps.dtype == np.float32
    # A sum or a mean in bfloat16 would miss by a hundredth.
    np.testing.assert_allclose(said.probabilities.sum(1), 1, atol=1e-6)
    rest = np.log(said.probabilities) - said.maps.mean((1, 2))
    rest -= rest.mean(1, keepdims=True)
    np.testing.assert_allclose(rest, np.tile(rest[:1], (len(rest), 1)), atol=1e-4)


def test_film_has_the_same_numbers_in_every_batch_also_in_mixed_precision(
    made: Callable[..., KerasPredictor], batch: np.ndarray
) -> None:
    together = made(MIXED).predict(batch)
    for place in (0, 5, 8):
        alone = made(MIXED).predict(batch[place : place + 1])
        np.testing.assert_allclose(alone.probabilities[0], together.probabilities[place], atol=1e-5)
        np.testing.assert_allclose(alone.maps[0], together.maps[place], atol=1e-4)


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    return lambda: [record.getMessage() for record in caplog.records if record.name == "mlcore.predictors.keras"]


def test_compiled_network_that_says_something_else_does_not_answer(
    tiny_folder: Path,
    tiny_card: ModelCard,
    batch: np.ndarray,
    made: Callable[..., KerasPredictor],
    warnings: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    served = engine.served_network

    def other(card: ModelCard, weights: Path, policy: str) -> object:
        model = served(card, weights, policy)
        if policy == MIXED:
            model.get_layer("bias").bias.assign_add([1.0, 0.0, 0.0])
        return model

    monkeypatch.setattr(engine, "served_network", other)
    chosen = KerasPredictor(tiny_card, tiny_folder / WEIGHTS_FILE, LIKE_AMPERE)
    assert chosen.engine.endswith("-xla-float32")
    assert ["mixed_bfloat16 differs" in text for text in warnings()] == [True]
    np.testing.assert_allclose(chosen.predict(batch).probabilities, made().predict(batch).probabilities, atol=1e-5)


@pytest.mark.parametrize("wrong", ["unlike", "no number", "not compiled"])
def test_plain_network_answers_and_it_is_logged_where_nothing_compiled_is_proved(
    tiny_folder: Path,
    tiny_card: ModelCard,
    batch: np.ndarray,
    made: Callable[..., KerasPredictor],
    warnings: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    wrong: str,
) -> None:
    import tensorflow as tf

    graph = engine.served_graph

    def broken(model: object, places: list[int], *, compiled: bool) -> Callable[[object], object]:
        own = graph(model, places, compiled=False)

        def forward(films: object) -> list[object]:
            probabilities, maps = own(films)
            if compiled and wrong == "not compiled":
                raise tf.errors.UnimplementedError(None, None, "no such kernel")
            change = {"unlike": 1.001, "no number": float("nan")}.get(wrong, 1) if compiled else 1
            return [probabilities, maps * change]

        return forward

    monkeypatch.setattr(engine, "served_graph", broken)
    chosen = KerasPredictor(tiny_card, tiny_folder / WEIGHTS_FILE, ("float32",))
    assert chosen.engine.endswith("-cpu")
    assert len(warnings()) == 1
    np.testing.assert_allclose(chosen.predict(batch).probabilities, made().predict(batch).probabilities, atol=1e-6)


AMPERE, TURING = {"compute_capability": (8, 6)}, {"compute_capability": (7, 5)}


@pytest.mark.parametrize(
    ("gpus", "expected"),
    [
        ([], ()),
        ([AMPERE], LIKE_AMPERE),
        ([TURING], ("float32",)),
        ([AMPERE, TURING], ("float32",)),
        ([{}], ("float32",)),
    ],
    ids=["none", "Ampere", "Turing", "both", "unknown"],
)
def test_bfloat16_is_only_thought_of_where_every_gpu_has_it(
    gpus: list[dict[str, tuple[int, int]]], expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: list(range(len(gpus))))
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda number: gpus[number])
    assert policies() == expected


@pytest.fixture
def like_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The computer takes itself for one with a GPU of today."""
    monkeypatch.setattr(registry, "gpu_there", lambda: True)
    monkeypatch.setattr(engine, "policies", lambda: LIKE_AMPERE)
    registry._load.cache_clear()
    yield
    registry._load.cache_clear()


def with_form(folder: Path, target: Path, **form: object) -> ModelCard:
    """A copy of a model folder whose card says that mixed precision was measured."""
    shutil.copytree(folder, target)
    card = load_card(target)
    own = Artefact(MIXED, "weights", (card.sha256,), **form)
    card = replace(card, artefacts=(own,))
    write_card(target, card)
    return card


@pytest.mark.parametrize(
    ("gate", "asked", "computed"),
    [
        (None, "auto", "float32"),
        (False, "auto", "float32"),
        (True, "auto", MIXED),
        (True, "keras", "float32"),
    ],
    ids=["not measured", "failed", "passed", "asked for the network itself"],
)
@pytest.mark.usefixtures("like_gpu")
def test_gpu_computes_in_mixed_precision_only_where_the_card_lets_it(
    tiny_folder: Path, tmp_path: Path, gate: bool | None, asked: str, computed: str
) -> None:
    folder = tmp_path / "model"
    if gate is None:
        shutil.copytree(tiny_folder, folder)
        card = load_card(folder)
    else:
        card = with_form(tiny_folder, folder, passes=gate)
    predictor = load_predictor(folder, expected_sha256=card.sha256, engine=asked)
    assert predictor.engine.endswith(f"-xla-{computed}")


@pytest.mark.usefixtures("like_gpu")
def test_export_measures_mixed_precision_on_a_gpu_and_keeps_the_figures_on_other_machines(
    tiny_folder: Path, films: list[Film], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    monkeypatch.setattr(exporting, "_quantized", lambda network, calibration: network.clone())
    card = export(folder, films, replicates=20, with_care=False)
    form = next(each for each in card.artefacts if each.precision == MIXED)
    assert form.measured["engine"].endswith("-xla-mixed_bfloat16")
    assert 0 < form.measured["largest_difference"] < 0.05
    assert form.passes is passes(form.measured)
    assert form.sha256 == (card.sha256,)
    verify_files(folder, card)

    monkeypatch.setattr(engine, "policies", lambda: ())
    again = export(folder, films, replicates=20, with_care=False)
    kept = next(each for each in again.artefacts if each.precision == MIXED)
    assert kept.measured == form.measured


@pytest.mark.usefixtures("like_gpu")
def test_mixed_precision_that_does_not_compute_here_is_not_measured(
    tiny_folder: Path, films: list[Film], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    monkeypatch.setattr(exporting, "_quantized", lambda network, calibration: network.clone())
    monkeypatch.setitem(engine.AGREES, MIXED, (-1.0, -1.0))
    card = export(folder, films, replicates=20, with_care=False)
    assert MIXED not in {each.precision for each in card.artefacts}


def test_card_whose_mixed_precision_was_measured_on_other_weights_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    with_form(tiny_folder, tmp_path / "model", passes=True)
    value = json.loads((tmp_path / "model" / "card.json").read_text())
    value["artefacts"][0]["sha256"] = ["0" * 64]
    (tmp_path / "model" / "card.json").write_text(json.dumps(value))
    with pytest.raises(ModelIntegrityError, match="other weights"):
        load_card(tmp_path / "model")

"""A model converted for a processor says what its network says, is chosen by the processor, and needs no Keras."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlcore import registry
from mlcore.artefacts import Artefact, artefact_choose
from mlcore.card import ModelCard, load_card
from mlcore.contracts import ModelIntegrityError
from mlcore.registry import bundled_folder, load_predictor, verify_files
from mlcore.training import export as exporting
from mlcore.training.export import export, passes
from mlcore.training.films import Film, TrainingError

AVX2, VNNI, BF16 = {"avx2"}, {"avx2", "avx512_vnni"}, {"avx512_vnni", "amx_bf16"}


@pytest.fixture(scope="module")
def exported(tiny_folder: Path, films: list[Film], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with its forms; whatever they lose they may answer, so that all can be tried."""
    folder = tmp_path_factory.mktemp("exported") / "model"
    shutil.copytree(tiny_folder, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "passes", lambda measured: True)
        export(folder, films, replicates=20)
    return folder


@pytest.fixture
def card(exported: Path) -> ModelCard:
    return load_card(exported)


@pytest.fixture
def batch(card: ModelCard) -> np.ndarray:
    return np.random.default_rng(0).random((9, *card.preprocessing.size, 1), dtype=np.float32)


def test_every_number_of_the_network_is_kept_in_fp32(exported: Path, card: ModelCard, batch: np.ndarray) -> None:
    keras = load_predictor(exported, expected_sha256=card.sha256, engine="keras").predict(batch)
    fp32 = load_predictor(exported, expected_sha256=card.sha256, engine="fp32")
    assert fp32.engine.startswith("openvino-20")
    assert fp32.engine.endswith("-fp32-cpu")
    np.testing.assert_allclose(fp32.predict(batch).probabilities, keras.probabilities, atol=1e-4)
    np.testing.assert_allclose(fp32.predict(batch).maps, keras.maps, atol=1e-4 * float(np.abs(keras.maps).max()))


@pytest.mark.parametrize("engine", ["fp32", "int8"])
def test_film_has_the_same_numbers_alone_and_among_others(
    exported: Path, card: ModelCard, batch: np.ndarray, engine: str
) -> None:
    predictor = load_predictor(exported, expected_sha256=card.sha256, engine=engine)
    together = predictor.predict(batch)
    for place in (0, 8):
        alone = predictor.predict(batch[place : place + 1])
        np.testing.assert_allclose(alone.probabilities[0], together.probabilities[place], atol=1e-5)
        np.testing.assert_allclose(alone.maps[0], together.maps[place], atol=1e-4)
    assert np.ptp(together.probabilities, axis=0).max() > 1e-3


def test_card_says_what_each_form_loses(card: ModelCard) -> None:
    fp32, int8 = (next(each for each in card.artefacts if each.precision == name) for name in ("fp32", "int8"))
    assert fp32.measured["largest_difference"] < 1e-4
    assert int8.measured["largest_difference"] > fp32.measured["largest_difference"]
    assert set(fp32.measured["words_changed"]) == set(card.label_keys)
    assert fp32.measured["engine"].startswith("openvino-")
    assert {"pooled", "within adults"} <= set(fp32.measured["auroc_loss"])


def test_form_that_may_not_answer_leaves_its_figures_and_no_file(
    exported: Path, films: list[Film], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(exported, tmp_path / "model")
    monkeypatch.setattr(exporting, "passes", lambda measured: "fp32" in measured["engine"])
    monkeypatch.setattr(exporting, "_quantized_with_care", lambda network, *rest: network.clone())
    card = export(tmp_path / "model", films, replicates=20)
    int8 = next(each for each in card.artefacts if each.precision == "int8")
    assert not int8.passes
    assert int8.measured["words_changed"]
    assert {path.stem for path in (tmp_path / "model" / "openvino").iterdir()} == {"float"}
    verify_files(tmp_path / "model", card)
    assert artefact_choose(card.artefacts, VNNI).precision == "fp32"


def test_nothing_speaks_that_could_not_be_measured(exported: Path, films: list[Film], tmp_path: Path) -> None:
    shutil.copytree(exported, tmp_path / "model")
    with pytest.raises(TrainingError, match="validation"):
        export(tmp_path / "model", [film for film in films if film.split != "val"])


@pytest.mark.parametrize(
    ("high", "changed", "may"), [(0.005, 0.01, True), (0.006, 0.0, False), (0.0, 0.011, False), (-0.1, 0.0, True)]
)
def test_gate_asks_for_the_bound_of_the_loss_and_for_the_words(high: float, changed: float, may: bool) -> None:
    loss = {"pooled": {"value": 0.0, "low": -0.1, "high": -0.01}, "within one": {"value": 0.0, "low": 0, "high": high}}
    assert passes({"auroc_loss": loss, "words_changed": {"a": 0.0, "b": changed}}) is may
    assert not passes({"auroc_loss": {}, "words_changed": {"a": 0.0}})


@pytest.mark.parametrize(
    ("flags", "failing", "chosen"),
    [
        (AVX2, (), "fp32"),
        (VNNI, (), "int8"),
        (BF16, ("int8",), "bf16"),
        (VNNI, ("int8",), "fp32"),
        (BF16, ("int8", "bf16", "fp32"), None),
    ],
)
def test_fastest_form_that_passes_and_that_the_processor_has(
    flags: set[str], failing: tuple[str, ...], chosen: str | None
) -> None:
    forms = [Artefact(name, "float", ("0" * 64,) * 2, name not in failing) for name in ("fp32", "int8", "bf16")]
    found = artefact_choose(forms, flags)
    assert (found and found.precision) == chosen


@pytest.mark.parametrize("file", ["float.xml", "float.bin"])
def test_one_flipped_byte_of_a_form_is_refused(exported: Path, card: ModelCard, tmp_path: Path, file: str) -> None:
    shutil.copytree(exported, tmp_path / "model")
    path = tmp_path / "model" / "openvino" / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelIntegrityError, match="sha256"):
        load_predictor(tmp_path / "model", expected_sha256=card.sha256, engine="fp32")
    with pytest.raises(ModelIntegrityError, match="sha256"):
        verify_files(tmp_path / "model", card)


def test_file_that_openvino_cannot_use_is_refused_in_words(exported: Path, tmp_path: Path) -> None:
    from mlcore.predictors.openvino import OpenVinoPredictor

    card = load_card(exported)
    with pytest.raises(ModelIntegrityError, match="OpenVINO"):
        OpenVinoPredictor(card, card.artefacts[0], b"<net>", b"")


def test_form_of_another_network_is_refused(exported: Path) -> None:
    from mlcore.artefacts import artefact_read
    from mlcore.predictors.openvino import OpenVinoPredictor

    card = load_card(exported)
    fewer = replace(card, labels=card.labels[:2])
    with pytest.raises(ModelIntegrityError, match="does not fit"):
        OpenVinoPredictor(fewer, card.artefacts[0], *artefact_read(exported, card.artefacts[0]))


def test_name_that_leads_out_of_the_folder_is_refused(exported: Path, tmp_path: Path) -> None:
    shutil.copytree(exported, tmp_path / "model")
    value = json.loads((tmp_path / "model" / "card.json").read_text())
    value["artefacts"][0]["name"] = "../other"
    (tmp_path / "model" / "card.json").write_text(json.dumps(value))
    with pytest.raises(ModelIntegrityError, match="malformed"):
        load_card(tmp_path / "model")


def test_gpu_takes_the_network_itself_and_a_processor_its_form(
    exported: Path, card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry._load.cache_clear()
    monkeypatch.setattr(registry, "gpu_there", lambda: True)
    assert load_predictor(exported, expected_sha256=card.sha256).engine.startswith("keras-")
    registry._load.cache_clear()
    monkeypatch.setattr(registry, "gpu_there", lambda: False)
    assert load_predictor(exported, expected_sha256=card.sha256).engine.startswith("openvino-")


WITHOUT = """
import sys
sys.modules["tensorflow"] = sys.modules["keras"] = None
from mlcore.__main__ import main
sys.exit(main(["predict", "--json", *sys.argv[1:]]))
"""


def predicted(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m mlcore predict` where TensorFlow is not installed."""
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, *arguments], cwd=root, capture_output=True, text=True, timeout=120
    )


def test_shipped_model_reads_a_film_where_tensorflow_is_not_installed(film_folder: Path) -> None:
    said = predicted(str(next(film_folder.glob("*.jpg"))))
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["findings"]


def test_model_without_a_form_says_what_to_do_where_tensorflow_is_not_installed(
    film_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(bundled_folder(), tmp_path / "model")
    card = json.loads((tmp_path / "model" / "card.json").read_text())
    (tmp_path / "model" / "card.json").write_text(json.dumps(card | {"artefacts": []}))
    said = predicted("--model", str(tmp_path / "model"), str(next(film_folder.glob("*.jpg"))))
    assert said.returncode == 2
    assert "mlcore export" in said.stderr


def test_shipped_forms_are_those_of_the_card_and_the_network_passes() -> None:
    card = load_card(bundled_folder())
    verify_files(bundled_folder(), card)
    assert artefact_choose(card.artefacts, AVX2).precision == "fp32"
    assert all(passes(each.measured) is each.passes for each in card.artefacts)

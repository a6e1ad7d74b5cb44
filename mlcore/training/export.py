"""From the weights of a model folder to its other forms, each measured before it may answer for the network.

May import: NumPy, `mlcore` (not Django); OpenVINO, NNCF and TensorFlow inside functions. `registry` loads the files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mlcore.artefacts import (
    FOLDER,
    MIXED,
    PRECISIONS,
    Artefact,
    ProcessorPrecision,
    artefact_read,
    can_compute,
)
from mlcore.card import CARD_FILE, ModelCard, load_card
from mlcore.contracts import ImageArray
from mlcore.predictors.base import Predictor
from mlcore.predictors.openvino import OpenVinoPredictor
from mlcore.registry import load_keras, load_predictor
from mlcore.training.dataset import thin
from mlcore.training.evaluate import paired_difference
from mlcore.training.films import Film, TrainingError
from mlcore.training.measure import Outputs, inputs_of, outputs, words_of
from mlcore.training.report import replace_text
from mlcore.training.statistics import REPLICATES
from mlcore.training.tasks import Task, task_of

#: The gate. AUROC that may be lost, at most, by the upper end of the 95 % interval, pooled and within every source; and
#: the share of films on which a finding may get another word.
LARGEST_LOSS = 0.005
LARGEST_CHANGE = 0.01
#: Films from which NNCF learns the range of every layer; all of the training split.
CALIBRATION_FILMS = 300
#: bf16 is fp32's file, computed in another precision.
_FILE_OF: Mapping[ProcessorPrecision, str] = {"fp32": "float", "bf16": "float", "int8": "int8"}


def export(
    folder: Path,
    films: Sequence[Film],
    *,
    limit: int | None = None,
    replicates: int = REPLICATES,
    with_care: bool = True,
) -> ModelCard:
    """Convert the network of a model folder, measure every precision that this machine computes, and write both into
    the folder and its card; returns the card.

    Where int8 does not pass it is made again `with_care`: the layers that cost most stay in float. A precision that
    this machine lacks keeps what an earlier export on another machine said of the very same file.
    Raises ModelIntegrityError and TrainingError.
    """
    card = load_card(folder)
    keras = load_predictor(folder, expected_sha256=card.sha256, engine="keras")
    task = replace(task_of(card.metrics.get("val", {}).get("task", "three")), labels=card.label_keys)
    held = task.films(films)
    val = thin([film for film in held if film.split == "val"], limit)
    if not val:
        raise TrainingError("There are no validation films, so that nothing can be measured and no form may speak.")
    said = outputs(val, keras)
    network = convert(keras)
    hashes = {"float": form_save(network, folder, "float")}
    calibration = inputs_of(
        thin([film for film in held if film.split == "train"], CALIBRATION_FILMS), card.preprocessing
    )
    hashes["int8"] = form_save(_quantized(network, calibration), folder, "int8")
    found = [_artefact(folder, card, precision, hashes, said, val, task, replicates) for precision in PRECISIONS]
    if with_care and (int8 := found[0]) and not int8.passes:
        hashes["int8"] = form_save(_quantized_with_care(network, calibration, said, card), folder, "int8")
        found[0] = _artefact(folder, card, "int8", hashes, said, val, task, replicates)
    found.append(_mixed(folder, card, said, val, task, replicates))
    card = replace(card, artefacts=tuple(artefact for artefact in found if artefact is not None))
    write_card(folder, card)
    used = {file for artefact in card.artefacts if artefact.passes for file in artefact.files}
    for path in (folder / FOLDER).iterdir():  # what may not answer is not kept, only what was measured of it
        if f"{FOLDER}/{path.name}" not in used:
            path.unlink()
    return card


def write_card(folder: Path, card: ModelCard) -> None:
    replace_text(folder / CARD_FILE, json.dumps(card.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


# --- converting


def convert(keras: Predictor) -> Any:
    """The Keras network as an OpenVINO model for one film: "film" → "probabilities" and "maps", untrained labels left
    out. Numbers that half precision holds exactly are stored so; they are computed as they were."""
    import openvino

    size = keras.card.preprocessing.size
    network = openvino.convert_model(keras.graph, input=[1, *size, 1])  # type: ignore[attr-defined]
    network.inputs[0].get_tensor().set_names({"film"})
    for output in network.outputs:
        maps = len(output.get_partial_shape()) == 4
        output.get_tensor().set_names({"maps" if maps else "probabilities"})
    _halve(network)
    return network


def _halve(network: Any) -> None:
    """Store float32 constants as float16 where no number changes: half the file, the same results."""
    import openvino
    from openvino import opset13

    for node in network.get_ordered_ops():
        if node.get_type_name() != "Constant" or node.get_element_type() != openvino.Type.f32:
            continue
        values = node.get_data()
        with np.errstate(over="ignore"):
            small = values.astype(np.float16)
        if values.size < 64 or not np.array_equal(small.astype(np.float32), values):
            continue
        wide = opset13.convert(opset13.constant(small), "f32")
        for target in node.output(0).get_target_inputs():
            target.replace_source_output(wide.output(0))


def form_save(network: Any, folder: Path, name: str) -> tuple[str, str]:
    """Write a converted network into a model folder; the hashes of its two files."""
    import openvino

    (folder / FOLDER).mkdir(exist_ok=True)
    path = folder / FOLDER / f"{name}.xml"
    openvino.save_model(network, path, compress_to_fp16=False)
    return _sha256(path), _sha256(path.with_suffix(".bin"))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _quantized(network: Any, calibration: ImageArray) -> Any:
    """8-bit weights and activations, ranges learned from training films (NNCF's post-training quantisation)."""
    import nncf

    return nncf.quantize(
        network.clone(),
        nncf.Dataset([film[None] for film in calibration]),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(calibration),
        fast_bias_correction=False,
    )


def _quantized_with_care(network: Any, calibration: ImageArray, said: Outputs, card: ModelCard) -> Any:
    """As `_quantized`, but layers that change most words on validation films stay in float (NNCF, accuracy-aware)."""
    import nncf

    before = _words(said, card)

    def agreement(compiled: Any, numbered: Any) -> tuple[float, None]:
        """The share of films that keep their word, of the finding that keeps fewest."""
        request = compiled.create_infer_request()
        places, told = zip(
            *((place, request.infer([film])["probabilities"][0]) for place, film in numbered), strict=True
        )
        after = words_of(card.calibration.apply(np.stack(told)), card)
        return float((after == before[list(places)]).mean(0).min()), None

    numbered = [(place, film[None]) for place, film in enumerate(inputs_of(said.films, card.preprocessing))]
    return nncf.quantize_with_accuracy_control(
        network.clone(),
        nncf.Dataset([film[None] for film in calibration]),
        nncf.Dataset(numbered, lambda item: item[1]),
        validation_fn=agreement,
        max_drop=LARGEST_CHANGE,
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(calibration),
        fast_bias_correction=False,
    )


# --- measuring


def _artefact(
    folder: Path,
    card: ModelCard,
    precision: ProcessorPrecision,
    hashes: Mapping[str, tuple[str, str]],
    said: Outputs,
    films: Sequence[Film],
    task: Task,
    replicates: int,
) -> Artefact | None:
    name = _FILE_OF[precision]
    own = Artefact(precision, name, hashes[name], passes=False)
    if not can_compute(precision):
        return _measured_before(card, own)
    return _gated(own, OpenVinoPredictor(card, own, *artefact_read(folder, own)), said, films, task, replicates)


def _mixed(
    folder: Path, card: ModelCard, said: Outputs, films: Sequence[Film], task: Task, replicates: int
) -> Artefact | None:
    """Mixed precision, measured on a GPU only: what a processor would make of it says nothing about one."""
    from mlcore.predictors.keras import policies

    own = Artefact(MIXED, "weights", (card.sha256,), passes=False)
    if MIXED not in policies():
        return _measured_before(card, own)
    engine = load_keras(folder, card, mixed=True)
    if not engine.engine.endswith(MIXED):  # XLA made something else of it
        return None
    return _gated(own, engine, said, films, task, replicates)


def _measured_before(card: ModelCard, own: Artefact) -> Artefact | None:
    """What an export on another machine said of the very same files."""
    return next((old for old in card.artefacts if replace(old, passes=False) == own), None)


def _gated(
    own: Artefact, engine: Predictor, said: Outputs, films: Sequence[Film], task: Task, replicates: int
) -> Artefact:
    measured = {**compared(said, outputs(films, engine), engine.card, task, replicates), "engine": engine.engine}
    return replace(own, passes=passes(measured), measured=measured)


def compared(said: Outputs, other: Outputs, card: ModelCard, task: Task, replicates: int) -> dict[str, Any]:
    """What `other` loses against `said` on the same films.

    "auroc_loss": part → macro AUROC lost, with its 95 % interval over patients; "words_changed": finding → share of
    films with another word; "largest_difference" of any probability.
    """
    one, two = (card.calibration.apply(each.probabilities) for each in (said, other))
    changed = _words(said, card) != _words(other, card)
    loss = paired_difference(said.films, task, one, two, replicates=replicates)
    return {
        "films": len(said.films),
        "split": "val",
        "auroc_loss": {
            part: {name: round(float(value[name]), 5) for name in ("value", "low", "high")}
            for part, value in loss.items()
        },
        "words_changed": {
            key: round(float(share), 5) for key, share in zip(card.label_keys, changed.mean(0), strict=True)
        },
        "largest_difference": round(float(np.abs(said.probabilities - other.probabilities).max()), 6),
    }


def _words(found: Outputs, card: ModelCard) -> np.ndarray:
    return words_of(card.calibration.apply(found.probabilities), card)


def passes(measured: Mapping[str, Any]) -> bool:
    """Does a form lose little enough to answer for the network? Where no AUROC is defined, it does not."""
    losses = [part["high"] for part in measured["auroc_loss"].values()]
    return (
        bool(losses)
        and max(losses) <= LARGEST_LOSS
        and max(measured["words_changed"].values(), default=1.0) <= LARGEST_CHANGE
    )

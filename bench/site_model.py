"""The model that the whole site runs in `bench.site`: the one that ships, or the paper's network in its place.

`folder_of` writes a model folder with made-up weights: how fast it answers is real, what it answers is noise. May
import: `mlcore`; Keras and OpenVINO in the process that writes only.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mlcore.artefacts import Artefact
from mlcore.backbones import Architecture
from mlcore.card import WEIGHTS_FILE, load_card
from mlcore.registry import bundled_folder, file_sha256
from mlcore.training.apart import apart

#: Each process reads here which folder it is to load.
FOLDER = "BENCH_MODEL_FOLDER"
SHIPPED = "default"


def folder_of(network: str, target: Path) -> Path:
    """The folder of the model that ships, or a new one at `target` with the shipped model's recipe, labels and
    thresholds over another network, in float32 for Keras and OpenVINO."""
    if network == SHIPPED:
        return bundled_folder()
    apart(_write, network, target)
    return target


def _write(network: str, folder: Path) -> None:
    from bench.engine_cases import Network, keras_model
    from mlcore.registry import load_predictor
    from mlcore.training.export import convert, form_save, write_card

    shipped = load_card(bundled_folder())
    labels = len(shipped.labels)
    architecture = Architecture(network, shipped.preprocessing.size, labels, exclusive=shipped.architecture.exclusive)
    folder.mkdir(parents=True)
    keras_model(Network(network, architecture, folder)).save_weights(folder / WEIGHTS_FILE)
    with (folder / WEIGHTS_FILE).open("rb") as weights:
        sha256 = file_sha256(weights)
    card = replace(shipped, name=f"bench-{network}", sha256=sha256, architecture=architecture, artefacts=(), metrics={})
    write_card(folder, card)
    hashes = form_save(convert(load_predictor(folder, expected_sha256=sha256, engine="keras")), folder, "float")
    write_card(folder, replace(card, artefacts=(Artefact("fp32", "float", hashes, passes=True),)))

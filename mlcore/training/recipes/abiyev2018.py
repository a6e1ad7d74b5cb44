"""Abiyev and Ma'aitah 2018: a back-propagation network, a competitive network and a convolutional one on small films.

May import: NumPy and `mlcore.training`; Keras inside functions. The first and the last are trained by the engine; the
competitive network learns without labels and is written here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from mlcore.preprocess import PreprocessingSpec, standardise
from mlcore.training.dataset import Film, Samples
from mlcore.training.recipes.common import Array, Options, Study
from mlcore.training.recipes.paper import Claim, Paper, Protocol
from mlcore.training.tasks import THREE, Task

HELP = "Back-propagation, competitive and convolutional network on 32 × 32 films (Abiyev 2018: 80.04, 89.57, 92.4 %)"
#: Units of the competitive network and its first step.
_UNITS, _RATE = 96, 0.1
_PROTOCOL = Protocol(("NIH ChestX-ray14",), ("twelve chest diseases",), None, None)
PAPER = Paper(
    citation="Abiyev RH, Ma'aitah MKS. Deep Convolutional Neural Networks for Chest Diseases Detection. "
    "Journal of Healthcare Engineering 2018, 4168538. doi:10.1155/2018/4168538",
    year=2018,
    data="Films of ChestX-ray14, twelve diseases, 32 × 32 pixels. The number tested and the split are not at hand.",
    method="A back-propagation network (BPNN), a competitive network that learns without labels (CpNN) and a "
    "convolutional network (CNN), trained and tested on the same films.",
    claims=(
        Claim("CNN", THREE.key, "accuracy", 0.924, _PROTOCOL),
        Claim("BPNN", THREE.key, "accuracy", 0.8004, _PROTOCOL),
        Claim("CpNN", THREE.key, "accuracy", 0.8957, _PROTOCOL),
    ),
)

DIFFERENCES = (
    "Three labels instead of twelve diseases: most of the twelve have too few films here.",
    "The paper's layer sizes and learning rates are not at hand: the BPNN has two hidden layers (256, 64), the CNN "
    "three convolutions (32, 64, 128) and a dense layer, the CpNN 96 units.",
    "BPNN and CNN are trained by AdamW with the epoch chosen on the validation split, not by plain gradient descent.",
    "The units of the CpNN are named after learning, by the labels of the training films each of them wins.",
    "Every film gets the same blur and contrast before the network, as at serving; at 32 pixels that blur is strong.",
    "Patients known to us are in one split only; whether the paper kept them apart is not known.",
)


def run(options: Options) -> dict[str, Any]:
    """The three networks on the same films, and the CNN's difference to the others on the same patients."""
    study = Study("abiyev2018", PAPER, options, [THREE])
    if study.wants("BPNN"):
        study.trained("BPNN", THREE, _plan(options, 60), back_propagation)
    if study.wants("CpNN"):
        _compete(study, options)
    if study.wants("CNN"):
        study.trained("CNN", THREE, _plan(options, 40), convolutional)
    return study.report(
        "Back-propagation, competitive and convolutional network", DIFFERENCES,
        pairs=[("CNN", "BPNN"), ("CNN", "CpNN")],
    )  # fmt: skip


def _plan(options: Options, epochs: int) -> Any:
    """Films as they come, no change of them, plain weights: what a paper of 2018 would do."""
    from mlcore.training.train import Plan

    return Plan(
        backbone="own", size=options.size or 32, weights="none", augment="none", epochs=options.epochs or epochs,
        per_epoch=0, balance="none", rate=1e-3, decay=1e-4, smoothing=0.0, average=0.0, prior_floor=1.0,
        seed=options.seed,
    )  # fmt: skip


def back_propagation(task: Task, plan: Any) -> Any:
    """Pixels → 256 → 64 → logits, sigmoid units (Rumelhart, Hinton, Williams 1986)."""
    import keras

    film = keras.Input((*plan.spec.size, 1))
    values = keras.layers.Flatten()(film)
    for units in (256, 64):
        values = keras.layers.Dense(units, activation="sigmoid")(values)
    return keras.Model(film, keras.layers.Dense(len(task.labels))(values))


def convolutional(task: Task, plan: Any) -> Any:
    """Three convolutions with pooling, one dense layer with dropout."""
    import keras

    film = keras.Input((*plan.spec.size, 1))
    values = film
    for filters in (32, 64, 128):
        values = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")(values)
        values = keras.layers.MaxPooling2D()(values)
    values = keras.layers.Dense(128, activation="relu")(keras.layers.Flatten()(values))
    values = keras.layers.Dropout(plan.dropout)(values)
    return keras.Model(film, keras.layers.Dense(len(task.labels))(values))


def _compete(study: Study, options: Options) -> None:
    size = options.size or 32
    epochs, seed = options.epochs or 40, options.seed
    settings = {"size": size, "epochs": epochs, "units": _UNITS, "rate": _RATE, "seed": seed}

    def make(_: Path) -> tuple[Sequence[Film], Array, Mapping[str, Any]]:
        samples = study.samples(THREE, size)
        train = samples.select([film.split == "train" for film in samples.films])
        held = samples.select([film.split != "train" for film in samples.films])
        vectors = _vectors(train, size)
        units = competitive(vectors, _UNITS, epochs, _RATE, seed)
        shares = unit_labels(winners(vectors, units), THREE.targets(train.films), len(units))
        return held.films, shares[winners(_vectors(held, size), units)], settings

    study.system("CpNN", THREE, settings, make)


def competitive(vectors: Array, units: int, epochs: int, rate: float, seed: int) -> Array:
    """Winner-take-all learning (Rumelhart and Zipser 1985): the unit nearest to a film moves towards it, the others
    stay; the step falls to nothing. Units start as films. (films, values) → (units, values)."""
    random = np.random.default_rng(seed)
    weights = vectors[random.permutation(len(vectors))[: min(units, len(vectors))]].copy()
    for epoch in tqdm(range(epochs), desc="CpNN", unit="epoch"):
        step = np.float32(rate * (1 - epoch / epochs))
        for place in random.permutation(len(vectors)):
            film = vectors[place]
            winner = int(((weights - film) ** 2).sum(1).argmin())
            weights[winner] += step * (film - weights[winner])
    return weights


def winners(vectors: Array, units: Array) -> npt.NDArray[np.intp]:
    """The nearest unit of every film, (films,)."""
    distances = (units**2).sum(1) - 2 * vectors @ units.T
    return np.asarray(distances.argmin(1), dtype=np.intp)


def unit_labels(won: npt.NDArray[np.intp], targets: Array, units: int) -> Array:
    """Share of each label among the films a unit won, (units, labels); the overall share where it won nothing."""
    overall = targets.mean(0)
    counts = np.stack([targets[won == unit].sum(0) for unit in range(units)]) + overall
    return np.asarray(counts / counts.sum(1, keepdims=True), dtype=np.float32)


def _vectors(samples: Samples, size: int) -> Array:
    """Films as rows of standardised pixels."""
    spec = PreprocessingSpec(size=(size, size))
    return np.stack([standardise(samples.pictures[i].astype(np.float32) / 255, spec).ravel() for i in samples.index])

"""Fits the gate: examples from films and other pictures, the network in Keras, then its limits, into one JSON.

May import NumPy, `mlcore.quality`, `mlcore.gate_network` and `gate_pictures`; Keras inside functions. Films of
`train` fit: most of their groups the network, the rest its limits. `val` and `test` are only measured.
"""

from __future__ import annotations

import json
import os
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np

from mlcore.gate_network import CHANNELS, OTHER, SIDE, UNITS, WHOLE, Array, GateNetwork
from mlcore.quality import PARAMETERS, Gate, answers_of, gate, rank_picture
from mlcore.training.films import Film
from mlcore.training.gate_pictures import (
    FILMS,
    SIDES,
    Picture,
    cut_off,
    drawn_pictures,
    held_out,
    part_of,
    read_film,
    small,
    varied,
)

#: Of the films of train, the share of groups that sets the limits instead of fitting the network.
FOR_LIMITS = 0.15
#: A cut film has lost a share in this range at one side; whole ones at most 9 % (`gate_pictures.varied`).
CUT = (0.3, 0.5)
#: Shares of the films for limits that may fall beyond each limit.
BEYOND_REJECT, BEYOND_WARN, BEYOND_TURNED, BEYOND_CUT = 0.002, 0.005, 0.001, 0.005

EPOCHS, PER_EPOCH, BATCH, RATE, DECAY, SEED = 24, 20_000, 128, 2e-3, 1e-3, 5
WORKERS, COPIES, DRAWN, PARTS = os.cpu_count(), 4, 400, 8
#: How often each group of other pictures is drawn.
SHARES = {"pictures": 0.5, "drawn": 0.17, "spoiled films": 0.17, "other projections": 0.16}

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Examples:
    """Rank-normalised pictures (n, SIDE, SIDE), whether each is a film and whole, and the group it is drawn from."""

    pictures: Array
    film: np.ndarray
    whole: np.ndarray
    group: np.ndarray


def fit(films: Sequence[Film], others: Iterable[Picture], progress: Progress) -> Gate:
    """The gate of these films and pictures; those that are held out are left aside."""
    train = [film for film in films if film.split == "train"]
    network_films = [film for film in train if not _sets_limits(film)]
    examples = _examples(network_films, [one for one in others if not held_out(one.package)], progress)
    network = _trained(examples, progress)
    return _with_limits(network, [film for film in train if _sets_limits(film)], progress)


def write(fitted: Gate) -> None:
    """Replaces `bundled/quality.json`."""
    limits = {name: getattr(fitted, name) for name in Gate.LIMITS}
    PARAMETERS.write_text(json.dumps({**limits, "network": fitted.network.to_json()}, indent=1) + "\n")
    gate.cache_clear()


def _sets_limits(film: Film) -> bool:
    return zlib.crc32(f"limits:{film.group}".encode()) % 1000 < FOR_LIMITS * 1000


# Examples


def _examples(films: Sequence[Film], others: Sequence[Picture], progress: Progress) -> Examples:
    made: dict[str, list[Array]] = defaultdict(list)
    films = _as_many_of_each_source(films)
    with ProcessPoolExecutor(WORKERS, get_context("spawn")) as pool:
        jobs = [
            ("examples of films", len(films), pool.map(_film_examples, films, chunksize=16)),
            ("examples of other pictures", len(others), pool.map(_other_examples, others, chunksize=8)),
        ]
        for name, total, results in jobs:
            for number, result in enumerate(results):
                progress(name, number + 1, total)
                for group, pictures in result.items():
                    made[group] += pictures
    made["drawn"] = [rank_picture(picture.pixels) for picture in drawn_pictures(SEED, DRAWN)]
    return _stacked(made)


def _as_many_of_each_source(films: Sequence[Film]) -> list[Film]:
    """A fixed draw, lest the films of the larger source say alone what a film is."""
    by_source: dict[str, list[Film]] = defaultdict(list)
    for film in sorted(films, key=lambda film: zlib.crc32(film.sha256.encode())):
        by_source[film.source].append(film)
    count = min(map(len, by_source.values()))
    return [film for chosen in by_source.values() for film in chosen[:count]]


def _film_examples(film: Film) -> dict[str, list[Array]]:
    """A film as it is, varied, cut, inverted, and a small part of it, by group."""
    rng = np.random.default_rng((SEED, zlib.crc32(film.sha256.encode())))
    pixels = small(read_film(film.path))
    cuts = [cut_off(pixels, str(rng.choice(list(SIDES))), float(rng.uniform(*CUT))) for _ in range(2)]
    return {
        f"film {film.source}": [rank_picture(pixels), *(rank_picture(varied(pixels, rng)) for _ in range(COPIES))],
        f"cut {film.source}": [rank_picture(varied(cut, rng)) for cut in cuts],
        "spoiled films": [rank_picture(1 - pixels), rank_picture(part_of(pixels, rng, 0.12, 0.3))],
    }


def _other_examples(picture: Picture) -> dict[str, list[Array]]:
    """Parts of a picture; a projected CT varied as films are, lest the projection gives it away."""
    rng = np.random.default_rng((SEED, zlib.crc32(str(picture.path).encode())))
    if picture.kind == FILMS:
        return {"film elsewhere": [rank_picture(varied(small(picture.pixels), rng)) for _ in range(30)]}
    if "projected" in picture.kind:
        return {"other projections": [rank_picture(varied(small(picture.pixels), rng)) for _ in range(15)]}
    pixels = small(picture.pixels)
    parts = [pixels, *(part_of(pixels, rng, 0.3, 1) for _ in range(PARTS))]
    return {"pictures": [rank_picture(part) for part in parts]}


def _stacked(made: dict[str, list[Array]]) -> Examples:
    names = [name for name in made for _ in made[name]]
    return Examples(
        pictures=np.stack([one for name in made for one in made[name]]).astype(np.float16),
        film=np.array([name.startswith(("film ", "cut ")) for name in names]),
        whole=np.array([not name.startswith("cut ") for name in names]),
        group=np.array(names),
    )


def _draw(examples: Examples, rng: np.random.Generator) -> tuple[Array, Array]:
    """One epoch in random order, turned and mirrored: pictures (n, SIDE, SIDE, 1), and (class, whole, film) of each."""
    groups = set(examples.group)
    films = sorted(name for name in groups if examples.film[examples.group == name][0])
    weights = {name: {"film": 0.75, "cut": 0.25}[name.split()[0]] for name in films}
    weights = {name: share * (0.1 if "elsewhere" in name else 1) for name, share in weights.items()}
    shares = {name: share / sum(weights.values()) for name, share in weights.items()}
    shares |= {name: share for name, share in SHARES.items() if name in groups}
    chosen = np.concatenate(
        [
            rng.choice(np.flatnonzero(examples.group == name), round(PER_EPOCH * share / 2))
            for name, share in shares.items()
        ]
    )
    chosen = rng.permutation(chosen)
    pictures = examples.pictures[chosen].astype(np.float32)
    film = examples.film[chosen]
    mirror = rng.random(len(chosen)) < 0.5
    pictures[mirror] = pictures[mirror, :, ::-1]
    negative = (rng.random(len(chosen)) < 0.5) & (examples.group[chosen] == "pictures")
    pictures[negative] *= -1
    turns = rng.choice(4, len(chosen), p=(0.34, 0.18, 0.30, 0.18))
    for quarters in (1, 2, 3):
        pictures[turns == quarters] = np.rot90(pictures[turns == quarters], quarters, axes=(1, 2))
    classes = np.where(film, turns, OTHER)
    return pictures[..., None], np.column_stack([classes, examples.whole[chosen], film]).astype(np.float32)


# The network


def keras_network() -> Any:
    """The network of `mlcore.gate_network` as a Keras model with new weights: (n, SIDE, SIDE, 1) to logits (n, 6)."""
    import keras

    signal = entry = keras.Input((SIDE, SIDE, 1))
    for channels in CHANNELS:
        signal = keras.layers.ZeroPadding2D(1)(signal)
        signal = keras.layers.Conv2D(channels, 3, strides=2, activation="relu")(signal)
    signal = keras.layers.Dropout(0.2)(keras.layers.Flatten()(signal))
    signal = keras.layers.Dense(UNITS[0], activation="relu")(signal)
    return keras.Model(entry, keras.layers.Dense(UNITS[1])(signal))


def as_numpy(model: Any) -> GateNetwork:
    """The weights of `keras_network`."""
    arrays = [np.array(weight) for weight in model.get_weights()]
    return GateNetwork(tuple(zip(arrays[::2], arrays[1::2], strict=True)))


def _trained(examples: Examples, progress: Progress) -> GateNetwork:
    import keras

    keras.utils.set_random_seed(SEED)
    rng = np.random.default_rng(SEED)
    model = keras_network()
    schedule = keras.optimizers.schedules.CosineDecay(RATE, EPOCHS * -(-PER_EPOCH // BATCH))

    def loss(truth: Any, logits: Any) -> Any:
        """Of truth (class, whole, film): which class, and for films whether they are whole."""
        classes = keras.losses.sparse_categorical_crossentropy(truth[:, 0], logits[:, : OTHER + 1], from_logits=True)
        whole = keras.ops.binary_crossentropy(truth[:, 1], logits[:, WHOLE], from_logits=True)
        return classes + whole * truth[:, 2]

    model.compile(keras.optimizers.AdamW(schedule, weight_decay=DECAY), loss=loss)
    for epoch in range(EPOCHS):
        model.fit(*_draw(examples, rng), batch_size=BATCH, verbose=0)
        progress("network", epoch + 1, EPOCHS)
    return as_numpy(model)


# The limits


def _with_limits(network: GateNetwork, films: Sequence[Film], progress: Progress) -> Gate:
    """Limits that a stated share of films, each as it is and once varied, lies beyond."""
    rng = np.random.default_rng(SEED)
    found = list(_answers(network, films, rng, progress))
    film, turned, whole = (np.array(column) for column in zip(*found, strict=True))
    return Gate(
        network=network,
        reject_below=_rounded(np.quantile(film, BEYOND_REJECT)),
        warn_below=_rounded(np.quantile(film, BEYOND_WARN)),
        turned_above=max(0.0, _rounded(np.quantile(turned, 1 - BEYOND_TURNED))),
        cut_below=_rounded(np.quantile(whole, BEYOND_CUT)),
    )


def _answers(
    network: GateNetwork, films: Sequence[Film], rng: np.random.Generator, progress: Progress
) -> Iterator[tuple[float, float, float]]:
    for number, film in enumerate(films):
        progress("limits", number + 1, len(films))
        pixels = read_film(film.path)
        for version in (pixels, varied(small(pixels), rng)):
            answer = answers_of(rank_picture(version), network)[0]
            yield answer.film, answer.turns[1:].max() - answer.turns[0], answer.whole


def _rounded(value: float) -> float:
    return round(float(value), 3)

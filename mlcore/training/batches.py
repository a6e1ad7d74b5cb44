"""Which films an epoch shows, in what order, with which weight in the loss; and the batches themselves.

May import: NumPy, Keras and `mlcore.training`. Batches are 8-bit films out of the memory-mapped cache; everything
else is done to them on the device.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from mlcore.training.cache import Samples
from mlcore.training.films import Film
from mlcore.training.tasks import Task

Array = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]


class FilmBatches(keras.utils.PyDataset):
    """Films in their order: `(pixels uint8 (batch, rows, columns),)`, fetched ahead by two threads.

    The last batch is filled up from the beginning: one shape is compiled once, and divides among devices.
    """

    def __init__(self, samples: Samples, batch: int) -> None:
        super().__init__(workers=2, max_queue_size=8)
        self.samples, self.batch = samples, batch
        self.show(np.arange(len(samples.films)))

    def show(self, order: Indices) -> None:
        self.order = np.resize(order, -(-len(order) // self.batch) * self.batch)

    def __len__(self) -> int:
        return len(self.order) // self.batch

    def chosen(self, number: int) -> Indices:
        return self.order[number * self.batch : (number + 1) * self.batch]

    def pixels(self, number: int) -> npt.NDArray[np.uint8]:
        return self.samples.pictures[self.samples.index[self.chosen(number)]]

    def __getitem__(self, number: int) -> tuple[Any, ...]:
        return (self.pixels(number),)


class TrainingBatches(FilmBatches):
    """`((pixels, log prior of each label), targets)`. `start(epoch)` draws an epoch, always the same one per seed."""

    def __init__(self, samples: Samples, task: Task, *, count: int, balance: str, floor: float, batch: int, seed: int):
        super().__init__(samples, batch)
        self.count, self.seed, self.strata = count, seed, None if balance != "strata" else strata(samples.films, task)
        self.targets = task.targets(samples.films)
        self.priors = log_priors(samples.films, self.targets, balance, floor if task.exclusive else 1.0)
        self.start(0)

    def start(self, epoch: int) -> None:
        random = np.random.default_rng([self.seed, epoch])
        if self.strata is None:
            self.show(plain_draw(len(self.samples.films), self.count, random))
        else:
            self.show(balanced_draw(self.strata, self.count, random))

    def __getitem__(self, number: int) -> tuple[Any, ...]:
        chosen = self.chosen(number)
        return (self.pixels(number), self.priors[chosen]), self.targets[chosen]


def strata(films: Sequence[Film], task: Task) -> list[tuple[str, str]]:
    """(source, label) of every film; of several labels the rarest counts, of none "none"."""
    held = [task.labels_of(film) or frozenset({"none"}) for film in films]
    frequency = Counter(label for labels in held for label in labels)
    return [
        (film.source, min(labels, key=lambda label: (frequency[label], label)))
        for film, labels in zip(films, held, strict=True)
    ]


def balanced_draw(of: Sequence[tuple[str, str]], count: int, random: np.random.Generator) -> Indices:
    """`count` indices, as many from every stratum; small strata repeat, large ones are sampled.

    `count` 0 stands for as many as there are films.
    """
    members: dict[tuple[str, str], list[int]] = {}
    for i, stratum in enumerate(of):
        members.setdefault(stratum, []).append(i)
    count = count or len(of)
    each = -(-count // len(members))
    drawn = [_repeated(np.array(indices), each, random) for _, indices in sorted(members.items())]
    return random.permutation(np.concatenate(drawn))[:count]


def plain_draw(films: int, count: int, random: np.random.Generator) -> Indices:
    """`count` of `films` indices in random order; 0 shows every film once."""
    return _repeated(np.arange(films), count or films, random)


def _repeated(indices: Indices, count: int, random: np.random.Generator) -> Indices:
    rounds = -(-count // len(indices))
    return np.concatenate([random.permutation(indices) for _ in range(rounds)])[:count]


def log_priors(films: Sequence[Film], targets: Array, balance: str, floor: float) -> Array:
    """Log share of every label within the source of each film as the training sees it, (films, labels).

    A label that a source does not have gets `floor`; a floor of 1 turns the adjustment off: all zero.
    """
    priors = np.zeros_like(targets)
    if floor >= 1:
        return priors
    source = np.array([film.source for film in films])
    weight = class_weights(targets, True)[1] if balance == "weights" else np.ones(targets.shape[1])
    for name in np.unique(source):
        shares = targets[source == name].mean(0) * weight
        shares = np.maximum(shares > 0 if balance == "strata" else shares / shares.sum(), floor)
        priors[source == name] = np.log(shares / shares.sum())
    return priors


def class_weights(targets: Array, exclusive: bool) -> Array:
    """Weights in the loss of each label when (absent, present), (2, labels): every label counts the same.

    Exclusive: n / (labels × films of the label). Otherwise presence and absence of each label weigh half each
    (Rajpurkar et al. 2017, up to a factor).
    """
    share = np.clip(targets.mean(0), 1 / len(targets), 1)
    if exclusive:
        return np.stack([np.ones_like(share), 1 / (targets.shape[1] * share)]).astype(np.float32)
    absent = np.clip(1 - share, 1 / len(targets), 1)
    return np.stack([0.5 / absent, 0.5 / share]).astype(np.float32)

"""Training of one member: balanced epochs, robust augmentation, averaged weights, checkpoint after every epoch.

May import: NumPy, tqdm, `mlcore` (not Django); Keras inside functions. `evaluate` and `bundle` take what it writes.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from mlcore.backbones import Architecture, build_member, freeze_for_tuning
from mlcore.preprocess import PreprocessingSpec, standardise
from mlcore.training.augment import robust
from mlcore.training.dataset import Film, TrainingError, cached_films
from mlcore.training.metrics import macro_auroc

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Every choice of a run. `per_epoch` films are drawn per epoch, the same number from every (source, label).

    `prior_floor`: inside a source the log share of each label is added to the logits while training, so that
    knowing the source gains the network nothing (logit adjustment, Menon et al. 2021); labels that a source does
    not have get this share. 1 turns the adjustment off.
    """

    epochs: int = 20
    per_epoch: int = 2700
    batch: int = 32
    rate: float = 3e-4
    decay: float = 0.02
    dropout: float = 0.3
    smoothing: float = 0.05
    average: float = 0.995
    prior_floor: float = 0.02
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Samples:
    """Films with their cached pictures: `pictures[index[i]]` belongs to `films[i]`."""

    films: Sequence[Film]
    pictures: npt.NDArray[np.uint8]
    index: npt.NDArray[np.intp]

    def select(self, keep: Sequence[bool]) -> Samples:
        chosen = np.flatnonzero(keep)
        return Samples([self.films[int(i)] for i in chosen], self.pictures, self.index[chosen])


def load_samples(films: Sequence[Film], spec: PreprocessingSpec, cache: Path) -> Samples:
    """Decode `films` once into `cache` and hold them memory-mapped; films that intake would refuse are left out."""
    pictures = cached_films(films, spec.size, cache, lambda items, n, text: tqdm(items, total=n, desc=text))
    return Samples(films, pictures, np.arange(len(films))).select([bool(picture.any()) for picture in pictures])


def train_member(
    samples: Samples,
    *,
    labels: Sequence[str],
    architecture: Architecture,
    spec: PreprocessingSpec,
    recipe: Recipe,
    weights: str | None,
    out: Path,
) -> dict[str, Any]:
    """Train one member into `out`, best averaged weights as `best.weights.h5`; returns the run's facts.

    Resumes after any interruption from the last finished epoch. The best epoch is that with the highest mean of the
    macro AUROCs within each source of the validation split; the test split is never read.
    """
    import keras

    out.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(recipe.seed)
    train = samples.select([film.split == "train" for film in samples.films])
    val = samples.select([film.split == "val" for film in samples.films])
    if not train.films or not val.films:
        raise TrainingError("training needs films in both the train and the val split")
    member = _starting_member(architecture, weights, recipe)
    if weights is not None:
        freeze_for_tuning(member, architecture)
    trainer = _trainer(member, len(labels), recipe)
    run = _Run(out, recipe, trainer)
    val_films = plain_inputs(val, spec)
    for epoch in range(run.resume(), recipe.epochs):
        started = time.perf_counter()
        loss = _epoch(trainer, train, labels, spec, recipe, epoch)
        scores = run.with_average(lambda: within_sources(val.films, predict(member, val_films), labels))
        run.finish_epoch(epoch, member, {"loss": loss, **scores, "seconds": time.perf_counter() - started})
    return run.facts()


def _starting_member(architecture: Architecture, weights: str | None, recipe: Recipe) -> Any:
    try:
        return build_member(architecture, weights=weights, dropout=recipe.dropout)
    except Exception as error:  # Keras raises plain Exception when it cannot fetch
        raise TrainingError(f"The starting weights {weights!r} cannot be had: {error}") from error


def plain_inputs(samples: Samples, spec: PreprocessingSpec) -> Array:
    """The inputs as at serving, without augmentation."""
    return np.stack([standardise(samples.pictures[i].astype(np.float32) / 255, spec) for i in samples.index])


def predict(member: Any, films: Array, batch: int = 64) -> Array:
    """Softmax of the mean map, (n, labels)."""
    logits = [
        np.asarray(member.predict_on_batch(films[i : i + batch]), dtype=np.float32).mean((1, 2))
        for i in range(0, len(films), batch)
    ]
    stacked = np.concatenate(logits)
    powers = np.exp(stacked - stacked.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def within_sources(films: Sequence[Film], probabilities: Array, labels: Sequence[str]) -> dict[str, float]:
    """Macro AUROC inside each source, and their mean as `score`."""
    truth = np.array([labels.index(film.label) for film in films])
    source = np.array([film.source for film in films])
    scores = {name: macro_auroc(truth[source == name], probabilities[source == name]) for name in np.unique(source)}
    return {**scores, "score": float(np.nanmean(list(scores.values())))}


def _trainer(member: Any, labels: int, recipe: Recipe) -> Any:
    """Member + log prior → logits, compiled. The prior is an input and costs nothing at serving."""
    import keras

    prior = keras.Input((labels,), name="log_prior")
    pooled = keras.layers.GlobalAveragePooling2D()(member.output)
    trainer = keras.Model([member.input, prior], keras.layers.Add()([pooled, prior]))
    steps = recipe.epochs * -(-recipe.per_epoch // recipe.batch)
    warm = max(1, steps // 20)
    schedule = keras.optimizers.schedules.CosineDecay(
        recipe.rate / 20, max(1, steps - warm), alpha=0.02, warmup_target=recipe.rate, warmup_steps=warm
    )
    optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=recipe.decay, clipnorm=1.0, use_ema=True, ema_momentum=recipe.average
    )
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.smoothing)
    trainer.compile(optimizer=optimizer, loss=loss)
    optimizer.build(trainer.trainable_variables)
    return trainer


def _epoch(
    trainer: Any, train: Samples, labels: Sequence[str], spec: PreprocessingSpec, recipe: Recipe, epoch: int
) -> float:
    """One balanced epoch; the same epoch of the same seed always draws the same films and changes."""
    losses = []
    steps = -(-recipe.per_epoch // recipe.batch)
    bar = tqdm(
        _batches(train, labels, spec, recipe, epoch),
        total=steps,
        desc=f"epoch {epoch + 1}/{recipe.epochs}",
        mininterval=5,
    )
    for films, priors, targets in bar:
        losses.append(float(trainer.train_on_batch([films, priors], targets)))
        bar.set_postfix(loss=f"{np.mean(losses):.4f}", refresh=False)
    return float(np.mean(losses))


def _batches(
    train: Samples, labels: Sequence[str], spec: PreprocessingSpec, recipe: Recipe, epoch: int
) -> Iterator[tuple[Array, Array, Array]]:
    """Augmented batches, prepared one ahead in a thread (Pillow and NumPy release the interpreter)."""
    random = np.random.default_rng([recipe.seed, epoch])
    order = balanced_draw(train.films, recipe.per_epoch, random)
    log_prior = _log_priors(train.films, labels, recipe.prior_floor)
    one_hot = np.eye(len(labels), dtype=np.float32)

    def make(start: int) -> tuple[Array, Array, Array]:
        chosen = order[start : start + recipe.batch]
        own = np.random.default_rng([recipe.seed, epoch, start])
        films = np.stack([standardise(robust(train.pictures[train.index[i]], own), spec) for i in chosen])
        priors = np.stack([log_prior[train.films[i].source] for i in chosen])
        return films, priors, one_hot[[labels.index(train.films[i].label) for i in chosen]]

    with ThreadPoolExecutor(1) as pool:
        starts = range(0, len(order), recipe.batch)
        ahead = pool.submit(make, 0)
        for start in [*starts[1:], None]:
            ready = ahead.result()
            if start is not None:
                ahead = pool.submit(make, start)
            yield ready


def balanced_draw(films: Sequence[Film], count: int, random: np.random.Generator) -> npt.NDArray[np.intp]:
    """`count` indices, as many from every (source, label); small strata repeat, large ones are sampled."""
    strata: dict[tuple[str, str], list[int]] = {}
    for i, film in enumerate(films):
        strata.setdefault((film.source, film.label), []).append(i)
    each = -(-count // len(strata))
    drawn = []
    for _, members in sorted(strata.items()):
        rounds = -(-each // len(members))
        drawn.append(np.concatenate([random.permutation(members) for _ in range(rounds)])[:each])
    return random.permutation(np.concatenate(drawn))[:count]


def _log_priors(films: Sequence[Film], labels: Sequence[str], floor: float) -> dict[str, Array]:
    """Per source: log share of each label as `balanced_draw` gives it (equal among those it has)."""
    priors = {}
    for source in {film.source for film in films}:
        held = {film.label for film in films if film.source == source}
        shares = np.array([1.0 if label in held else floor for label in labels])
        priors[source] = np.log(shares / shares.sum()).astype(np.float32)
    return priors


class _Run:
    """The files of a run: `last.*` to resume from, `best.weights.h5` to use, `log.json` to read."""

    def __init__(self, out: Path, recipe: Recipe, trainer: Any) -> None:
        self.out, self.recipe, self.trainer = out, recipe, trainer
        self.log: list[dict[str, Any]] = []

    def resume(self) -> int:
        """Load the last finished epoch if it was made by the same recipe; the number of the next one."""
        state = self.out / "log.json"
        if not state.exists():
            return 0
        stored = json.loads(state.read_text())
        if stored["recipe"] != asdict(self.recipe):
            raise TrainingError(f"{self.out} holds a run with another recipe; choose another --out")
        self.log = stored["epochs"]
        self.trainer.load_weights(self.out / f"last-{len(self.log)}.weights.h5")
        return len(self.log)

    def with_average(self, measure: Any) -> Any:
        """Call `measure` while the averaged weights are in place; they stay until `finish_epoch`."""
        self._raw = [np.asarray(v) for v in self.trainer.trainable_variables]
        self.trainer.optimizer.finalize_variable_values(self.trainer.trainable_variables)
        return measure()

    def finish_epoch(self, epoch: int, member: Any, entry: dict[str, float]) -> None:
        """Keep the averaged weights if they are the best so far, put the raw ones back, write the checkpoint."""
        best = max((old["score"] for old in self.log), default=-1.0)
        if entry["score"] > best:
            self._write(member, "best.weights.h5")
        for variable, value in zip(self.trainer.trainable_variables, self._raw, strict=True):
            variable.assign(value)
        self.log.append({"epoch": epoch + 1, **entry})
        tqdm.write(json.dumps(self.log[-1]))
        self._write(self.trainer, f"last-{epoch + 1}.weights.h5")
        partial = self.out / "log.json.part"
        partial.write_text(json.dumps({"recipe": asdict(self.recipe), "epochs": self.log}, indent=1))
        os.replace(partial, self.out / "log.json")
        (self.out / f"last-{epoch}.weights.h5").unlink(missing_ok=True)

    def facts(self) -> dict[str, Any]:
        best = max(self.log, key=lambda entry: entry["score"])
        return {
            "recipe": asdict(self.recipe),
            "best_epoch": best["epoch"],
            "validation": best["score"],
            "epochs": self.log,
        }

    def _write(self, model: Any, name: str) -> None:
        partial = self.out / f"part.{name}"
        model.save_weights(partial)
        os.replace(partial, self.out / name)

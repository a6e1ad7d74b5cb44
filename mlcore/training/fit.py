"""The steps of a run: films → augmentation → standardisation → network, as one model on the device.

May import: Keras and `mlcore.training`. `train` calls `fit` for the epochs a run still lacks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from mlcore.preprocess import PreprocessingSpec
from mlcore.training import augment
from mlcore.training.batches import Array, TrainingBatches, class_weights
from mlcore.training.cache import Samples
from mlcore.training.callbacks import EpochEnd, Progress, take_average
from mlcore.training.devices import placed
from mlcore.training.films import TrainingError
from mlcore.training.layers import Standardise
from mlcore.training.tasks import Task
from mlcore.training.train import Plan, Run, scores_of, within_sources


def fit(run: Run, train: Samples, val: Samples) -> None:
    """Train the epochs that `run` lacks: the head on a frozen backbone first, then all the network lets train."""
    plan, task = run.plan, run.task
    keras.utils.set_random_seed(plan.seed)
    with placed(plan.devices, plan.precision):
        network = run.build(task, plan)
        trainer = _trainer(network, task, plan)
        scoring = scorer(network, task, plan.spec)
        batches = TrainingBatches(
            train, task, count=plan.per_epoch, balance=plan.balance, floor=plan.prior_floor,
            batch=plan.batch, seed=plan.seed,
        )  # fmt: skip
        weights = class_weights(batches.targets, task.exclusive) if plan.balance == "weights" else None
        targets = task.targets(val.films)
        phases = [("head", 0, plan.head_epochs, plan.head_rate), ("tune", plan.head_epochs, plan.total, plan.rate)]
        tuned = _awake(network)
        for phase, first, last, rate in phases:
            done = len(run.log)
            if first == last or done > last:
                continue
            for layer in tuned:
                layer.trainable = phase == "tune"
            if phase == "head" and not tuned:
                raise TrainingError("This network has no frozen part to train a head on: plan no head epochs.")
            trainer.compile(_optimizer(plan, rate, (last - first) * len(batches)), _loss(task, plan, weights))
            trainer.optimizer.build(trainer.trainable_variables)
            if done > first:
                trainer.load_weights(run.checkpoint(done))
            if done == last:  # the next phase starts from the averaged weights, as it does without interruption
                take_average(trainer)
                continue
            end = EpochEnd(
                run, phase, network,
                lambda: within_sources(val.films, targets, scores_of(scoring, val)), batches.start,
            )  # fmt: skip
            bar = Progress(phase, plan.total, done, len(batches))
            trainer.fit(batches, initial_epoch=done, epochs=last, verbose=0, callbacks=[end, bar, *_tensorboard(run)])


def scorer(network: Any, task: Task, spec: PreprocessingSpec) -> Any:
    """Films as cached, (n, rows, columns) of 8 bit → probabilities (n, labels) in float32."""
    pixels = keras.Input(spec.size, dtype="uint8", name="pixels")
    logits = _logits(network, Standardise(spec)(_unit(pixels)))
    activation = "softmax" if task.exclusive else "sigmoid"
    return keras.Model(pixels, keras.layers.Activation(activation, dtype="float32")(logits))


def _trainer(network: Any, task: Task, plan: Plan) -> Any:
    """8-bit films and the log prior of their source → logits. The prior costs nothing at serving."""
    pixels = keras.Input(plan.spec.size, dtype="uint8", name="pixels")
    prior = keras.Input((len(task.labels),), name="log_prior")
    films = _unit(pixels)
    for layer in augment.layers(plan.augment):
        films = layer(films)
    logits = _logits(network, Standardise(plan.spec)(films))
    return keras.Model((pixels, prior), keras.layers.Add(dtype="float32")([logits, prior]))


def _unit(pixels: Any) -> Any:
    return keras.layers.Rescaling(1 / 255, dtype="float32")(pixels)


def _logits(network: Any, films: Any) -> Any:
    output = network(films)
    if len(output.shape) == 4:
        output = keras.layers.GlobalAveragePooling2D(dtype="float32")(output)
    return output


def _awake(network: Any) -> list[Any]:
    """The layers of nested models that fine-tuning trains and the head epochs do not."""
    return [
        layer
        for nested in network.layers
        if isinstance(nested, keras.Model)
        for layer in _leaves(nested)
        if layer.trainable and layer.weights
    ]


def _leaves(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _leaves(layer)
        else:
            yield layer


def _optimizer(plan: Plan, rate: float, steps: int) -> Any:
    """AdamW with a short warm-up and a cosine down to a fiftieth of `rate`; biases do not decay."""
    warm = max(1, steps // 20)
    schedule = keras.optimizers.schedules.CosineDecay(
        rate / 20, max(1, steps - warm), alpha=0.02, warmup_target=rate, warmup_steps=warm
    )
    optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=plan.decay, clipnorm=1.0,
        use_ema=plan.average > 0, ema_momentum=plan.average or 0.99,
    )  # fmt: skip
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def _loss(task: Task, plan: Plan, weights: Array | None) -> Any:
    """Softmax or sigmoid cross-entropy per film, with label smoothing and the weights of `class_weights`."""
    labels = len(task.labels)
    absent, present = np.ones((2, labels), np.float32) if weights is None else weights

    def softmax(targets: Any, logits: Any) -> Any:
        soft = targets * (1 - plan.smoothing) + plan.smoothing / labels
        return ops.categorical_crossentropy(soft, logits, from_logits=True) * ops.sum(targets * present, axis=-1)

    def sigmoid(targets: Any, logits: Any) -> Any:
        soft = targets * (1 - plan.smoothing) + plan.smoothing / 2
        weighed = targets * present + (1 - targets) * absent
        return ops.mean(ops.binary_crossentropy(soft, logits, from_logits=True) * weighed, axis=-1)

    return softmax if task.exclusive else sigmoid


def _tensorboard(run: Run) -> list[Any]:
    """TensorBoard's files where the backend writes them: TensorFlow only; log.csv holds the same everywhere."""
    if keras.backend.backend() != "tensorflow":
        return []
    return [keras.callbacks.TensorBoard(str(run.out / "tensorboard"), write_graph=False)]

"""What happens around the steps of `fit`: the end of an epoch, and the bar that says how long it still takes.

May import: Keras, NumPy, tqdm. `train` puts them into `fit`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Protocol

import keras
from tqdm import tqdm

from mlcore.training.films import TrainingError


class Keeper(Protocol):
    """What keeps a finished epoch: `train.Run`."""

    @property
    def finished(self) -> bool: ...

    def keep_best(self, entry: dict[str, Any], network: Any) -> None: ...

    def keep(self, entry: dict[str, Any], trainer: Any) -> None: ...


class EpochEnd(keras.callbacks.Callback):
    """Measures the averaged weights after every epoch and keeps epoch, best weights and checkpoint.

    Early stopping is asked of the kept log, not counted here, so that an interruption forgets nothing.
    """

    def __init__(
        self, keeper: Keeper, phase: str, network: Any, measure: Callable[[], dict[str, float]], start: Any
    ) -> None:
        super().__init__()
        self.keeper, self.phase, self.network, self.measure, self.start = keeper, phase, network, measure, start

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.started = time.perf_counter()
        self.start(epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = {} if logs is None else logs
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            raise TrainingError(f"The loss of epoch {epoch + 1} is {loss}: train with a lower rate.")
        raw = [keras.ops.convert_to_numpy(variable) for variable in self.model.trainable_variables]
        take_average(self.model)
        scores = self.measure()
        seconds = time.perf_counter() - self.started
        entry = {"epoch": epoch + 1, "phase": self.phase, "loss": loss, **scores, "seconds": seconds}
        self.keeper.keep_best(entry, self.network)
        for variable, value in zip(self.model.trainable_variables, raw, strict=True):
            variable.assign(value)
        self.keeper.keep(entry, self.model)
        logs.update(scores)  # what callbacks behind this one write
        self.model.stop_training = self.keeper.finished


def take_average(trainer: Any) -> None:
    """Put the averaged weights, if the optimizer keeps any, in the place of the plain ones."""
    trainer.optimizer.finalize_variable_values(trainer.trainable_variables)
    for variable in trainer.trainable_variables:  # a copy: JAX would let weight and average share, and free, a buffer
        variable.assign(keras.ops.convert_to_numpy(variable).copy())


class Progress(keras.callbacks.Callback):
    """One bar for the whole run: steps done, time left, loss. `total` epochs, of which `done` are finished."""

    def __init__(self, title: str, total: int, done: int, steps: int) -> None:
        super().__init__()
        self.bar = tqdm(total=total * steps, initial=done * steps, desc=title, unit="step", mininterval=2)
        self.total = total

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.bar.set_description(f"epoch {epoch + 1}/{self.total}", refresh=False)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if logs and batch % 10 == 0:  # reading the loss waits for the device
            self.bar.set_postfix(loss=f"{float(logs['loss']):.4f}", refresh=False)
        self.bar.update()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        text = ", ".join(f"{name} {float(value):.4f}" for name, value in (logs or {}).items())
        tqdm.write(f"epoch {epoch + 1}/{self.total}: {text}")

    def on_train_end(self, logs: Any = None) -> None:
        self.bar.close()

"""Trains the int8 form of a model to say what its float32 says: `python -m bench.quantised_training`.

While it trains, inputs and weights of convolutions are rounded to 8 bits, and the gradient passes as if they were not
(straight-through estimator: Bengio et al. 2013; training with quantisation: Jacob et al., CVPR 2018). The teacher is
the same network in float32, the loss the squared distance of their logits. Afterwards OpenVINO computes the network in
8 bits, and the gate of `export` says what is lost. For models of exclusive findings; a trial, the model folder is not
touched. May import: NumPy, `mlcore`; TensorFlow, Keras and OpenVINO inside functions.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from tqdm import tqdm

from mlcore.artefacts import Artefact, artefact_read
from mlcore.card import ModelCard, load_card
from mlcore.commands.common import add_data, data_folder
from mlcore.contracts import ImageArray
from mlcore.registry import WEIGHTS_FILE, bundled_folder
from mlcore.training.dataset import read_films, thin
from mlcore.training.export import CALIBRATION_FILMS, compared, convert, form_save, passes
from mlcore.training.measure import Outputs, inputs_of, outputs, words_of
from mlcore.training.statistics import REPLICATES
from mlcore.training.tasks import task_of

_BATCH = 16
_ASKED_AT_ONCE = 32
#: Convolutions at the beginning that are not rounded; nor are depthwise ones, which gain no time, nor the head.
_FIRST_IN_FLOAT = 4


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        "python -m bench.quantised_training",
        description="Train a model's 8-bit form to say what its float32 says, and measure what it still loses.",
    )
    parser.add_argument(
        "--model", type=Path, default=bundled_folder(), metavar="FOLDER", help="(default: the shipped one)"
    )
    add_data(parser)
    parser.add_argument("--epochs", type=int, default=6, help="passes over the training films (default: 6)")
    parser.add_argument("--rate", type=float, default=5e-5, help="of Adam, falling to 0 as a cosine (default: 5e-5)")
    parser.add_argument("--form", type=Path, metavar="FOLDER", help="keep the 8-bit form there")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the figures as JSON")
    found = measure(parser.parse_args(argv))
    print(json.dumps(found, indent=1))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """What int8 loses before training and after each epoch (rounded in Keras), and at last as OpenVINO computes it."""
    from mlcore.predictors.keras import served_network
    from mlcore.registry import load_predictor

    card = load_card(options.model)
    task = replace(task_of(card.metrics.get("val", {}).get("task", "three")), labels=card.label_keys)
    held = task.films(read_films(data_folder(options.data)))
    train, val = (thin([film for film in held if film.split == split], options.limit) for split in ("train", "val"))
    keras = load_predictor(options.model, expected_sha256=card.sha256, engine="keras")
    said = outputs(val, keras)
    films, films_val = inputs_of(train, card.preprocessing), inputs_of(said.films, card.preprocessing)
    calibration = inputs_of(thin(train, CALIBRATION_FILMS), card.preprocessing)
    student = served_network(card, options.model / WEIGHTS_FILE, "float32")
    told = _asked(student, films)  # by itself, while nothing is rounded
    rounding = Rounding(student)
    rounding.watch(lambda: [student(film[None], training=False) for film in calibration])
    found: dict[str, Any] = {"films": len(films), "epochs": options.epochs, "rate": options.rate, "after_epoch": []}

    def changed() -> float:
        return _changed(said, _asked(student, films_val), card)

    def tell() -> None:
        if options.out:
            options.out.write_text(json.dumps(found, indent=1))

    found["before"] = changed()
    tell()
    for loss in _epochs(student, films, told, options):
        found["after_epoch"].append({"loss": round(loss, 5), "words_changed": changed()})
        tell()
    found["exported"] = _exported(student, card, said, task, options.form)
    tell()
    return found


class Rounding:
    """Puts itself between the layers of a served network: 8 bits for what goes in, 8 bits a channel for weights."""

    def __init__(self, served: Any) -> None:
        self.on = False
        self._watching = False
        self._ranges: dict[str, tuple[float, float]] = {}
        for member in _members(served):
            for layer in _convolutions(member)[_FIRST_IN_FLOAT:-1]:
                self._stand_before(layer, f"{member.name}/{layer.name}")

    def watch(self, run: Callable[[], object]) -> None:
        """Learn the range of every input from what `run` computes, then round."""
        self._watching = True
        run()
        self._watching, self.on = False, True

    def _stand_before(self, layer: Any, name: str) -> None:
        import keras

        if type(layer) is not keras.layers.Conv2D:
            return
        how = {"strides": layer.strides, "padding": layer.padding}

        def call(films: Any) -> Any:
            found = keras.ops.conv(self._input(films, name), self._weights(layer.kernel), **how)
            return found + layer.bias if layer.use_bias else found

        layer.call = call

    def _input(self, values: Any, name: str) -> Any:
        import tensorflow as tf

        if self._watching:
            low, high = self._ranges.get(name, (0.0, 0.0))
            seen = values.numpy()
            self._ranges[name] = min(low, float(seen.min())), max(high, float(seen.max()))
        return tf.quantization.fake_quant_with_min_max_vars(values, *self._ranges[name], 8) if self.on else values

    def _weights(self, kernel: Any) -> Any:
        """Normalisation only stretches a channel, so it makes no difference that it is folded in later."""
        import tensorflow as tf

        if not self.on:
            return kernel
        flat = tf.reshape(kernel, (-1, kernel.shape[-1]))
        most = tf.stop_gradient(tf.reduce_max(tf.abs(flat), 0)) + 1e-9
        near = tf.quantization.fake_quant_with_min_max_vars_per_channel(flat, -most, most, 8, narrow_range=True)
        return tf.reshape(near, kernel.shape)


def _members(served: Any) -> list[Any]:
    import keras

    return [layer for layer in served.layers if isinstance(layer, keras.Model)]


def _convolutions(model: Any) -> list[Any]:
    """In the order in which films pass them."""
    import keras

    within = [_convolutions(layer) if isinstance(layer, keras.Model) else [layer] for layer in model.layers]
    return [
        layer
        for layers in within
        for layer in layers
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D)
    ]


def _epochs(student: Any, films: ImageArray, told: ImageArray, options: argparse.Namespace) -> Iterator[float]:
    """Train; the mean loss of each epoch. Statistics of the normalisations stay, their scales learn."""
    import keras
    import tensorflow as tf

    steps = len(films) // _BATCH
    rate = keras.optimizers.schedules.CosineDecay(options.rate, steps * options.epochs)
    optimizer = keras.optimizers.Adam(rate)
    optimizer.build(student.trainable_variables)

    @tf.function
    def step(batch: Any, teacher: Any) -> Any:
        with tf.GradientTape() as tape:
            apart = tf.math.log(student(batch, training=False)[0] + 1e-7) - tf.math.log(teacher + 1e-7)
            apart -= tf.reduce_mean(apart, 1, keepdims=True)
            loss = tf.reduce_mean(tf.reduce_sum(apart**2, 1))
        gradients = tape.gradient(loss, student.trainable_variables)
        optimizer.apply_gradients(zip(gradients, student.trainable_variables, strict=True))
        return loss

    random = np.random.default_rng(0)
    for epoch in range(options.epochs):
        order = random.permutation(len(films))[: steps * _BATCH].reshape(steps, _BATCH)
        losses = [float(step(films[at], told[at])) for at in tqdm(order, desc=f"epoch {epoch + 1}", unit="step")]
        yield float(np.mean(losses))


def _asked(network: Any, films: ImageArray) -> ImageArray:
    """The raw probabilities of the network as it is now."""
    import tensorflow as tf

    ask = tf.function(lambda batch: network(batch, training=False)[0], reduce_retracing=True)
    batches = np.split(films, range(_ASKED_AT_ONCE, len(films), _ASKED_AT_ONCE))
    return np.concatenate([ask(tf.constant(batch)).numpy() for batch in batches])


def _changed(said: Outputs, probabilities: ImageArray, card: ModelCard) -> float:
    """The share of films with another word, of the finding that loses most."""
    one, two = (words_of(card.calibration.apply(each), card) for each in (said.probabilities, probabilities))
    return round(float((one != two).mean(0).max()), 4)


def _exported(student: Any, card: ModelCard, said: Outputs, task: Any, kept: Path | None) -> dict[str, Any]:
    """The gate of `export` on the rounding network as OpenVINO computes it: truly in 8 bits, with sums of its own."""
    from mlcore.predictors.keras import served_graph
    from mlcore.predictors.openvino import OpenVinoPredictor

    places = [place for place, label in enumerate(card.labels) if label.trained]
    network = convert(SimpleNamespace(card=card, graph=served_graph(student, places, compiled=False)))
    with tempfile.TemporaryDirectory() as private:
        folder = kept or Path(private)
        folder.mkdir(parents=True, exist_ok=True)
        own = Artefact("int8", "int8", form_save(network, folder, "int8"), passes=False)
        engine = OpenVinoPredictor(card, own, *artefact_read(folder, own))
        measured = compared(said, outputs(said.films, engine), card, task, REPLICATES)
    return {**measured, "passes": passes(measured)}


if __name__ == "__main__":
    main()

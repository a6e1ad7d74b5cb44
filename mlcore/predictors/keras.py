"""The Keras engine on TensorFlow: the card's architecture, compiled once, on a GPU when there is one.

May import: NumPy, `mlcore`; this is the only serving module that imports TensorFlow and Keras, so import it only
in the process that predicts, and never before a fork.
"""

from __future__ import annotations

import contextlib
import warnings
from pathlib import Path

import numpy as np

from mlcore.backbones import build_served
from mlcore.card import ModelCard
from mlcore.contracts import ImageArray, InfrastructureError, ModelIntegrityError, ModelOutput
from mlcore.predictors.base import check_batch, machine_at_fault, run_padded


class KerasPredictor:
    """Builds the architecture in code and loads `weights` into it; `weights` must already be verified."""

    def __init__(self, card: ModelCard, weights: Path) -> None:
        import keras
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        for gpu in gpus:
            _grow_memory(tf, gpu)
        self.card = card
        self.engine = f"keras-tensorflow-{tf.__version__}-{'gpu' if gpus else 'cpu'}"
        keras.mixed_precision.set_global_policy("float32")
        model = build_served(card.architecture)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", UserWarning)  # Keras only warns of layers that it left random
                model.load_weights(weights)
        except (ValueError, OSError, KeyError, UserWarning) as error:
            raise ModelIntegrityError("the weights do not fit the card's architecture") from error
        trained = [place for place, label in enumerate(card.labels) if label.trained]
        film = tf.TensorSpec((None, *card.preprocessing.size, 1), tf.float32)

        def forward(films: tf.Tensor) -> list[tf.Tensor]:  # what was not trained does not leave the graph
            return [tf.gather(output, trained, axis=-1) for output in model(films, training=False)]

        #: The compiled network, trained labels only: what `export` converts.
        self.graph = tf.function(forward, input_signature=[film])
        self.predict(np.zeros((1, *card.preprocessing.size, 1), np.float32))  # compile before the first film waits

    def predict(self, batch: ImageArray) -> ModelOutput:
        """See `Predictor.predict`."""
        try:
            return run_padded(check_batch(batch, self.card), self._run)
        except Exception as error:
            if machine_at_fault(error):
                raise InfrastructureError(type(error).__name__) from error
            raise

    def _run(self, films: ImageArray) -> tuple[ImageArray, ImageArray]:
        probabilities, maps = self.graph(films)
        return probabilities.numpy(), maps.numpy()


def _grow_memory(tf: object, gpu: object) -> None:
    """Take GPU memory as needed; a device that is already in use keeps its setting."""
    with contextlib.suppress(RuntimeError):
        tf.config.experimental.set_memory_growth(gpu, True)  # type: ignore[attr-defined]

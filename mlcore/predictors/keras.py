"""The Keras engine on TensorFlow: the card's architecture, on a GPU compiled by XLA, once its numbers are proved.

May import: NumPy, `mlcore`; this is the only serving module that imports TensorFlow and Keras, so import it only
in the process that predicts, and never before a fork.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlcore.artefacts import MIXED
from mlcore.backbones import build_served
from mlcore.card import ModelCard
from mlcore.contracts import ImageArray, InfrastructureError, ModelIntegrityError, ModelOutput
from mlcore.predictors.base import BATCH_SIZES, check_batch, machine_at_fault, run_padded

#: How far a compiled graph may lie from the plain float32 one: probabilities, then maps as a share of their strongest
#: place. Mixed precision is proved by the card's gate; here only a compiler or device that computes nonsense is found
#: (bfloat16 itself moves the default model's maps by 0.13 on this input, which is noise).
AGREES = {"float32": (1e-4, 1e-4), MIXED: (0.05, 0.25)}
#: A compiled graph has one shape, to which every batch is padded: another shape is another program, which would have to
#: be compiled and proved too, and whose bfloat16 could give a film other numbers beside other films.
_COMPILED_BATCH = 8
#: NVIDIA's Ampere: the first with bfloat16.
_AMPERE = (8, 0)

log = logging.getLogger("mlcore.predictors.keras")


class KerasPredictor:
    """Builds the architecture in code and loads `weights` into it; `weights` must already be verified.

    Of `compiled`, Keras's dtype policies, the first one answers whose graph XLA compiles and whose numbers agree with
    the plain float32 graph's on a fixed input; each that does not is logged. After the last the plain graph answers.
    """

    def __init__(self, card: ModelCard, weights: Path, compiled: Sequence[str] = ()) -> None:
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        for gpu in gpus:
            _grow_memory(tf, gpu)
        if gpus:  # by itself TensorFlow rounds float32 products to 10 bits on a GPU
            tf.config.experimental.enable_tensor_float_32_execution(False)
        self.card = card
        device = f"keras-tensorflow-{tf.__version__}-{'gpu' if gpus else 'cpu'}"
        self.engine = f"{device}-float32" if gpus else device
        self._trained = [place for place, label in enumerate(card.labels) if label.trained]
        #: The plain float32 network, trained labels only: what `export` converts.
        self.graph = served_graph(served_network(card, weights, "float32"), self._trained, compiled=False)
        self._answering = self.graph
        self._sizes: Sequence[int] = BATCH_SIZES
        for policy in compiled:
            if self._take(policy, weights):
                self.engine = f"{device}-xla-{policy}"
                break
        self.predict(np.zeros((1, *card.preprocessing.size, 1), np.float32))  # compile before the first film waits

    def predict(self, batch: ImageArray) -> ModelOutput:
        """See `Predictor.predict`."""
        try:
            return run_padded(check_batch(batch, self.card), self._run, self._sizes)
        except Exception as error:
            if machine_at_fault(error):
                raise InfrastructureError(type(error).__name__) from error
            raise

    def _run(self, films: ImageArray) -> tuple[ImageArray, ImageArray]:
        probabilities, maps = self._answering(films)
        return probabilities.numpy(), maps.numpy()

    def _take(self, policy: str, weights: Path) -> bool:
        """Let the network answer as XLA compiles it under `policy`, if it says what the plain one says."""
        import tensorflow as tf

        films = np.random.default_rng(0).random((_COMPILED_BATCH, *self.card.preprocessing.size, 1), dtype=np.float32)
        expected = self.predict(films)
        graph = served_graph(served_network(self.card, weights, policy), self._trained, compiled=True)
        try:
            probabilities, maps = (part.numpy() for part in graph(films))
        except tf.errors.OpError as error:
            log.warning("XLA does not compile the network in %s: %s", policy, type(error).__name__)
            return False
        apart = float(np.abs(probabilities - expected.probabilities).max())
        maps_apart = float(np.abs(maps - expected.maps).max() / np.abs(expected.maps).max())
        most, maps_most = AGREES[policy]
        if not (apart <= most and maps_apart <= maps_most):  # so that no NaN agrees
            log.warning("XLA in %s differs by %.1e, maps by %.1e, and does not answer", policy, apart, maps_apart)
            return False
        self._answering, self._sizes = graph, (_COMPILED_BATCH,)
        return True


def policies() -> tuple[str, ...]:
    """Keras's dtype policies worth compiling for the device that is here, best first: none on a processor, on a GPU
    float32, before it mixed bfloat16 where every GPU has that. Older GPUs compute in float32, see `artefacts.MIXED`."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    if details and all(each.get("compute_capability", (0, 0)) >= _AMPERE for each in details):
        return MIXED, "float32"
    return ("float32",) if gpus else ()


def served_graph(model: Any, places: Sequence[int], *, compiled: bool) -> Any:
    """A served network as a function of films (n, rows, columns, 1) → [probabilities, maps] of the labels at `places`,
    for XLA to compile, or as it is."""
    import tensorflow as tf

    film = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)

    def forward(films: tf.Tensor) -> list[tf.Tensor]:  # what was not trained does not leave the graph
        return [tf.gather(output, places, axis=-1) for output in model(films, training=False)]

    return tf.function(forward, input_signature=[film], jit_compile=compiled or None)


def served_network(card: ModelCard, weights: Path, policy: str) -> Any:
    """The served network under a dtype policy, which says in what it computes; its weights are float32 under any."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = build_served(card.architecture)
    finally:
        keras.config.set_dtype_policy(before)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # Keras only warns of layers that it left random
            model.load_weights(weights)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        raise ModelIntegrityError("the weights do not fit the card's architecture") from error
    return model


def _grow_memory(tf: Any, gpu: object) -> None:
    """Take GPU memory as needed; a device that is already in use keeps its setting."""
    with contextlib.suppress(RuntimeError):
        tf.config.experimental.set_memory_growth(gpu, True)

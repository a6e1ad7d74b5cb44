"""The engines by name: how each is made ready for a network, and what it must have installed.

A constructor takes a network, whose files `export` has written, and a batch size; it returns a function of films
(batch, rows, columns, 1) in [0, 1] → (probabilities, maps) as NumPy arrays. May import: NumPy, `mlcore`; an engine's
library inside its own constructor only, in the process that measures it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.found import CannotRun
from mlcore.backbones import Architecture

Array = npt.NDArray[np.float32]
Forward = Callable[[Array], tuple[Array, Array]]
FP32, INT8, ONNX = "fp32.xml", "int8.xml", "fp32.onnx"


@dataclass(frozen=True, slots=True)
class Network:
    """`weights`: a file, or None for made-up ones, the same for every engine. `folder` holds what `export` writes."""

    name: str
    architecture: Architecture
    folder: Path
    weights: Path | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """`peak` names the matrix product whose speed is this engine's limit; None where none was measured."""

    title: str
    make: Callable[[Network, int], Forward]
    needs: tuple[str, ...]
    peak: str | None = "fp32"
    file: str = ""
    only: str = ""

    def why_not(self, network: Network, unwritten: dict[str, str]) -> str | None:
        """Why it cannot run here; None when it can."""
        missing = [name for name in self.needs if find_spec(name) is None]
        if missing:
            return f"not installed: {', '.join(missing)}"
        return unwritten.get(self.file)

    def applies(self, network: Network) -> bool:
        return not self.only or network.architecture.backbone == self.only


def keras_model(network: Network) -> Any:
    import keras

    from mlcore.backbones import build_served
    from mlcore.bench.weights import made_up

    keras.mixed_precision.set_global_policy("float32")
    model = build_served(network.architecture)
    if network.weights:
        model.load_weights(network.weights)
    else:
        model.set_weights(made_up((weight.name, tuple(weight.shape)) for weight in model.weights))
    return model


def _predict(network: Network, batch: int) -> Forward:
    model = keras_model(network)
    return lambda films: tuple(model.predict(films, batch_size=batch, verbose=0))


def _predict_on_batch(network: Network, batch: int) -> Forward:
    model = keras_model(network)
    return lambda films: tuple(model.predict_on_batch(films))


def _compiled(xla: bool) -> Callable[[Network, int], Forward]:
    def make(network: Network, batch: int) -> Forward:
        import tensorflow as tf

        model = keras_model(network)
        film = tf.TensorSpec((batch if xla else None, *network.architecture.size, 1), tf.float32)
        run = tf.function(lambda films: model(films, training=False), input_signature=[film], jit_compile=xla)
        return lambda films: tuple(part.numpy() for part in run(films))

    return make


def _openvino(file: str, hint: str) -> Callable[[Network, int], Forward]:
    """Precision is always set: left alone, OpenVINO computes in bf16 where the processor can. One film with the hint
    for latency, a batch with that for throughput and one stream, so that all cores work on the one batch."""

    def make(network: Network, batch: int) -> Forward:
        import openvino

        core = openvino.Core()
        if hint == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise CannotRun("this processor has no bf16 arithmetic")
        mode = {"PERFORMANCE_HINT": "LATENCY"} if batch == 1 else {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": "1"}
        model = core.read_model(network.folder / file)
        model.reshape([batch, *network.architecture.size, 1])
        compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": hint, **mode})
        places = sorted(range(2), key=lambda place: len(compiled.outputs[place].shape))
        request = compiled.create_infer_request()

        def forward(films: Array) -> tuple[Array, Array]:
            answers = request.infer({0: films})
            return answers[places[0]], answers[places[1]]

        return forward

    return make


def _onnx(network: Network, batch: int) -> Forward:
    import onnxruntime

    session = onnxruntime.InferenceSession(network.folder / ONNX, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    places = sorted(range(2), key=lambda place: len(session.get_outputs()[place].shape))

    def forward(films: Array) -> tuple[Array, Array]:
        answers = session.run(None, {name: films})
        return answers[places[0]], answers[places[1]]

    return forward


def _torch(precision: str, mode: str, channels_last: bool = True) -> Callable[[Network, int], Forward]:
    """torchvision's network under the project's head, with the same weights: see `mlcore.bench.engines`."""

    def make(network: Network, batch: int) -> Forward:
        import torch

        from mlcore.bench.devices import Torch
        from mlcore.bench.engines import TorchEngine

        class Plain(TorchEngine):
            """Channels first, as PyTorch lays pictures out unless it is told otherwise."""

            def _network(self, device: str, kind: Any) -> Any:
                return super()._network(device, kind).to(memory_format=torch.contiguous_format)

        engine = (TorchEngine if channels_last else Plain)(Torch("cpu"), network.architecture)
        run = engine.forward(precision, mode)
        return lambda films: engine.host(run(torch.from_numpy(films)))

    return make


_TF, _OV, _TORCH = ("tensorflow",), ("openvino",), ("torch", "torchvision")
#: The first is what all others are compared with: the paper's page calls it.
CASES: dict[str, Case] = {
    "predict": Case("Keras, model.predict", _predict, _TF),
    "batch": Case("Keras, predict_on_batch", _predict_on_batch, _TF),
    "function": Case("Keras, tf.function", _compiled(False), _TF),
    "xla": Case("Keras, tf.function, XLA", _compiled(True), _TF),
    "openvino": Case("OpenVINO, fp32", _openvino(FP32, "f32"), _OV, file=FP32),
    "openvino-bf16": Case("OpenVINO, bf16", _openvino(FP32, "bf16"), _OV, "bf16", FP32),
    "openvino-int8": Case("OpenVINO, int8", _openvino(INT8, "f32"), (*_OV, "nncf"), None, INT8),
    "onnx": Case("ONNX Runtime, fp32", _onnx, ("onnxruntime", "tf2onnx"), file=ONNX),
    "torch": Case("PyTorch, eager", _torch("float32", "plain", False), _TORCH, only="densenet121"),
    "torch-last": Case("PyTorch, channels last", _torch("float32", "plain"), _TORCH, only="densenet121"),
    "torch-bf16": Case("PyTorch, channels last, bf16", _torch("bfloat16", "plain"), _TORCH, "bf16", only="densenet121"),
    "torch-compiled": Case("PyTorch, compiled", _torch("float32", "compiled"), _TORCH, only="densenet121"),
}


def export(network: Network, films: Array) -> dict[str, Any]:
    """Write what engines without Keras read, in a process of its own. Gives operations of one film, Keras's answers to
    `films`, and why a file could not be written, by file."""
    from mlcore.training.costs import multiply_adds

    model = keras_model(network)
    answers = tuple(np.asarray(part) for part in model.predict_on_batch(films))
    unwritten = {}
    for file, write in ((FP32, _write_openvino), (INT8, _write_int8), (ONNX, _write_onnx)):
        try:
            write(model, network)
        except Exception as error:
            unwritten[file] = f"not converted: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return {"gflop": 2 * multiply_adds(model) / 1e9, "answers": answers, "unwritten": unwritten}


def _write_openvino(model: Any, network: Network) -> None:
    import openvino

    saved = network.folder / "saved"
    model.export(saved, verbose=False)
    openvino.save_model(openvino.convert_model(saved), network.folder / FP32, compress_to_fp16=False)


def _write_int8(model: Any, network: Network) -> None:
    """Calibrated on made-up films: good for its speed, and says nothing about its answers."""
    import nncf
    import openvino

    from mlcore.bench.films import inputs

    films = [inputs(1, network.architecture.size[0], first=place) for place in range(64)]
    read = openvino.Core().read_model(network.folder / FP32)
    quantised = nncf.quantize(read, nncf.Dataset(films), subset_size=len(films))
    openvino.save_model(quantised, network.folder / INT8)


def _write_onnx(model: Any, network: Network) -> None:
    if find_spec("tf2onnx"):
        model.export(network.folder / ONNX, format="onnx", verbose=False)

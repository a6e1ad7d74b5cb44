"""What each backend is asked for besides the network: its GPU, copies, waiting, precision, compiling, memory.

May import: NumPy; a backend, and the predictor on it, only inside the class that stands for it, in the process that
measures it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


class Device(Protocol):
    """One backend on one device."""

    def gpu(self) -> str | None:
        """Name of the GPU that the backend computes on; None without."""

    def set_precision(self, precision: str) -> None:
        """How float32 numbers are multiplied from now on: in TF32 for "tf32", else in full."""

    def put(self, array: Array) -> Any:
        """A copy on the device."""

    def wait(self, result: Any) -> None:
        """Return when the device has made `result` and all before it."""

    def forward(self, model: Any, mode: str) -> Callable[[Any], Any]:
        """Keras model → function of films on the device that returns before the result is there."""

    def product(self, side: int, precision: str) -> Callable[[], Any]:
        """One product of two random `side` × `side` matrices on the device."""

    def forget_peak(self) -> None: ...

    def peak_mib(self) -> tuple[float | None, bool]:
        """Most memory in use since `forget_peak`, and whether that is exact; else it is the most since the start."""


class Torch:
    """PyTorch, alone or under Keras."""

    def __init__(self, device: str) -> None:
        import torch

        self.torch = torch
        self.name = "cuda" if device == "gpu" and torch.cuda.is_available() else "cpu"

    def gpu(self) -> str | None:
        return self.torch.cuda.get_device_name() if self.name == "cuda" else None

    def set_precision(self, precision: str) -> None:
        self.torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        self.torch.backends.cudnn.allow_tf32 = precision == "tf32"

    def put(self, array: Array) -> Any:
        return self.torch.from_numpy(array).to(self.name)

    def wait(self, result: Any) -> None:
        if self.name == "cuda":
            self.torch.cuda.synchronize()

    def forward(self, model: Any, mode: str) -> Callable[[Any], Any]:
        torch = self.torch

        def plain(films: Any) -> Any:
            with torch.no_grad():
                return model(films, training=False)

        return torch.compile(plain, dynamic=False) if mode == "compiled" else plain

    def product(self, side: int, precision: str) -> Callable[[], Any]:
        kind = self.torch.bfloat16 if precision == "bfloat16" else self.torch.float32
        left, right = (self.torch.randn(side, side, device=self.name, dtype=kind) for _ in range(2))
        return lambda: left @ right

    def forget_peak(self) -> None:
        if self.name == "cuda":
            self.torch.cuda.empty_cache()
            self.torch.cuda.reset_peak_memory_stats()

    def peak_mib(self) -> tuple[float | None, bool]:
        return (self.torch.cuda.max_memory_allocated() / 2**20, True) if self.name == "cuda" else (None, True)


class Jax:
    """JAX under Keras."""

    def __init__(self, device: str) -> None:
        import jax

        self.jax = jax
        self._before = 0.0

    def gpu(self) -> str | None:
        first = self.jax.devices()[0]
        return first.device_kind if first.platform in ("gpu", "cuda", "rocm") else None

    def set_precision(self, precision: str) -> None:
        wanted = {"float32": "highest", "tf32": "high"}.get(precision, "default")
        self.jax.config.update("jax_default_matmul_precision", wanted)

    def put(self, array: Array) -> Any:
        return self.jax.device_put(array)

    def wait(self, result: Any) -> None:
        self.jax.block_until_ready(result)

    def forward(self, model: Any, mode: str) -> Callable[[Any], Any]:
        if mode == "plain":
            return lambda films: model(films, training=False)
        trained = [variable.value for variable in model.trainable_variables]
        others = [variable.value for variable in model.non_trainable_variables]
        compiled = self.jax.jit(lambda t, o, films: model.stateless_call(t, o, films, training=False)[0])
        return lambda films: compiled(trained, others, films)

    def product(self, side: int, precision: str) -> Callable[[], Any]:
        numbers = self.jax.numpy
        kind = numbers.bfloat16 if precision == "bfloat16" else numbers.float32
        left, right = (self.jax.random.normal(self.jax.random.key(i), (side, side), kind) for i in range(2))
        return lambda: left @ right

    def forget_peak(self) -> None:
        self._before = self._in_use()

    def peak_mib(self) -> tuple[float | None, bool]:
        """JAX keeps one peak per process: it is this case's only where the case has raised it."""
        now = self._in_use()
        return (now or None, now > self._before)

    def _in_use(self) -> float:
        return (self.jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0) / 2**20


class TensorFlow:
    """TensorFlow under Keras."""

    def __init__(self, device: str) -> None:
        import tensorflow

        self.tf = tensorflow
        self._gpus = tensorflow.config.list_physical_devices("GPU") if device == "gpu" else []
        for gpu in self._gpus:
            tensorflow.config.experimental.set_memory_growth(gpu, True)

    def gpu(self) -> str | None:
        details = [self.tf.config.experimental.get_device_details(gpu) for gpu in self._gpus]
        return str(details[0].get("device_name", "GPU")) if details else None

    def set_precision(self, precision: str) -> None:
        self.tf.config.experimental.enable_tensor_float_32_execution(precision == "tf32")

    def put(self, array: Array) -> Any:
        return self.tf.constant(array)

    def wait(self, result: Any) -> None:
        for part in self.tf.nest.flatten(result):
            part.numpy()

    def forward(self, model: Any, mode: str) -> Callable[[Any], Any]:
        """The graph of the infer worker's own engine, all labels."""
        from mlcore.predictors.keras import served_graph

        return served_graph(model, range(model.output_shape[0][-1]), compiled=mode == "compiled")

    def product(self, side: int, precision: str) -> Callable[[], Any]:
        kind = self.tf.bfloat16 if precision == "bfloat16" else self.tf.float32
        left, right = (self.tf.cast(self.tf.random.normal((side, side)), kind) for _ in range(2))
        return lambda: self.tf.matmul(left, right)

    def forget_peak(self) -> None:
        if self._gpus:
            self.tf.config.experimental.reset_memory_stats("GPU:0")

    def peak_mib(self) -> tuple[float | None, bool]:
        if not self._gpus:
            return None, True
        return self.tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20, True


DEVICES: dict[str, type[Torch] | type[Jax] | type[TensorFlow]] = {
    "jax": Jax,
    "torch": Torch,
    "tensorflow": TensorFlow,
    "pytorch": Torch,
}

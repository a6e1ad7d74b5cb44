"""The two kinds of engine: Keras on any backend, with the project's own network code, and PyTorch without Keras.

May import: NumPy and `mlcore`; Keras and PyTorch only inside functions. `worker` measures what these hand out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mlcore.backbones import Architecture, build_member, build_served
from mlcore.bench.devices import Device, Torch
from mlcore.bench.weights import made_up

Array = npt.NDArray[np.float32]
_RATE = 1e-4
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Engine(Protocol):
    """A network on a device. Films are float32 (n, side, side, 1) in [0, 1]; targets (n, labels) are 0 or 1."""

    @property
    def device(self) -> Device: ...

    def forward(self, precision: str, mode: str) -> Callable[[Any], Any]:
        """Films on the device → (probabilities, maps) on the device, not waited for. What was compiled is kept."""

    def host(self, result: Any) -> tuple[Array, Array]:
        """What `forward` gave, copied to this process: probabilities (n, labels), maps (n, h, w, labels)."""

    def training(self, films: Array, targets: Array, precision: str, mode: str) -> Callable[[int], None]:
        """A function that trains so many steps and returns when the last has ended. Each step copies its batch to
        the device, goes through every layer forward and backward, and moves every weight (AdamW)."""


class KerasEngine:
    """The network that `train` trains and the infer worker serves."""

    def __init__(self, device: Device, architecture: Architecture) -> None:
        self.device, self.architecture = device, architecture
        self._built: dict[tuple[str, str], Any] = {}
        self._forward: dict[tuple[str, str], Callable[[Any], Any]] = {}

    def forward(self, precision: str, mode: str) -> Callable[[Any], Any]:
        self.device.set_precision(precision)
        if (precision, mode) not in self._forward:
            self._forward[precision, mode] = self.device.forward(self._model("served", precision), mode)
        return self._forward[precision, mode]

    def host(self, result: Any) -> tuple[Array, Array]:
        from keras import ops

        probabilities, maps = (np.asarray(ops.convert_to_numpy(ops.cast(part, "float32"))) for part in result)
        return probabilities, maps

    def training(self, films: Array, targets: Array, precision: str, mode: str) -> Callable[[int], None]:
        import keras

        self.device.set_precision(precision)
        model = self._model("trainer", precision)
        eager = keras.backend.backend() == "jax" and mode == "plain"
        model.compile(
            keras.optimizers.AdamW(_RATE), keras.losses.BinaryCrossentropy(from_logits=True),
            jit_compile=mode == "compiled", run_eagerly=eager,
        )  # fmt: skip

        class Same(keras.utils.PyDataset):
            """One batch again and again, as the training's own batches are handed over."""

            def __init__(self, steps: int) -> None:
                super().__init__(workers=2, max_queue_size=8)
                self.steps = steps

            def __len__(self) -> int:
                return self.steps

            def __getitem__(self, number: int) -> tuple[Array, Array]:
                return films, targets

        def run(steps: int) -> None:
            model.fit(Same(steps), epochs=1, verbose=0, shuffle=False)
            self.device.wait([variable.value for variable in model.trainable_variables[-1:]])

        return run

    def _model(self, kind: str, precision: str) -> Any:
        """Built once per kind and policy: TF32 is a matter of the device, not of the model."""
        policy = "mixed_bfloat16" if precision == "bfloat16" else "float32"
        if (kind, policy) not in self._built:
            self._built[kind, policy] = self._build(kind, policy)
        return self._built[kind, policy]

    def _build(self, kind: str, policy: str) -> Any:
        import keras

        keras.config.set_dtype_policy(policy)
        if kind == "served":
            model = build_served(self.architecture)
        else:
            member = build_member(self.architecture)
            pooled = keras.layers.GlobalAveragePooling2D(dtype="float32")(member.output)
            model = keras.Model(member.input, pooled)
        model.set_weights(made_up((weight.name, tuple(weight.shape)) for weight in model.weights))
        return model


class TorchEngine:
    """torchvision's network of the same name under the same head, channels last, autocast for bfloat16."""

    def __init__(self, device: Torch, architecture: Architecture) -> None:
        self.device, self.architecture = device, architecture
        self.torch = device.torch
        self._forward: dict[tuple[str, str], Callable[[Any], Any]] = {}

    @cached_property
    def _weights(self) -> list[Array]:
        """In the network's order: what `_tensors` fills."""
        network = self._network("cpu", self.torch.float32)
        return made_up((kind, _keras_shape(kind, tuple(tensor.shape))) for kind, tensor in self._tensors(network))

    def forward(self, precision: str, mode: str) -> Callable[[Any], Any]:
        self.device.set_precision(precision)
        if (precision, mode) not in self._forward:
            self._forward[precision, mode] = self._served(precision, mode)
        return self._forward[precision, mode]

    def _served(self, precision: str, mode: str) -> Callable[[Any], Any]:
        torch = self.torch
        kind = torch.float64 if precision == "float64" else torch.float32
        network = self._filled(kind).eval()
        run = self._compiled(network, mode)

        def forward(films: Any) -> Any:
            with torch.no_grad(), self._autocast(precision):
                return run(films.permute(0, 3, 1, 2).to(kind))

        return forward

    def host(self, result: Any) -> tuple[Array, Array]:
        probabilities, maps = (part.float().cpu().numpy() for part in result)
        return probabilities, maps.transpose(0, 2, 3, 1)

    def training(self, films: Array, targets: Array, precision: str, mode: str) -> Callable[[int], None]:
        torch = self.torch
        self.device.set_precision(precision)
        network = self._filled(torch.float32).train()
        run_network = self._compiled(network, mode)
        fused = self.device.name == "cuda"
        optimizer = torch.optim.AdamW(network.parameters(), lr=_RATE, fused=fused)
        wanted = torch.nn.BCEWithLogitsLoss()

        def step() -> None:
            batch = self.device.put(films).permute(0, 3, 1, 2)
            optimizer.zero_grad(set_to_none=True)
            with self._autocast(precision):
                logits = run_network(batch, False)
            wanted(logits.float(), self.device.put(targets)).backward()
            optimizer.step()

        def run(steps: int) -> None:
            for _ in range(steps):
                step()
            self.device.wait(None)

        return run

    def _compiled(self, network: Any, mode: str) -> Any:
        if mode == "plain":
            return network
        options = {"mode": "reduce-overhead"} if mode == "graphs" else {}
        return self.torch.compile(network, dynamic=False, **options)

    def _autocast(self, precision: str) -> Any:
        return self.torch.autocast(self.device.name, self.torch.bfloat16, enabled=precision == "bfloat16")

    def _filled(self, kind: Any) -> Any:
        network = self._network(self.device.name, kind)
        with self.torch.no_grad():
            for (name, tensor), weight in zip(self._tensors(network), self._weights, strict=True):
                value = weight.transpose(3, 2, 0, 1) if name == "kernel" else weight
                tensor.copy_(self.torch.from_numpy(np.ascontiguousarray(value)))
        return network

    def _tensors(self, network: Any) -> list[tuple[str, Any]]:
        """(Keras's name for its kind, tensor) of every weight in the order in which Keras holds them."""
        found = []
        for module in network.modules():
            if isinstance(module, self.torch.nn.Conv2d):
                found.append(("kernel", module.weight))
            elif isinstance(module, self.torch.nn.BatchNorm2d):
                statistics = (module.running_mean, module.running_var)
                tensors = (module.weight, module.bias, *statistics)
                found += list(zip(("gamma", "beta", "moving_mean", "moving_variance"), tensors, strict=True))
        return [*found, ("bias", network.bias)]

    def _network(self, device: str, kind: Any) -> Any:
        import torchvision

        torch, labels = self.torch, self.architecture.labels
        features = getattr(torchvision.models, self.architecture.backbone)(weights=None).features
        for module in features.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eps = 1.001e-5  # as Keras has it

        class Network(torch.nn.Module):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.features = features
                self.head = torch.nn.Conv2d(features.norm5.num_features, labels, 1, bias=False)
                self.bias = torch.nn.Parameter(torch.zeros(labels))
                for name, values in (("mean", _MEAN), ("deviation", _DEVIATION)):
                    self.register_buffer(name, torch.tensor(values).reshape(1, 3, 1, 1))

            def forward(self, films: Any, served: bool = True) -> Any:
                colour = (films - self.mean) / self.deviation
                maps = self.head(torch.nn.functional.relu(self.features(colour)))
                logits = maps.mean((2, 3)) + self.bias
                return (torch.sigmoid(logits), maps) if served else logits

        return Network().to(device, kind, memory_format=torch.channels_last)


def _keras_shape(kind: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """(outputs, inputs, rows, columns) → (rows, columns, inputs, outputs) for kernels."""
    return (shape[2], shape[3], shape[1], shape[0]) if kind == "kernel" else shape

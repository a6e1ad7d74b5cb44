"""What a network costs at serving: parameters, multiply-adds, time and memory.

May import: NumPy, `mlcore` (not Django); Keras inside functions. `compare` calls `costs` in a process per network.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mlcore.backbones import Architecture, build_served

BATCHES = (1, 8)


def costs(architecture: Architecture, repeats: int = 20) -> dict[str, Any]:
    """Measured on the served network with random weights; call it in a fresh process, for the memory is its peak.

    `parameters`; `gflops` per film (two per multiply-add of convolutions and dense layers, the usual count);
    `latency_ms` per batch size: median and 90th percentile of `repeats` compiled calls; `peak_mib` of the process,
    of which `start_mib` was there before the network was built (interpreter and libraries).
    """
    import keras

    start = _peak_mib()
    served = build_served(architecture)
    latency = {}
    for batch in BATCHES:
        films = np.random.default_rng(0).random((batch, *architecture.size, 1), dtype=np.float32)
        served.predict_on_batch(films)
        seconds = []
        for _ in range(repeats):
            started = time.perf_counter()
            served.predict_on_batch(films)
            seconds.append(time.perf_counter() - started)
        median, slow = np.percentile(seconds, [50, 90]) * 1000
        latency[str(batch)] = {"median": round(float(median), 2), "p90": round(float(slow), 2)}
    return {
        "parameters": int(served.count_params()),
        "gflops": round(2 * multiply_adds(served) / 1e9, 4),
        "latency_ms": latency,
        "peak_mib": round(_peak_mib()),
        "start_mib": round(start),
        "size": list(architecture.size),
        "backend": keras.backend.backend(),
        "machine": machine(),
    }


def multiply_adds(model: Any) -> int:
    """Multiply-adds of every convolution and dense layer for one film; models inside models are counted too."""
    return sum(_layer_multiply_adds(layer) for layer in leaves(model))


def machine() -> str:
    """This machine in words: processor, cores, GPU."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        name = names[0] if names else name
    return f"{name}, {os.cpu_count()} cores{_gpus()}"


def _gpus() -> str:
    """GPUs that the loaded backend sees; a process without a backend names none."""
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None:
        return ""
    details = [
        tensorflow.config.experimental.get_device_details(gpu).get("device_name", "GPU")
        for gpu in tensorflow.config.list_physical_devices("GPU")
    ]
    return ", " + ", ".join(details) if details else ", no GPU"


def leaves(model: Any) -> Iterator[Any]:
    """The layers of a model and of the models inside it."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from leaves(layer)
        else:
            yield layer


def _layer_multiply_adds(layer: Any) -> int:
    from keras import layers

    if isinstance(layer, layers.Dense):
        return int(np.prod(layer.kernel.shape))
    if isinstance(layer, layers.SeparableConv2D):
        places = int(np.prod(layer.output.shape[1:3]))
        return places * int(np.prod(layer.depthwise_kernel.shape) + np.prod(layer.pointwise_kernel.shape))
    if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D)):
        # A kernel is (rows, columns, inputs per group, outputs) or (rows, columns, inputs, multiplier): used whole
        # at every place of the output.
        return int(np.prod(layer.output.shape[1:3])) * int(np.prod(layer.kernel.shape))
    return 0


def _peak_mib() -> float:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)

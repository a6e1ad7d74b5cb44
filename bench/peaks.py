"""The limit of a machine: how fast it multiplies large matrices, in the precisions that can be asked for.

May import: NumPy; OpenVINO inside functions. Measured in turn with the engines that are held against it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

_SIDE = 2048


def product(precision: str) -> Callable[[Any], float]:
    """The function gives GFLOP/s of one product of two matrices: fp32 by NumPy, bf16 by OpenVINO."""
    random = np.random.default_rng(0)
    left, right = (random.random((_SIDE, _SIDE), dtype=np.float32) for _ in range(2))
    multiply: Callable[[], Any] = (lambda: left @ right) if precision == "fp32" else _openvino(left, right)
    multiply()

    def call(_: Any) -> float:
        began = time.perf_counter()
        multiply()
        return 2 * _SIDE**3 / (time.perf_counter() - began) / 1e9

    return call


def _openvino(left: Any, right: Any) -> Callable[[], Any]:
    import openvino
    from openvino import opset13 as ops

    from bench.found import CannotRun

    core = openvino.Core()
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise CannotRun("this processor has no bf16 arithmetic")
    given = ops.parameter(left.shape, np.float32)
    model = openvino.Model([ops.matmul(given, ops.constant(right), False, False)], [given])
    request = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "bf16"}).create_infer_request()
    return lambda: request.infer({0: left})

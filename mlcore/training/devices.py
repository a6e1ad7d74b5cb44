"""What the run computes on: accelerators, number format, several devices at once. The one place that names a backend.

May import: Keras; a backend only inside a function that has made sure it is the one in use. `train` asks here.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from mlcore.training.films import TrainingError


def accelerators() -> int:
    """How many GPUs the backend sees."""
    if keras.backend.backend() == "torch":
        import torch

        return int(torch.cuda.device_count())
    return sum(name.lower().startswith("gpu") for name in keras.distribution.list_devices())


@contextmanager
def placed(devices: str, precision: str) -> Iterator[None]:
    """Models built inside compute in `precision` ("auto" or a Keras policy), on one device or split over "all".

    "all" splits every batch: `tf.distribute.MirroredStrategy` on TensorFlow, `keras.distribution.DataParallel` on
    JAX. Raises TrainingError where the backend cannot.
    """
    before = keras.config.dtype_policy()
    automatic = "mixed_float16" if accelerators() else "float32"
    keras.config.set_dtype_policy(automatic if precision == "auto" else precision)
    try:
        with _spread(devices):
            yield
    finally:
        keras.config.set_dtype_policy(before)


def machine() -> dict[str, Any]:
    """Hardware and versions, kept with every run."""
    backend = keras.backend.backend()
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {accelerators()} GPUs",
        "versions": {"python": platform.python_version(), "keras": keras.__version__, backend: _version(backend)},
    }


def _version(backend: str) -> str:
    from importlib.metadata import version

    return version(backend)


@contextmanager
def _spread(devices: str) -> Iterator[None]:
    if devices == "one":
        yield
    elif devices != "all":
        raise TrainingError(f'devices is "one" or "all", not {devices!r}.')
    elif keras.backend.backend() == "tensorflow":
        import tensorflow

        logical = tensorflow.config.list_logical_devices
        with tensorflow.distribute.MirroredStrategy([d.name for d in logical("GPU") or logical("CPU")]).scope():
            yield
    elif keras.backend.backend() == "jax":
        before = keras.distribution.distribution()
        keras.distribution.set_distribution(keras.distribution.DataParallel())
        try:
            yield
        finally:
            keras.distribution.set_distribution(before)
    else:
        raise TrainingError('Several devices need the TensorFlow or JAX backend: use devices="one" or KERAS_BACKEND.')

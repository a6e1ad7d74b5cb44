"""OpenVINO beside PyTorch where TensorFlow is not installed, on named cores: `python -m bench.torch_beside`.

torchvision's DenseNet with the project's head and map, weights made up, converted from PyTorch itself; the 8-bit form
is read from a file that `python -m mlcore export` or `bench engines` wrote elsewhere. Engines take turns in one
process. May import: NumPy; PyTorch, torchvision and OpenVINO inside functions.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mlcore.artefacts import processor_flags

_TOLD = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
Forward = Callable[[Any], Any]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m bench.torch_beside", description="OpenVINO beside PyTorch, in turn.")
    parser.add_argument("--network", default="densenet169", help="of torchvision (default: densenet169)")
    parser.add_argument("--int8", type=Path, metavar="FILE", help="the 8-bit form of the same network")
    parser.add_argument("--cores", default="", metavar="A,B", help="run on these (default: all)")
    parser.add_argument("--seconds", type=float, default=60, help="for all turns (default: 60)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the figures as JSON")
    options = parser.parse_args(argv)
    if options.cores:
        os.sched_setaffinity(0, {int(core) for core in options.cores.split(",")})
    found = measure(options)
    print(json.dumps(found, indent=1))
    if options.out:
        options.out.write_text(json.dumps(found, indent=1))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    import openvino
    import torch

    cores = len(os.sched_getaffinity(0))
    torch.set_num_threads(cores)
    network = _network(options.network)
    cases = {(name, batch): forward for batch in (1, 8) for name, forward in _cases(network, batch, options).items()}
    films = {batch: np.random.default_rng(0).random((batch, 1, 224, 224), dtype=np.float32) for batch in (1, 8)}
    seconds: dict[tuple[str, int], list[float]] = {case: [] for case in cases}
    for (_, batch), forward in cases.items():  # compiling is not measured
        forward(films[batch])
    until = time.monotonic() + options.seconds
    while time.monotonic() < until:
        for case, forward in cases.items():
            began = time.perf_counter()
            forward(films[case[1]])
            seconds[case].append(time.perf_counter() - began)
    return {
        "network": options.network,
        "cores": cores,
        "processor": [flag for flag in _TOLD if flag in processor_flags()],
        "versions": {"torch": torch.__version__, "openvino": openvino.__version__, "python": platform.python_version()},
        "films_per_s": {f"{name}, batch {b}": round(b / float(np.median(s)), 1) for (name, b), s in seconds.items()},
        "turns": min(map(len, seconds.values())),
    }


def _network(name: str) -> Any:
    import torch
    import torchvision

    class WithMap(torch.nn.Module):
        """Grey film → probabilities and maps of 14 labels, as `mlcore.backbones.build_served`."""

        def __init__(self) -> None:
            super().__init__()
            whole = getattr(torchvision.models, name)(weights=None)
            self.features = whole.features
            self.head = torch.nn.Conv2d(whole.classifier.in_features, 14, 1, bias=False)

        def forward(self, film: Any) -> Any:
            maps = self.head(torch.relu(self.features(film.expand(-1, 3, -1, -1))))
            return torch.sigmoid(maps.mean((2, 3))), maps

    torch.manual_seed(1)
    return WithMap().eval()


def _cases(network: Any, batch: int, options: argparse.Namespace) -> dict[str, Forward]:
    import openvino
    import torch

    def eager(last: bool, bf16: bool) -> Forward:
        layout = torch.channels_last if last else torch.contiguous_format
        own = copy.deepcopy(network).to(memory_format=layout)

        def run(films: Any) -> Any:
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                return own(torch.from_numpy(films).to(memory_format=layout))

        return run

    core = openvino.Core()
    mode = {"PERFORMANCE_HINT": "LATENCY"} if batch == 1 else {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": "1"}

    def compiled(model: Any, hint: str, channels_first: bool) -> Forward:
        shape = [batch, 1, 224, 224] if channels_first else [batch, 224, 224, 1]
        model.reshape(shape)
        request = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": hint, **mode}).create_infer_request()
        return lambda films: request.infer({0: films.reshape(shape)})  # one channel: the same bytes in both layouts

    def converted() -> Any:
        return openvino.convert_model(network, example_input=torch.zeros(batch, 1, 224, 224))

    cases = {
        "PyTorch eager": eager(last=False, bf16=False),
        "PyTorch channels last": eager(last=True, bf16=False),
        "PyTorch channels last, bf16": eager(last=True, bf16=True),
        "OpenVINO fp32": compiled(converted(), "f32", channels_first=True),
    }
    if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        cases["OpenVINO bf16"] = compiled(converted(), "bf16", channels_first=True)
    if options.int8:
        cases["OpenVINO int8"] = compiled(core.read_model(options.int8), "f32", channels_first=False)
    return cases


if __name__ == "__main__":
    main()

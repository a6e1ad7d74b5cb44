"""A fabricated CheXNet checkpoint, the same on every machine, and what PyTorch says with it.

`python -m tests.mlcore.chexnet_reference` prints `LOGITS` again; it needs PyTorch, which the project does not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

BLOCKS = (6, 12, 24, 16)
SIDE = 64
#: Of `films()` by the network of `state()`, made with PyTorch 2.13.0 on a CPU.
LOGITS = (
    (
        -1.322677,
        1.797047,
        -2.095956,
        1.766933,
        -0.929293,
        0.180892,
        -0.478539,
        0.577914,
        3.902489,
        1.137401,
        -0.889938,
        -1.358711,
        -0.488594,
        2.247175,
    ),
    (
        -1.068742,
        1.698581,
        -1.989198,
        1.814224,
        -0.944476,
        0.144635,
        -0.497365,
        0.518515,
        3.695683,
        1.240500,
        -0.969638,
        -1.332806,
        -0.524172,
        2.184025,
    ),
)


def state() -> dict[str, np.ndarray]:
    """DenseNet121 with 14 outputs: random numbers under PyTorch's names and in its layout."""
    random = np.random.default_rng(121)
    tensors: dict[str, np.ndarray] = {}

    def convolution(name: str, outputs: int, inputs: int, side: int) -> None:
        scale = (2 / (inputs * side * side)) ** 0.5
        tensors[f"{name}.weight"] = random.normal(0, scale, (outputs, inputs, side, side)).astype(np.float32)

    def normalisation(name: str, width: int) -> None:
        for part, low, high in (("weight", 0.5, 1.5), ("bias", -0.2, 0.2), ("running_mean", -0.2, 0.2)):
            tensors[f"{name}.{part}"] = random.uniform(low, high, width).astype(np.float32)
        tensors[f"{name}.running_var"] = random.uniform(0.5, 1.5, width).astype(np.float32)

    convolution("features.conv0", 64, 3, 7)
    normalisation("features.norm0", 64)
    width = 64
    for block, layers in enumerate(BLOCKS, start=1):
        for layer in range(1, layers + 1):
            name = f"features.denseblock{block}.denselayer{layer}"
            normalisation(f"{name}.norm1", width)
            convolution(f"{name}.conv1", 128, width, 1)
            normalisation(f"{name}.norm2", 128)
            convolution(f"{name}.conv2", 32, 128, 3)
            width += 32
        if block < len(BLOCKS):
            normalisation(f"features.transition{block}.norm", width)
            convolution(f"features.transition{block}.conv", width // 2, width, 1)
            width //= 2
    normalisation("features.norm5", width)
    tensors["classifier.weight"] = random.normal(0, 0.01, (14, width)).astype(np.float32)
    tensors["classifier.bias"] = random.normal(0, 0.5, 14).astype(np.float32)
    return tensors


def films() -> np.ndarray:
    """Two inputs as `PreprocessingSpec` makes them, (2, SIDE, SIDE, 1)."""
    return np.random.default_rng(1).random((2, SIDE, SIDE, 1), dtype=np.float32)


def torch_logits() -> Any:
    """DenseNet121 as torchvision defines it, in PyTorch's own functions."""
    import torch
    from torch.nn import functional

    tensors = {name: torch.from_numpy(value) for name, value in state().items()}

    def normalised(x: Any, name: str) -> Any:
        own = (tensors[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return functional.relu(functional.batch_norm(x, *own, training=False, momentum=0, eps=1e-5))

    def convolved(x: Any, name: str, **how: int) -> Any:
        return functional.conv2d(x, tensors[f"{name}.weight"], **how)

    x = torch.from_numpy(films()).permute(0, 3, 1, 2).repeat(1, 3, 1, 1)
    x = (x - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    x = normalised(convolved(x, "features.conv0", stride=2, padding=3), "features.norm0")
    x = functional.max_pool2d(x, 3, 2, 1)
    for block, layers in enumerate(BLOCKS, start=1):
        for layer in range(1, layers + 1):
            name = f"features.denseblock{block}.denselayer{layer}"
            new = convolved(normalised(x, f"{name}.norm1"), f"{name}.conv1")
            x = torch.cat([x, convolved(normalised(new, f"{name}.norm2"), f"{name}.conv2", padding=1)], 1)
        if block < len(BLOCKS):
            name = f"features.transition{block}"
            x = functional.avg_pool2d(convolved(normalised(x, f"{name}.norm"), f"{name}.conv"), 2)
    pooled = normalised(x, "features.norm5").mean((2, 3))
    return functional.linear(pooled, tensors["classifier.weight"], tensors["classifier.bias"]).numpy()


if __name__ == "__main__":
    for row in torch_logits():
        print(f"    ({', '.join(f'{value:.6f}' for value in row)}),")

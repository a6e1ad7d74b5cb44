"""From a decoded film to the model's input: exactly what the card states, the same for training and serving.

May import: NumPy, Pillow, the standard library and `mlcore.contracts`. `prepare` writes what is made here,
`infer` reads it back; the training cache uses the same two steps.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from mlcore.contracts import DecodedImage, ImageArray, ModelInput

#: Smallest spread of intensities that is stretched, so that a flat picture stays flat.
FLAT = 1e-3


@dataclass(frozen=True, slots=True)
class PreprocessingSpec:
    """How a film becomes the input. Changing a field changes `id`, so old inputs are not mistaken for new ones.

    `size` (rows, columns); the film is squashed to it because a part of the training films came squashed.
    `blur` is the standard deviation in pixels of the Gaussian that gives every film the same sharpness.
    Intensities between percentiles `low` and `high` of the film without `margin` (share of each side)
    are stretched to [0, 1].
    """

    size: tuple[int, int] = (224, 224)
    blur: float = 1.0
    low: float = 1.0
    high: float = 99.0
    margin: float = 0.05

    @property
    def id(self) -> str:
        """Stable name of the recipe, stored with every input."""
        rows, columns = self.size
        return f"squash{rows}x{columns}-blur{self.blur:g}-p{self.low:g}-{self.high:g}-m{self.margin:g}-v1"

    def to_json(self) -> dict[str, object]:
        return {"id": self.id, **asdict(self), "size": list(self.size)}


def squash(film: ImageArray | Image.Image, size: tuple[int, int]) -> ImageArray:
    """Resize to `size` with a filter as wide as the step down, so that large films are averaged, not sampled."""
    rows, columns = size
    if not isinstance(film, Image.Image):
        film = Image.fromarray(np.ascontiguousarray(film, dtype=np.float32))
    return np.asarray(film.resize((columns, rows), Image.Resampling.BILINEAR), dtype=np.float32)


def standardise(squashed: ImageArray, spec: PreprocessingSpec) -> ImageArray:
    """Equal sharpness and equal contrast: (rows, columns) in any range → (rows, columns, 1) in [0, 1]."""
    smooth = _gaussian(squashed, spec.blur)
    rows, columns = smooth.shape
    top, left = round(rows * spec.margin), round(columns * spec.margin)
    inner = smooth[top : rows - top, left : columns - left]
    low, high = np.percentile(inner, [spec.low, spec.high])
    stretched = (smooth - np.float32(low)) / np.float32(max(high - low, FLAT))
    return np.clip(stretched, 0.0, 1.0, dtype=np.float32)[..., None]


def model_input(image: DecodedImage, spec: PreprocessingSpec, image_sha256: str) -> ModelInput:
    """The input of one film. `image_sha256` is the hash of the original bytes and travels with the array."""
    return ModelInput(standardise(squash(image.picture, spec.size), spec), image_sha256, spec.id)


def write_model_input(target: Path | str | IO[bytes], value: ModelInput) -> None:
    """Write `value` as an .npz without pickled objects. A path is used as it is given."""
    about = json.dumps({"image_sha256": value.image_sha256, "preprocessing": value.preprocessing})
    payload = {"array": value.array, "about": np.frombuffer(about.encode(), dtype=np.uint8)}
    if isinstance(target, (str, Path)):
        with open(target, "wb") as file:
            np.savez(file, **payload)  # type: ignore[arg-type]
    else:
        np.savez(target, **payload)  # type: ignore[arg-type]


def read_model_input(source: Path | str | IO[bytes]) -> ModelInput:
    """Read what `write_model_input` wrote. Raises ValueError on anything else."""
    try:
        with np.load(source, allow_pickle=False) as stored:
            about = json.loads(stored["about"].tobytes())
            array = stored["array"]
    except (KeyError, EOFError, AttributeError, TypeError) as error:
        raise ValueError("not a model input") from error
    if array.dtype != np.float32 or array.ndim != 3:
        raise ValueError("not a model input")
    return ModelInput(array, str(about["image_sha256"]), str(about["preprocessing"]))


def gaussian_kernel(sigma: float) -> ImageArray:
    """Weights of a Gaussian cut at three deviations, odd in number, of sum 1; a single 1 where there is no blur."""
    reach = max(1, round(3 * sigma)) if sigma > 0 else 0
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (sigma or 1)) ** 2)
    return (kernel / kernel.sum()).astype(np.float32)


def _gaussian(picture: ImageArray, sigma: float) -> ImageArray:
    """Separable Gaussian, edge pixels repeated."""
    kernel = gaussian_kernel(sigma)
    reach = len(kernel) // 2
    for axis in (0, 1):
        width = [(0, 0), (0, 0)]
        width[axis] = (reach, reach)
        padded = np.pad(picture, width, mode="edge")
        length = picture.shape[axis]
        picture = sum(
            weight * (padded[i : i + length] if axis == 0 else padded[:, i : i + length])
            for i, weight in enumerate(kernel)
        )  # type: ignore[assignment]
    return picture

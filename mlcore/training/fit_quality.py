"""Fits `bundled/quality.json` from chest films and from pictures that are none, and prints what it then rejects.

    python -m mlcore.training.fit_quality FILMS_DIR --others PICTURES_DIR [--write]

May import NumPy, Pillow and `mlcore.quality`. FILMS_DIR holds `manifest.csv` (columns file, split,
source_dataset); PICTURES_DIR any photographs and graphics. Films of the split `train` fit the model, half of the
other pictures (by name) too; the rest measures it.
"""

from __future__ import annotations

import argparse
import csv
import json
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError

from mlcore.contracts import DecodedImage, HeaderFacts, ImageArray
from mlcore.quality import PARAMETERS, Features, FilmModel, assess, film_model, picture_vector

AXES = 24
RIDGE = 3.0
DRAWN = 500  # pictures of each kind
WEIGHT = 4000.0  # effective number of examples, half films and half others
#: Chosen on the films of train: fewer than 1 in 500 falls below the first, 1 in 100 below the second.
REJECT_BELOW, WARN_BELOW, TURNED_ABOVE = -1.0, 1.0, 400.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", type=Path)
    parser.add_argument("--others", type=Path, help="folder of photographs and graphics")
    parser.add_argument("--write", action="store_true", help="fit and replace bundled/quality.json first")
    options = parser.parse_args()
    rows = list(csv.DictReader((options.films / "manifest.csv").open()))
    others = list(_others(options.others))
    if options.write:
        _write(_fitted(options.films, rows, [picture for name, picture in others if not _held_out(name)]))
        film_model.cache_clear()
    _report(options.films, rows, [(name, picture) for name, picture in others if _held_out(name)])


def _held_out(name: str) -> bool:
    return zlib.crc32(name.partition(":")[2].encode()) % 2 == 0


def _film(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("L")


def _unit(image: Image.Image) -> ImageArray:
    return np.asarray(image, np.float32) / np.float32(255)


def _fitted(folder: Path, rows: list[dict[str, str]], others: list[ImageArray]) -> FilmModel:
    rng = np.random.default_rng(3)
    films = _vectors(_training_pictures(folder, rows, rng))
    mean = films.mean(0)
    _, sizes, axes = np.linalg.svd(films - mean, full_matrices=False)
    variances = sizes**2 / len(films)
    shape = FilmModel(
        mean=mean,
        axes=axes[:AXES],
        variances=variances[:AXES],
        residual_variance=float(variances[AXES:].mean()),
        weights=np.zeros(2 * AXES + 4),
        bias=0.0,
        reject_below=REJECT_BELOW,
        warn_below=WARN_BELOW,
        turned_above=TURNED_ABOVE,
    )
    weights, bias = _logistic(shape.features(films), shape.features(_vectors(others)))
    return replace(shape, weights=weights, bias=bias)


def _vectors(pictures: list[ImageArray] | Iterator[ImageArray]) -> Features:
    return np.stack([picture_vector(picture) for picture in pictures])


def _training_pictures(folder: Path, rows: list[dict[str, str]], rng: np.random.Generator) -> Iterator[ImageArray]:
    """As many films of each source, each as it is, mirrored, and once varied."""
    by_source: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row["split"] == "train":
            by_source[row["source_dataset"]].append(row["file"])
    count = min(map(len, by_source.values()))
    for names in by_source.values():
        for name in rng.permutation(names)[:count]:
            film = _film(folder / name)
            yield _unit(film)
            yield _unit(film)[:, ::-1]
            yield _varied(film, rng)


def _varied(film: Image.Image, rng: np.random.Generator) -> ImageArray:
    """Tilted, cropped, darker or brighter, sometimes with a border: as other hospitals send them."""
    width, height = film.size
    crop_width, crop_height = (int(side * rng.uniform(0.82, 1)) for side in film.size)
    left, top = int(rng.integers(0, width - crop_width + 1)), int(rng.integers(0, height - crop_height + 1))
    film = film.rotate(rng.normal(0, 5), resample=Image.Resampling.BILINEAR)
    pixels = _unit(film.crop((left, top, left + crop_width, top + crop_height))) ** np.exp(rng.normal(0, 0.4))
    pixels = np.clip(pixels * rng.uniform(0.6, 1) + rng.uniform(0, 0.15), 0, 1)
    if rng.random() < 0.2:
        above, below, before, after = rng.integers(0, 60, 4)
        border = rng.choice([0.0, 0.0, 1.0])
        pixels = np.pad(pixels, ((above, below), (before, after)), constant_values=border)
    return pixels.astype(np.float32)


def _logistic(films: Features, others: Features) -> tuple[Features, float]:
    """Ridge logistic regression by Newton's method, both classes weighing the same; weights for raw features."""
    raw = np.concatenate([films, others])
    centre, scale = raw.mean(0), raw.std(0)
    inputs = np.column_stack([(raw - centre) / scale, np.ones(len(raw))])
    target = np.r_[np.ones(len(films)), np.zeros(len(others))]
    share = np.r_[np.full(len(films), 0.5 / len(films)), np.full(len(others), 0.5 / len(others))] * WEIGHT
    ridge = np.r_[np.full(raw.shape[1], RIDGE), 0.0]
    solution = np.zeros(inputs.shape[1])
    for _ in range(30):
        probability = 1 / (1 + np.exp(-inputs @ solution))
        gradient = inputs.T @ (share * (probability - target)) + ridge * solution
        curvature = (inputs * (share * probability * (1 - probability))[:, None]).T @ inputs + np.diag(ridge)
        solution -= np.linalg.solve(curvature, gradient)
    weights = solution[:-1] / scale
    return weights, float(solution[-1] - centre @ weights)


def _write(model: FilmModel) -> None:
    stored = {
        name: np.round(value, 5).tolist() if isinstance(value, np.ndarray) else value
        for name, value in asdict(model).items()
    }
    PARAMETERS.write_text(json.dumps(stored) + "\n")


# Pictures that are no films


def _others(folder: Path | None) -> Iterator[tuple[str, ImageArray]]:
    """Named pictures "kind:name": drawn ones, and those of `folder` whole and cropped."""
    rng = np.random.default_rng(7)
    makers = {"text": _text, "gradient": _gradient, "noise": _noise, "checkerboard": _checkerboard, "shapes": _shapes}
    for kind, make in makers.items():
        for number in range(DRAWN):
            picture = make(rng)
            if picture.std() > 0.02:
                yield f"{kind}:{number}", picture
    for path in sorted(folder.rglob("*")) if folder else ():
        opened = _opened(path)
        if opened is not None:
            yield f"picture:{path.name}", opened
            for _ in range(6):
                yield f"crop of a picture:{path.name}", _cropped(opened, rng)


def _opened(path: Path) -> ImageArray | None:
    try:
        with Image.open(path) as file:
            image = file.convert("RGBA")
    except (OSError, UnidentifiedImageError):
        return None
    if min(image.size) < 128:
        return None
    return _unit(Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("L"))


def _cropped(picture: ImageArray, rng: np.random.Generator) -> ImageArray:
    rows, columns = (int(side * rng.uniform(0.3, 0.9)) for side in picture.shape)
    top, left = (int(rng.integers(0, n - m + 1)) for n, m in zip(picture.shape, (rows, columns), strict=True))
    crop = picture[top : top + rows, left : left + columns]
    return 1 - crop if rng.random() < 0.25 else crop


def _text(rng: np.random.Generator) -> ImageArray:
    paper, ink = (0, 255) if rng.random() < 0.3 else (255, 0)
    page = Image.new("L", (600, int(rng.integers(400, 850))), paper)
    size, indent = int(rng.integers(10, 40)), int(rng.integers(10, 80))
    font = ImageFont.load_default(size)
    for line in range(1, int(page.height / size / 1.4)):
        letters = "".join(rng.choice(list("abcdefghij klmnop  "), int(rng.integers(5, 60) * 20 / size) + 1))
        ImageDraw.Draw(page).text((indent, line * size * 1.4), letters, fill=ink, font=font)
    return _unit(page)


def _gradient(rng: np.random.Generator) -> ImageArray:
    y, x = np.mgrid[0:1:256j, 0:1:256j]
    angle = rng.uniform(0, 2 * np.pi)
    slope = (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle) + 0.5
    if rng.random() < 0.4:
        slope = np.hypot(x - rng.uniform(0.2, 0.8), y - rng.uniform(0.2, 0.8)) * rng.uniform(0.6, 1.6)
    return np.clip(1 - slope if rng.random() < 0.3 else slope, 0, 1).astype(np.float32)


def _noise(rng: np.random.Generator) -> ImageArray:
    grain = int(rng.choice([4, 6, 8, 12, 16, 32, 64, 256]))
    coarse = Image.fromarray(rng.random((grain, grain)).astype(np.float32))
    return np.clip(np.asarray(coarse.resize((256, 256), Image.Resampling.BICUBIC)), 0, 1)


def _checkerboard(rng: np.random.Generator) -> ImageArray:
    step, stripes = int(rng.integers(2, 60)), rng.random() < 0.4
    index = np.arange(256) // step
    return ((index[:, None] + (0 if stripes else index[None])) % 2 * np.ones((1, 256))).astype(np.float32)


def _shapes(rng: np.random.Generator) -> ImageArray:
    y, x = np.mgrid[0:1:256j, 0:1:256j]
    picture = rng.normal(0.02, 0.02, x.shape)
    for _ in range(rng.integers(1, 5)):
        (cx, cy), (rx, ry) = rng.uniform(0.2, 0.8, 2), rng.uniform(0.05, 0.4, 2)
        u, v = np.abs(x - cx) / rx, np.abs(y - cy) / ry
        picture[(u**2 + v**2 < 1) if rng.random() < 0.6 else (u < 1) & (v < 1)] = rng.uniform(0.2, 1)
    return np.clip(picture, 0, 1).astype(np.float32)


# Measurement


def _report(folder: Path, rows: list[dict[str, str]], others: list[tuple[str, ImageArray]]) -> None:
    verdicts: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        held_out = row["split"] != "train"
        film = _unit(_film(folder / row["file"]))
        group = f"{row['source_dataset']}, {'val and test' if held_out else 'train'}"
        verdicts[group].append(_verdict(film))
        if held_out:
            for degrees in (90, 180, 270):
                verdicts[f"films turned by {degrees}°"].append(_verdict(np.rot90(film, degrees // 90)))
            verdicts["inverted films"].append(_verdict(1 - film))
    for name, picture in others:
        verdicts[name.partition(":")[0]].append(_verdict(picture))
    for group, answers in verdicts.items():
        rejected, warned = answers.count("rejected"), answers.count("warn")
        low, high = wilson(rejected, len(answers))
        print(
            f"| {group} | {len(answers)} | {rejected / len(answers):.2%} ({low:.2%} to {high:.2%}) "
            f"| {warned / len(answers):.1%} |"
        )


def _verdict(pixels: ImageArray) -> str:
    height, width = pixels.shape
    return assess(DecodedImage(pixels, HeaderFacts("png", width, height))).verdict


def wilson(hits: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's 95 % interval of a proportion."""
    share = hits / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * np.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / (1 + z * z / trials)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


if __name__ == "__main__":
    main()

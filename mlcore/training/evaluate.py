"""The figures of a model, from the films: pooled, within every source and every file-making batch, beside baselines.

May import: NumPy, tqdm, `mlcore` (not Django). `bundle` writes the outcome into the card; `python -m mlcore evaluate`
makes it again and compares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from tqdm import tqdm

from mlcore.card import ModelCard
from mlcore.contracts import ImageArray, ImageRefusedError
from mlcore.decode import decode
from mlcore.predictors.base import BATCH_SIZES, Predictor
from mlcore.preprocess import PreprocessingSpec, model_input
from mlcore.training.dataset import Film
from mlcore.training.metrics import Figures, Floats, Integers, bootstrap, figures

REPLICATES = 1000
#: Figures that carry an interval for the film-making batches too; the others are left out there.
_BATCH_FIGURES = ("accuracy", "macro_auroc")


def scores(films: Sequence[Film], predictor: Predictor) -> tuple[list[Film], ImageArray]:
    """The films that decode, and their raw probabilities (n, labels), by the same steps as at serving."""
    kept: list[Film] = []
    outputs: list[ImageArray] = []
    for films_read, inputs in _batches(films, predictor.card.preprocessing):
        kept += films_read
        outputs.append(predictor.predict(inputs).probabilities)
    if not kept:
        raise ValueError("no film could be read")
    return kept, np.concatenate(outputs)


def report(
    films: Sequence[Film],
    calibrated: ImageArray,
    card: ModelCard,
    train: Sequence[Film],
    replicates: int = REPLICATES,
) -> dict[str, Any]:
    """Every figure of one split as {value, low, high}; `train` gives the baselines their class shares.

    Baselines see no pixel: `source_only` knows the hospital's data set, `batch_only` who made the file,
    `always_normal` nothing. Within a group they rank nothing, so read them beside the model's figures.
    """
    truth = np.array([card.label_keys.index(film.label) for film in films])
    baselines = _baselines(films, train, card.label_keys)
    parts = {"pooled": np.full(len(films), True)}
    for source in sorted({film.source for film in films}):
        parts[f"within {source}"] = np.array([film.source == source for film in films])
    result: dict[str, Any] = {"replicates": replicates, "unit": "patient group", "parts": {}, "batches": {}}
    for name, part_keep in parts.items():
        result["parts"][name] = _part(films, truth, calibrated, baselines, part_keep, card, replicates)
    for batch in sorted({film.batch for film in films}):
        keep = np.array([film.batch == batch for film in films])
        if keep.sum() >= 20 and len(np.unique(truth[keep])) > 1:
            part = _part(films, truth, calibrated, {}, keep, card, replicates)
            result["batches"][batch] = {
                "films": part["films"],
                "figures": {name: part["figures"][name] for name in _BATCH_FIGURES},
            }
    return result


def differences(stored: Mapping[str, Any], again: Mapping[str, Any], tolerance: float = 0.002) -> list[str]:
    """Where a stored report and a new one differ by more than `tolerance`: one line each."""
    old, new = dict(_leaves(stored)), dict(_leaves(again))
    lines = []
    for name in sorted(old.keys() | new.keys()):
        a, b = old.get(name), new.get(name)
        if a is None or b is None or abs(a - b) > tolerance:
            lines.append(f"{name}: card {a}, now {b}")
    return lines


def table(result: Mapping[str, Any]) -> str:
    """The report as lines for a terminal."""
    lines = []
    for name, part in result["parts"].items():
        lines.append(f"{name}: {part['films']} films, {part['groups']} patient groups")
        lines += [f"  {figure:26s} {_spread(value)}" for figure, value in part["figures"].items()]
        for baseline, values in part["baselines"].items():
            text = ", ".join(f"{figure} {values[figure]:.3f}" for figure in ("accuracy", "macro_auroc"))
            lines.append(f"  no pixel, {baseline}: {text}")
    for name, part in result["batches"].items():
        text = ", ".join(f"{figure} {_spread(value)}" for figure, value in part["figures"].items())
        lines.append(f"batch {name}: {part['films']} films, {text}")
    return "\n".join(lines)


def _batches(films: Sequence[Film], spec: PreprocessingSpec) -> Iterator[tuple[list[Film], ImageArray]]:
    """Decoded batches; films that intake refuses are left out."""

    def read(film: Film) -> ImageArray | None:
        try:
            return model_input(decode(film.path.read_bytes()), spec, film.sha256).array
        except ImageRefusedError:
            return None

    size = BATCH_SIZES[-1]
    with ThreadPoolExecutor(2) as pool:
        for start in tqdm(range(0, len(films), size), desc="films", unit="batch"):
            piece = films[start : start + size]
            arrays = list(pool.map(read, piece))
            kept = [(film, array) for film, array in zip(piece, arrays, strict=True) if array is not None]
            if kept:
                yield [film for film, _ in kept], np.stack([array for _, array in kept])


def _part(
    films: Sequence[Film],
    truth: Integers,
    calibrated: ImageArray,
    baselines: Mapping[str, Floats],
    keep: np.ndarray,
    card: ModelCard,
    replicates: int,
) -> dict[str, Any]:
    own_truth, own = truth[keep], calibrated[keep]
    groups = [film.group for film, kept in zip(films, keep, strict=True) if kept]

    def measure(indices: Integers) -> Figures:
        return figures(own_truth[indices], own[indices], card.label_keys, card.operating_points)

    value = measure(np.arange(len(own_truth)))
    interval = bootstrap(measure, groups, replicates)
    return {
        "films": int(keep.sum()),
        "groups": len(set(groups)),
        "labels": {key: int((own_truth == k).sum()) for k, key in enumerate(card.label_keys)},
        "figures": {name: _rounded(number, *interval[name]) for name, number in value.items() if np.isfinite(number)},
        "baselines": {
            name: {
                figure: round(number, 4)
                for figure, number in figures(own_truth, shares[keep], card.label_keys).items()
                if figure in ("accuracy", "balanced_accuracy", "macro_auroc")
            }
            for name, shares in baselines.items()
        },
    }


def _baselines(films: Sequence[Film], train: Sequence[Film], labels: Sequence[str]) -> dict[str, Floats]:
    """Probabilities without a pixel: class shares in training by source, by batch, and always the first label."""

    def shares(name: str) -> Floats:
        counts: dict[str, Floats] = {}
        for film in train:
            counts.setdefault(getattr(film, name), np.full(len(labels), 1e-3))[labels.index(film.label)] += 1
        unknown = np.ones(len(labels))
        rows = np.stack([counts.get(getattr(film, name), unknown) for film in films])
        return rows / rows.sum(1, keepdims=True)

    always = np.zeros((len(films), len(labels)))
    always[:, 0] = 1
    return {"source_only": shares("source"), "batch_only": shares("batch"), "always_normal": always}


def _rounded(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": round(value, 4), "low": round(low, 4), "high": round(high, 4)}


def _spread(figure: Mapping[str, float]) -> str:
    return f"{figure['value']:.3f} ({figure['low']:.3f}–{figure['high']:.3f})"


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield name, float(value)

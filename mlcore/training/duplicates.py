"""Copies of one film in two splits: identical files, and the same exposure resized, re-encoded, toned or mirrored.

May import: NumPy, SciPy inside functions, `preprocess` and `films`; no Keras. `cache` acts on what is found.

Frontal chest films are all alike: of the 28 million pairs of 7,527 public films 426,000 are within 3 bits of each
other by a 64-bit difference hash. So films are compared by the correlation of their fine detail (the thumbnail less
its own blur), once small to find candidates and once larger to decide. On those films no two different exposures
reach 0.80. Of 250 of them every copy keeps at least 0.86 at JPEG quality 10, at 64 × 64 pixels and quality 30, at a
gamma of 0.6 or 1.6 and with noise of 8 levels. Equalised, cut by 1 % of each side or turned by 1° a part is missed;
cut by 2 %, turned by 2° or with a large new mark most are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlcore.preprocess import squash
from mlcore.training.films import Film, LeftOut, TrainingError

#: Thumbnails are this many pixels a side; smaller pictures cannot be compared.
SIDE = 64
#: Least correlation of the detail of two versions of one exposure, at `SIDE` pixels.
LIMIT = 0.85
#: The same at 16 pixels, to find candidates: 1 different pair in 50,000 passes.
_CANDIDATE_SIDE, _CANDIDATE_LIMIT = 16, 0.94
_BLUR = 2.0
_BLOCK = 512
_NAMED = 10

_Array = npt.NDArray[np.float32]
#: Position of a film → its picture, uint8 (rows, columns).
Picture = Callable[[int], npt.NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Copy:
    """Two films of different splits that show one exposure. `likeness` is the correlation of their detail."""

    film: Film
    twin: Film
    likeness: float
    mirrored: bool


def refuse_leaks(films: Sequence[Film]) -> None:
    """Raises TrainingError where a patient group or an identical file is in two splits: every figure would be false."""
    for name, what in (("group", "patient group"), ("sha256", "file")):
        first: dict[str, Film] = {}
        pairs = []
        for film in films:
            key = getattr(film, name)
            if first.setdefault(key, film).split != film.split:
                pairs.append((first[key], film))
        if pairs:
            raise TrainingError(
                f"The same {what} is in two splits, {len(pairs)} times:\n{_listed(pairs)}\n"
                f"Take one of each pair out, or give films without splits (a folder per class): they are then drawn by "
                f"patient."
            )


def left_out_of_training(copies: Sequence[Copy]) -> list[LeftOut]:
    """The films of train among `copies`. Raises TrainingError for copies between val and test."""
    measured = [(copy.film, copy.twin) for copy in copies if "train" not in (copy.film.split, copy.twin.split)]
    if measured:
        raise TrainingError(
            f"The same film is in two splits in different versions, {len(measured)} times:\n{_listed(measured)}\n"
            f"Take one of each pair out."
        )
    left_out: dict[str, LeftOut] = {}
    for copy in copies:
        film, twin = (copy.film, copy.twin) if copy.film.split == "train" else (copy.twin, copy.film)
        detail = f"{twin.path.name}, likeness {copy.likeness:.3f}{', mirrored' * copy.mirrored}"
        left_out.setdefault(film.sha256, LeftOut(film, f"copy of a film in {twin.split}", detail))
    return list(left_out.values())


def near_copies(films: Sequence[Film], picture: Picture) -> list[Copy]:
    """Every pair of films in different splits that shows one exposure, mirrored or not.

    `picture(i)` is the picture of `films[i]`, at least `SIDE` pixels a side and squashed to a square. Time grows with
    the square of the films (7,527 take some seconds, 112,120 by estimate three minutes of one core), memory with
    one kilobyte a film.
    """
    by_split: dict[str, list[int]] = {}
    for i, film in enumerate(films):
        by_split.setdefault(film.split, []).append(i)
    if len(by_split) < 2:
        return []
    small = np.concatenate(
        [_detail([picture(i) for i in block], _CANDIDATE_SIDE) for block in _blocks(range(len(films)))]
    )
    splits = list(by_split.values())
    pairs = ((a, b) for n, a in enumerate(splits) for b in splits[n + 1 :])
    return [
        Copy(films[i], films[j], likeness, mirrored)
        for a, b in pairs
        for mirrored in (False, True)
        for i, j, likeness in _alike(np.array(a), np.array(b), small, picture, mirrored)
    ]


def _alike(
    first: npt.NDArray[np.intp], second: npt.NDArray[np.intp], small: _Array, picture: Picture, mirrored: bool
) -> Iterator[tuple[int, int, float]]:
    """Pairs (one of `first`, one of `second`) that are alike at both sizes, with the likeness."""
    others = small[second]
    if mirrored:
        others = others.reshape(-1, _CANDIDATE_SIDE, _CANDIDATE_SIDE)[..., ::-1].reshape(len(second), -1)
    for block in _blocks(first):
        rows, columns = np.nonzero(small[block] @ others.T >= _CANDIDATE_LIMIT)
        candidates = list(zip(np.asarray(block)[rows].tolist(), second[columns].tolist(), strict=True))
        for pairs in _blocks(candidates):
            left = _detail([picture(i) for i, _ in pairs], SIDE)
            right = _detail([picture(j)[:, ::-1] if mirrored else picture(j) for _, j in pairs], SIDE)
            likeness = (left * right).sum(1)
            yield from ((*pair, float(value)) for pair, value in zip(pairs, likeness, strict=True) if value >= LIMIT)


def _detail(pictures: Sequence[npt.NDArray[np.uint8]], side: int) -> _Array:
    """Thumbnails less their own blur, each of mean 0 and length 1, (n, side²): products are correlations."""
    from scipy.ndimage import gaussian_filter

    thumbs = np.stack([squash(picture.astype(np.float32), (side, side)) for picture in pictures])
    detail = (thumbs - gaussian_filter(thumbs, (0, _BLUR, _BLUR))).reshape(len(thumbs), -1)
    detail -= detail.mean(1, keepdims=True)
    return (detail / np.maximum(np.linalg.norm(detail, axis=1, keepdims=True), 1e-6)).astype(np.float32)


def _blocks(items: Sequence[Any] | npt.NDArray[np.intp]) -> Iterator[Any]:
    return (items[start : start + _BLOCK] for start in range(0, len(items), _BLOCK))


def _listed(pairs: Iterable[tuple[Film, Film]]) -> str:
    pairs = list(pairs)
    lines = [f"  {a.path} ({a.split}, {a.group}) and {b.path} ({b.split}, {b.group})" for a, b in pairs[:_NAMED]]
    return "\n".join(lines + [f"  … and {len(pairs) - _NAMED} more"] * (len(pairs) > _NAMED))

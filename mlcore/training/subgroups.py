"""Which films a model must also be measured on by themselves: age, sex, view, source and who made the file.

May import: NumPy, `mlcore.training.films`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mlcore.training.films import Film
from mlcore.training.metrics import Flags

#: Years of age from, up to and including.
AGES = ((0, 17), (18, 39), (40, 59), (60, 79), (80, 150))


def subgroups(films: Sequence[Film]) -> Iterator[tuple[str, str, Flags]]:
    """(kind, name, which films): every value that occurs, what is not known as "not known"."""
    kinds = {
        "age": [_age(film.age) for film in films],
        "sex": [film.sex or "not known" for film in films],
        "view": [film.view or "not known" for film in films],
        "source": [film.source for film in films],
        "batch": [film.batch for film in films],
    }
    for kind, values in kinds.items():
        for name in sorted(set(values), key=lambda value: (value == "not known", len(value), value)):
            yield kind, name, np.array([value == name for value in values])


def _age(years: float | None) -> str:
    if years is None:
        return "not known"
    first, last = next((band for band in AGES if years <= band[1]), AGES[-1])
    return f"{first} and older" if last >= 150 else f"{first} to {last}"

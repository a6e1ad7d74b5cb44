"""What a film is in training: its picture's place, its labels, its patient and where it comes from.

May import: nothing of the project. Every other module of `training` builds on it; `dataset` hands it on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class TrainingError(Exception):
    """Films, starting weights or an earlier run cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Film:
    """One labelled film. `source` is the hospital's data set, `batch` who made the file from it.

    `label` is its class in a folder-like data set; `findings` all that is named on it, lower case with underscores
    ("pleural_thickening", "bacterial_pneumonia"; a kind of pneumonia implies "pneumonia"), empty on a normal film.
    `group` is the patient as far as known (`group_known`); `age` in years; `sex` "M" or "F"; `view` "PA" or "AP".
    `sha256` names the film: the hash of its file, or what a manifest gives (the file as its source published it).
    What is not known is None or "".
    """

    path: Path
    label: str
    split: str
    group: str
    source: str
    batch: str
    sha256: str
    findings: frozenset[str] = frozenset()
    group_known: bool = True
    age: float | None = None
    sex: str = ""
    view: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A film that a run does not use. `reason` is one of few, for counting; `detail` the code or the other film."""

    film: Film
    reason: str
    detail: str = ""

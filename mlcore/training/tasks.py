"""What a network is asked: the labels of a task and which of them each film has.

May import: NumPy and `mlcore.training.films`. `train`, `evaluate`, `compare` and the recipes share these tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlcore.training.films import Film, TrainingError

#: ChestX-ray14's findings in the order of the published CheXNet checkpoints (Wang et al. 2017; Rajpurkar et al. 2017).
CHESTXRAY14_LABELS = (
    "atelectasis", "cardiomegaly", "effusion", "infiltration", "mass", "nodule", "pneumonia",
    "pneumothorax", "consolidation", "edema", "emphysema", "fibrosis", "pleural_thickening", "hernia",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Task:
    """`labels_of(film)` gives the film's labels, or None when the film is not part of the task.

    `exclusive`: exactly one label per film (softmax); otherwise any number of them, none included (sigmoid).
    """

    key: str
    title: str
    labels: tuple[str, ...]
    exclusive: bool
    labels_of: Callable[[Film], frozenset[str] | None]

    def target(self, film: Film) -> npt.NDArray[np.float32]:
        """0 or 1 per label, (labels,). The film must be part of the task."""
        held = self.labels_of(film)
        if held is None:
            raise ValueError("the film is not part of the task")
        return np.array([label in held for label in self.labels], dtype=np.float32)

    def targets(self, films: Sequence[Film]) -> npt.NDArray[np.float32]:
        """(films, labels)."""
        return np.stack([self.target(film) for film in films]) if films else np.zeros((0, len(self.labels)), np.float32)

    def films(self, films: Sequence[Film]) -> list[Film]:
        """The films that are part of the task, in their order."""
        return [film for film in films if self.labels_of(film) is not None]


def one_of(key: str, title: str, labels: Sequence[str]) -> Task:
    """An exclusive task over `Film.label`: films with another label are not part of it."""
    chosen = tuple(labels)
    return Task(key, title, chosen, True, lambda film: frozenset({film.label}) if film.label in chosen else None)


def _chestxray14(film: Film) -> frozenset[str] | None:
    return film.findings.intersection(CHESTXRAY14_LABELS) if film.source == "NIH ChestX-ray14" else None


def _by_finding(*names: str) -> Callable[[Film], frozenset[str] | None]:
    """Exactly one of `names`, where "normal" means no finding at all; only for films of the children's hospital."""

    def labels_of(film: Film) -> frozenset[str] | None:
        if film.source != "Kermany pediatric":
            return None
        held = film.findings.intersection(names) or ({"normal"} if not film.findings and "normal" in names else set())
        return frozenset(held) if len(held) == 1 else None

    return labels_of


THREE = one_of("three", "Normal, pneumonia or pleural effusion", ("normal", "pneumonia", "effusion"))
CHESTXRAY14 = Task("chestxray14", "The 14 findings of ChestX-ray14", CHESTXRAY14_LABELS, False, _chestxray14)
CHILDREN_PNEUMONIA = Task(
    "children-pneumonia", "Normal or pneumonia, children", ("normal", "pneumonia"), True,
    _by_finding("normal", "pneumonia"),
)  # fmt: skip
BACTERIAL_VIRAL = Task(
    "bacterial-viral", "Bacterial or viral pneumonia, children", ("bacterial_pneumonia", "viral_pneumonia"), True,
    _by_finding("bacterial_pneumonia", "viral_pneumonia"),
)  # fmt: skip
CHILDREN_THREE = Task(
    "children-three", "Normal, bacterial or viral pneumonia, children",
    ("normal", "bacterial_pneumonia", "viral_pneumonia"), True,
    _by_finding("normal", "bacterial_pneumonia", "viral_pneumonia"),
)  # fmt: skip
TASKS = {task.key: task for task in (THREE, CHESTXRAY14, CHILDREN_PNEUMONIA, BACTERIAL_VIRAL, CHILDREN_THREE)}


def task_of(key: str) -> Task:
    """A task by its key, or "a,b,…": one of these classes, as the folders of somebody's own films are named.

    Raises TrainingError.
    """
    labels = tuple(dict.fromkeys(word.strip().lower().replace(" ", "_") for word in key.split(",") if word.strip()))
    if key in TASKS:
        return TASKS[key]
    if len(labels) < 2:
        raise TrainingError(
            f"There is no task {key!r}. Choose among {', '.join(TASKS)}, "
            "or name two or more classes with commas between."
        )
    return one_of(",".join(labels), " or ".join(label.replace("_", " ") for label in labels), labels)

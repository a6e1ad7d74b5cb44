"""What the recipes on ChestX-ray14 share: which of the 14 findings these films can measure, and a say for the rest.

May import: NumPy, `mlcore.training.calibrate`, `common` and `tasks`. A network learns all 14 findings; figures are
given only of those with enough films, so their mean is never that of the paper's 14.
"""

from __future__ import annotations

from dataclasses import replace

from mlcore.training.calibrate import FEWEST, assessed
from mlcore.training.recipes.common import Study, System
from mlcore.training.tasks import CHESTXRAY14


def measured_findings(study: Study) -> tuple[str, ...]:
    """The findings with enough films in the validation split and in the one of the figures: labels are counted, no
    network is asked. With `--limit`, a trial, one film with and one without a finding will do."""
    fewest = FEWEST if study.options.limit is None else 1
    films = study.films[CHESTXRAY14.key]
    labels = CHESTXRAY14.labels
    for split in ("val", study.split):
        enough = assessed(
            CHESTXRAY14.targets([film for film in films if film.split == split]), CHESTXRAY14.labels, fewest
        )
        labels = tuple(label for label in labels if label in enough)
    return labels


def keep_measured(study: Study, labels: tuple[str, ...]) -> None:
    """Leave every system of the study with its probabilities of `labels` alone."""
    task = replace(CHESTXRAY14, labels=labels)
    places = [CHESTXRAY14.labels.index(label) for label in labels]

    def restricted(system: System) -> System:
        return replace(system, task=task, probabilities=system.probabilities[:, places])

    study.systems = [restricted(system) for system in study.systems]


def protocol_of(study: Study, labels: tuple[str, ...]) -> list[str]:
    """Differences that every run on these films has: how many taught, what was measured and what was not."""
    films = study.films[CHESTXRAY14.key]
    counts = {split: [film for film in films if film.split == split] for split in ("train", "val", study.split)}
    held = {
        label: {split: sum(label in film.findings for film in own) for split, own in counts.items()}
        for label in CHESTXRAY14.labels
    }
    left_out = [f"{label.replace('_', ' ')} ({_counted(of)})" for label, of in held.items() if label not in labels]
    lines = [
        f"{len(counts['train']):,} films teach here, of the 112,120 of ChestX-ray14: what is shown is that the system "
        "runs, not how good it is.",
        f"The mean is over {len(labels)} findings, the paper's over 14: "
        + ", ".join(f"{label.replace('_', ' ')} ({_counted(held[label])})" for label in labels) + ".",
    ]  # fmt: skip
    if left_out:
        lines.append(
            f"Learned but not assessed, for fewer than {FEWEST if study.options.limit is None else 1} films with the "
            f"finding in one of the splits: {', '.join(left_out)}."
        )
    if study.options.limit is not None:
        lines.append("A trial on part of the films: its figures say nothing.")
    return lines


def _counted(films: dict[str, int]) -> str:
    """ "98 train, 19 val, 24 test"."""
    return ", ".join(f"{count} {split}" for split, count in films.items())

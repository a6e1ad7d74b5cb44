"""Findings as reports write them: the one table from label to sentence, and what is drafted from a reader's decisions.

Only what a reader accepted or added is drafted. A comparison is drawn only with an earlier film whose report is signed
and says something about the same label. Pure functions. May import: the standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

#: label → (title, sentence). Readers may add each of these, whether or not a model knows it.
FINDINGS: dict[str, tuple[str, str]] = {
    "pneumonia": ("Pneumonia", "Airspace opacity, in keeping with pneumonia."),
    "effusion": ("Pleural effusion", "Pleural effusion."),
    "pneumothorax": ("Pneumothorax", "Pneumothorax."),
    "consolidation": ("Consolidation", "Consolidation."),
    "infiltration": ("Infiltration", "Pulmonary infiltrate."),
    "atelectasis": ("Atelectasis", "Atelectasis."),
    "edema": ("Pulmonary oedema", "Signs of pulmonary oedema."),
    "cardiomegaly": ("Cardiomegaly", "Enlarged cardiac silhouette."),
    "nodule": ("Nodule", "Pulmonary nodule."),
    "mass": ("Mass", "Pulmonary mass."),
    "emphysema": ("Emphysema", "Emphysematous changes."),
    "fibrosis": ("Fibrosis", "Fibrotic changes."),
    "pleural_thickening": ("Pleural thickening", "Pleural thickening."),
    "hernia": ("Hernia", "Hernia."),
    "tuberculosis": ("Tuberculosis", "Changes suggestive of pulmonary tuberculosis."),
    "lymphadenopathy": ("Hilar or mediastinal enlargement", "Enlarged hilar or mediastinal contour."),
    "fracture": ("Fracture", "Fracture."),
    "device": ("Tube, line or device", "Tube, line or implanted device in place."),
}


@dataclass(frozen=True, slots=True)
class Prior:
    """What the last signed report on an earlier film says: its day, and each label that it decided on."""

    day: date
    present: Mapping[str, bool]


def finding_title(label: str, titles: Mapping[str, str]) -> str:
    """The name of a label: as the model's card writes it, else as the table does."""
    return titles.get(label) or (FINDINGS[label][0] if label in FINDINGS else label.replace("_", " ").capitalize())


def sentences_draft(present: Iterable[str], titles: Mapping[str, str], prior: Prior | None) -> str:
    """One sentence per finding that the reader says is there, a line each; nothing where there is none."""
    return "\n".join(_sentence(label, titles) + _comparison(label, prior) for label in present)


def _sentence(label: str, titles: Mapping[str, str]) -> str:
    return FINDINGS[label][1] if label in FINDINGS else f"{finding_title(label, titles)}."


def _comparison(label: str, prior: Prior | None) -> str:
    if prior is None or label not in prior.present:
        return ""
    before = f"{prior.day.day} {prior.day:%B %Y}"
    if prior.present[label]:
        return f" Already reported on {before}."
    return f" Not reported on {before}."

"""How findings are called and how early they bring a film to a reader: one table for every card.

May import: `mlcore.card`. Training writes cards with it; the site weighs with it what a reader adds and no card knows.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlcore.card import LabelSpec

#: Key → title and severity for the worklist, in [0, 1]. The severities are the project's own order of reading, agreed
#: with nobody: first what may need hands within the hour, last what can wait for the next visit.
_TABLE = {
    "normal": ("Normal appearance", 0.0),
    "pneumothorax": ("Pneumothorax", 1.0),
    "pneumonia": ("Pneumonia", 0.9),
    "edema": ("Pulmonary oedema", 0.9),
    "effusion": ("Pleural effusion", 0.8),
    "consolidation": ("Consolidation", 0.8),
    "mass": ("Mass", 0.7),
    "nodule": ("Nodule", 0.6),
    "infiltration": ("Infiltration", 0.6),
    "atelectasis": ("Atelectasis", 0.5),
    "cardiomegaly": ("Cardiomegaly", 0.5),
    "emphysema": ("Emphysema", 0.4),
    "fibrosis": ("Fibrosis", 0.4),
    "pleural_thickening": ("Pleural thickening", 0.3),
    "hernia": ("Hernia", 0.3),
    "tuberculosis": ("Pulmonary tuberculosis", 0.8),
    "lymphadenopathy": ("Hilar or mediastinal enlargement", 0.5),
    "fracture": ("Fracture", 0.5),
    "device": ("Tube, line or device", 0.0),
    "bacterial_pneumonia": ("Bacterial pneumonia", 0.9),
    "viral_pneumonia": ("Viral pneumonia", 0.9),
}


def severity_of(label: str, otherwise: float = 0.5) -> float:
    """The table's severity of a label, `otherwise` where it does not know the label."""
    return _TABLE.get(label, ("", otherwise))[1]


def label_specs(labels: Sequence[str], trained: Sequence[str] | None = None) -> tuple[LabelSpec, ...]:
    """The card's labels in this order; those not in `trained` (None: all are) are never shown."""
    return tuple(
        LabelSpec(key, *_TABLE.get(key, (key.replace("_", " ").capitalize(), 0.5)), trained is None or key in trained)
        for key in labels
    )

"""What is drafted from a reader's decisions: one sentence per finding, in the clinic's language and its own words.

Only what a reader accepted or added is drafted. A comparison is drawn only with an earlier film whose report is signed
and says something about the same label. Pure functions. May import: `diagnosis.phrases`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from diagnosis.phrases import LANGUAGES, NORMAL_TEXT, Phrases, day_in

#: label → title on pages. Readers may add each of these, whether or not a model knows it.
TITLES: dict[str, str] = {label: title for label, (title, _) in LANGUAGES["en"].findings.items()}


@dataclass(frozen=True, slots=True)
class Prior:
    """What the last signed report on an earlier film says: its day, and each label that it decided on."""

    day: date
    present: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Wording:
    """How a clinic writes: the phrases of its language, and its own sentence for each label that it has one for."""

    phrases: Phrases = field(default_factory=lambda: LANGUAGES["en"])
    own: Mapping[str, str] = field(default_factory=dict)

    def sentence(self, label: str, title: str) -> str:
        """The clinic's own, else the language's, else the finding's name."""
        known = self.phrases.findings.get(label)
        return self.own.get(label) or (known[1] if known else f"{title}.")

    @property
    def normal(self) -> str:
        """The text of a report on a film without any finding."""
        return self.own.get(NORMAL_TEXT) or self.phrases.normal


def finding_title(label: str, titles: Mapping[str, str]) -> str:
    """The name of a label: as the model's card writes it, else as the table does."""
    return titles.get(label) or TITLES.get(label) or label.replace("_", " ").capitalize()


def sentences_draft(present: Iterable[str], titles: Mapping[str, str], prior: Prior | None, wording: Wording) -> str:
    """One sentence per finding that the reader says is there, a line each; nothing where there is none."""
    return "\n".join(
        wording.sentence(label, finding_title(label, titles)) + _comparison(label, prior, wording.phrases)
        for label in present
    )


def _comparison(label: str, prior: Prior | None, phrases: Phrases) -> str:
    if prior is None or label not in prior.present:
        return ""
    said = phrases.already if prior.present[label] else phrases.not_before
    return f" {said.format(day=day_in(phrases, prior.day))}"

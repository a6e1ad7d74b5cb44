"""What stands on a report in each language: the frame of the paper, findings and their sentences, dates.

One module per language, each with the same keys (a test holds them together). Offered are languages whose letters the
paper's font prints as they are written. The sentences are drafts that a radiologist reads and edits before signing;
those that are not English were translated by the makers and checked by no radiologist of that language, and the page
where a clinic chooses its language says so. Keys of findings stay English in the data.
May import: Django's dates. Goes to: `diagnosis.sentences`, `.sheet`, `.pdf`.
"""

from __future__ import annotations

from datetime import date, datetime

from django.utils.formats import date_format
from django.utils.translation import override

from diagnosis.phrases.base import NORMAL_TEXT, Phrases
from diagnosis.phrases.en import ENGLISH
from diagnosis.phrases.es import SPANISH
from diagnosis.phrases.fr import FRENCH
from diagnosis.phrases.pt import PORTUGUESE
from diagnosis.phrases.ru import RUSSIAN

__all__ = ["LANGUAGES", "NORMAL_TEXT", "Phrases", "day_in", "moment_in"]

#: code → phrases, in the order in which they are offered
LANGUAGES: dict[str, Phrases] = {"en": ENGLISH, "es": SPANISH, "fr": FRENCH, "pt": PORTUGUESE, "ru": RUSSIAN}


def day_in(phrases: Phrases, day: date) -> str:
    """A day as the language writes it."""
    with override(phrases.locale):
        return date_format(day, phrases.day)


def moment_in(phrases: Phrases, moment: datetime) -> str:
    """A local moment as the language writes it, to the minute."""
    return f"{day_in(phrases, moment)}, {moment:%H:%M}"

"""What a language has to say, whichever it is. Pure data. May import: the standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: Beside the keys of findings: the text of a report on a film without any.
NORMAL_TEXT = "normal"


@dataclass(frozen=True, slots=True)
class Phrases:
    """One language. `locale` and `day` are Django's name of it and its format of a day; `findings` is label → (title,
    sentence); `{…}` in `frame` and the comparisons is filled in."""

    name: str
    locale: str
    day: str
    findings: Mapping[str, tuple[str, str]]
    normal: str
    already: str
    not_before: str
    frame: Mapping[str, str]
    words: Mapping[str, str]
    reasons: Mapping[str, str]

"""Every language says the same things, and the paper can print all of them. No database."""

from __future__ import annotations

from datetime import date, datetime
from string import Formatter

import pytest

from diagnosis.models import Finding, ReportedFinding
from diagnosis.pdf import unprintable
from diagnosis.phrases import LANGUAGES, day_in, moment_in
from diagnosis.sentences import Prior, Wording, sentences_draft

ENGLISH = LANGUAGES["en"]


def blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_language_has_every_phrase_with_the_same_blanks(code):
    phrases = LANGUAGES[code]
    for name in ("findings", "frame", "words", "reasons"):
        assert list(getattr(phrases, name)) == list(getattr(ENGLISH, name)), name
    for key, text in phrases.frame.items():
        assert blanks(text) == blanks(ENGLISH.frame[key]), key
    assert blanks(phrases.already) == blanks(phrases.not_before) == {"day"}
    assert set(phrases.words) == set(Finding.Word.values)
    assert set(phrases.reasons) == set(ReportedFinding.Reason.values)


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_language_is_printed_without_a_missing_letter(code):
    phrases = LANGUAGES[code]
    pairs = [text for pair in phrases.findings.values() for text in pair]
    said = [phrases.name, phrases.normal, phrases.already, phrases.not_before, *pairs]
    said += [*phrases.frame.values(), *phrases.words.values(), *phrases.reasons.values()]
    said += [day_in(phrases, date(2026, month, 1)) for month in range(1, 13)]
    assert unprintable(" ".join(said)) == ""


@pytest.mark.parametrize(
    ("code", "written"),
    [
        ("en", "5 March 2026, 07:30"),
        ("es", "5 de marzo de 2026, 07:30"),
        ("fr", "5 mars 2026, 07:30"),
        ("pt", "5 de março de 2026, 07:30"),
        ("ru", "5 марта 2026, 07:30"),
    ],
)
def test_dates_are_written_as_the_language_does(code, written):
    assert moment_in(LANGUAGES[code], datetime(2026, 3, 5, 7, 30)).lower() == written.lower()


def test_a_clinics_own_sentence_goes_before_the_languages_and_a_comparison_follows():
    prior = Prior(date(2026, 3, 5), {"mass": True})
    wording = Wording(LANGUAGES["fr"], {"mass": "Masse à décrire."})
    text = sentences_draft(["mass", "hernia", "thymoma"], {"thymoma": "Thymoma"}, prior, wording)
    assert text.split("\n") == ["Masse à décrire. Déjà décrit le 5 mars 2026.", "Hernie.", "Thymoma."]


@pytest.mark.parametrize("text", ["आशा", "عائشة", "王"])
def test_letters_that_the_paper_cannot_print_are_named(text):
    assert set(unprintable(f"Clear {text}")) == set(text)

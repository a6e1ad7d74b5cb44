"""The sentences themselves: one line for the model's answer, one for a queue that stands still."""

from __future__ import annotations

import pytest

from diagnosis.models import Finding, Job, ModelVersion, Prediction
from diagnosis.templatetags.pages import lasted, percent
from diagnosis.wording import headline, job_error, no_worker_sentence


def answer(**words: tuple[str, float]) -> str:
    prediction = Prediction(model_version=ModelVersion(card={}))
    findings = [Finding(label=label, word=word, calibrated=number) for label, (word, number) in words.items()]
    return headline(prediction, findings)


def test_strongest_word_comes_first_and_normal_is_not_a_finding():
    said = answer(effusion=("possible", 0.2), normal=("likely", 0.9), pneumonia=("present", 0.8))
    assert said == "Pneumonia present, effusion possible"


def test_findings_below_their_threshold_are_not_named_and_never_called_health():
    assert answer(effusion=("absent", 0.01), pneumonia=("likely", 0.6)) == "Pneumonia likely"
    assert answer(effusion=("absent", 0.01), pneumonia=("absent", 0.1)) == "No finding above its threshold"


@pytest.mark.parametrize(
    ("alive", "sentence"),
    [
        ({"prepare", "infer"}, ""),
        ({"prepare"}, "No worker is running for the model."),
        ({"infer"}, "No worker is running for checking the film."),
        (set(), "No worker is running."),
    ],
)
def test_queue_without_a_worker_is_told_in_words(alive, sentence):
    assert no_worker_sentence(alive).startswith(sentence)


def test_unknown_failure_code_still_gets_a_sentence():
    assert "We could not read this image" in job_error(Job(error_code="something_new"))


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0 %"), (0.001, "<1 %"), (0.583, "58 %"), (0.999, ">99 %"), (1.0, "100 %")]
)
def test_percent_never_rounds_to_a_false_certainty(value, text):
    assert percent(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(12, "12 s"), (240, "4 min"), (12_000, "3 h 20 min"), (7200, "2 h"), (180_000, "2 days")]
)
def test_waiting_times_are_short(seconds, text):
    assert lasted(seconds) == text

"""Films mutated at random, the same ones each time: a picture or a refusal, within memory and time."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.fuzz.corpus import edited, judge, mended, seeds

ROOT = Path(__file__).resolve().parents[2]
#: A small part of the long run, so that it takes seconds.
FILMS = 1200


def test_the_films_that_fuzzing_begins_with_are_read_or_refused():
    outcomes = {name: judge(data) for name, data in (seeds() | edited()).items()}
    assert {name for name in seeds() if outcomes[name] != "film"} == {"cmyk", "animated"}
    assert len(set(outcomes.values())) > 5


def test_mended_check_sums_are_those_of_a_whole_png():
    png = seeds()["png"]
    assert mended(png) == png
    broken = png[:-6] + b"\0\0" + png[-4:]
    assert mended(broken) != broken


def test_no_mutated_film_breaks_the_decoder_its_memory_or_its_time():
    """In a process with the limits of a prepare worker's child."""
    command = [sys.executable, "-m", "tests.fuzz.decode_hypothesis", "--examples", str(FILMS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    (judged,) = re.findall(r"^(\d+) films in", done.stdout, re.MULTILINE)
    assert int(judged) >= FILMS

"""What a seed decides."""

from __future__ import annotations

import io
import itertools
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from tests.faults.__main__ import main
from tests.faults.plan import CLINICS, KINDS, plan_make
from tests.films import read_film_id


def test_the_same_seed_gives_the_same_films_and_the_same_faults():
    assert plan_make(7, 60, 150) == plan_make(7, 60, 150)


def test_another_seed_gives_others():
    assert plan_make(7, 60, 150).faults != plan_make(8, 60, 150).faults
    assert {film.film_id for film in plan_make(7, 60, 150).films}.isdisjoint(
        film.film_id for film in plan_make(8, 60, 150).films if not film.poison
    )


def test_every_kind_of_fault_comes_in_a_minute_and_one_every_one_to_two_and_a_half_seconds():
    faults = plan_make(1, 60, 10).faults
    assert set(KINDS) == {fault.kind for fault in faults}
    pauses = [after.at - before.at for before, after in itertools.pairwise(faults)]
    assert min(pauses) > 0.98
    assert max(pauses) < 2.52


def test_one_film_of_a_hundred_kills_each_stage_and_all_clinics_send():
    films = plan_make(1, 60, 200).films
    assert Counter(film.poison for film in films) == {"": 196, "prepare": 2, "infer": 2}
    assert {film.clinic for film in films} == set(range(CLINICS))


def test_a_film_carries_its_id_in_its_pixels_in_both_encodings():
    for film in plan_make(1, 60, 10).films[:4]:
        _, data = film.encoded()
        assert read_film_id(np.asarray(Image.open(io.BytesIO(data)))) == film.film_id


def test_the_plan_of_a_seed_can_be_read_before_anything_is_hurt(capsys: pytest.CaptureFixture[str]):
    assert main(["--plan", "--seed", "7", "--seconds", "10", "--only", "redis killed"]) == 0
    first, *faults = capsys.readouterr().out.splitlines()
    assert first.startswith("seed 7: 20 films")
    assert faults
    assert all("redis killed" in fault for fault in faults)

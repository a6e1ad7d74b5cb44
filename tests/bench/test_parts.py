"""What can be known of the parts without measuring: kept processes, engines that are not there, loaded libraries."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import psutil
import pytest

from bench.engine_cases import CASES, Case, Network
from bench.films import Encoded
from bench.found import CannotRun
from bench.kept import Kept
from bench.parts import PARTS
from bench.processes import loaded, seconds_of
from bench.site import Seen
from mlcore.backbones import Architecture
from mlcore.decode import decode
from tests.films import synthetic_film


def calculator(start: int):
    """Runs in another process."""
    if start < 0:
        raise CannotRun("nothing to start from")

    def call(value: int | str) -> int:
        if value == "die":
            os._exit(3)
        return start + int(value)

    return call


def network(backbone: str = "densenet121") -> Network:
    return Network("a network", Architecture(backbone, (224, 224), 14, exclusive=False), Path())


@pytest.mark.parametrize("name", PARTS)
def test_every_part_has_a_module_that_measures(name):
    assert callable(import_module(PARTS[name].module).measure)


def test_kept_process_answers_fails_and_dies_in_words():
    with Kept(calculator, 5) as kept:
        kept.ready()
        assert kept.ask(2) == 7
        with pytest.raises(CannotRun, match="ValueError: invalid literal"):
            kept.ask("two")
        assert kept.ask(3) == 8, "a fault does not end it"
        with pytest.raises(CannotRun, match="ended with status 3"):
            kept.ask("die")


def test_kept_process_that_cannot_start_says_why():
    with Kept(calculator, -1) as kept, pytest.raises(CannotRun, match="nothing to start from"):
        kept.ready()


def test_engine_that_is_not_installed_says_what_it_lacks():
    case = Case("An engine", lambda network, batch: None, ("numpy", "no_such_engine"))
    assert case.why_not(network(), {}) == "not installed: no_such_engine"


def test_engine_whose_file_could_not_be_written_says_why():
    case = Case("An engine", lambda network, batch: None, ("numpy",), file="int8.xml")
    assert case.why_not(network(), {"int8.xml": "not converted: RuntimeError"}) == "not converted: RuntimeError"
    assert case.why_not(network(), {}) is None


def test_pytorch_is_measured_on_the_network_that_its_users_run():
    pytorch = [case for case in CASES.values() if "torch" in case.needs]
    assert pytorch
    assert all(case.applies(network("densenet121")) and not case.applies(network("densenet169")) for case in pytorch)


def test_no_two_films_are_the_same_file_and_all_can_be_decoded():
    files = Encoded([synthetic_film(0, (256, 256))]).take(3)
    assert len(set(files)) == 3
    first, *others = (decode(data).pixels for data in files)
    assert all((first == other).all() for other in others)


def test_library_is_told_by_what_a_process_has_mapped(tmp_path):
    maps = tmp_path / "maps"
    maps.write_text("7f0 r-xp 0 /v/site-packages/tensorflow/libtensorflow_cc.so.2\n7f1 r-xp 0 /v/torch_like/x.so\n")
    assert loaded(maps) == {"TensorFlow"}
    assert loaded(tmp_path / "gone") == set()


WORKS, AND_WAITS = "while time.process_time() < 0.5: pass", "print('done', flush=True); sys.stdin.read()"


def test_processor_time_counts_children_that_have_ended():
    child = f"subprocess.run([sys.executable, '-c', 'import time\\n{WORKS}'])"
    command = [sys.executable, "-c", f"import subprocess, sys; {child}; {AND_WAITS}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"done\n"
        # The kernel tells it in whole hundredths, each share rounded down; the parent alone has a tenth at most.
        assert seconds_of(psutil.Process(parent.pid)) >= 0.4
        parent.communicate()


def test_processes_are_added_up_round_by_round():
    seen = Seen()
    seen.note_computed({"web": 2.0, "PostgreSQL": 4.0}, films=2)
    seen.note_computed({"web": 3.0, "PostgreSQL": 0.0}, films=1)
    assert seen.computed == {"web": [1.0, 3.0], "PostgreSQL": [2.0, 0.0]}
    assert seen.whole == [3.0, 3.0]

"""Fuzzing the decoder with mutated films: `python -m tests.fuzz.decode_hypothesis --minutes 30`.

Runs in the limits of a prepare worker's child (address space, seconds per film), so it is a process of its own. Short
and always the same in CI (`test_decode.py`); with --minutes other films each time. May import `tests.fuzz.corpus`.
"""

from __future__ import annotations

import argparse
import collections
import resource
import signal
import sys
import time
import warnings

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.corpus import FINDINGS, edited, judge, mended, seeds

#: As `diagnosis.worker` limits the child that decodes.
MEMORY_BYTES, SECONDS = 1536 * 1024 * 1024, 10


@st.composite
def mutated_films(draw: st.DrawFn) -> bytes:
    """A film with some bytes changed, cut out, repeated, or taken from another film."""
    originals = [*seeds().values(), *edited().values()]
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 4))):
        # Headers are where parsers go wrong: half of the changes fall into the first kilobyte, few into the very first
        # bytes, which only tell the format.
        start, reach = draw(st.sampled_from((0, 9, 9, 140, 140, 140))), draw(st.sampled_from((1200, len(data))))
        at = min(draw(st.integers(start, max(start, reach - 1))), max(0, len(data) - 1))
        change = draw(st.sampled_from(("set", "flip", "cut", "repeat", "splice", "end")))
        if change == "set":
            patch = draw(st.binary(min_size=1, max_size=8))
            data[at : at + len(patch)] = patch
        elif change == "flip":
            data[at : at + 1] = bytes(byte ^ 1 << draw(st.integers(0, 7)) for byte in data[at : at + 1])
        elif change == "cut":
            del data[at : at + draw(st.integers(1, 64))]
        elif change == "repeat":
            data[at:at] = data[at : at + draw(st.integers(1, 64))]
        elif change == "splice":
            other = draw(st.sampled_from(originals))
            data[at:] = other[draw(st.integers(0, len(other) - 1)) :]
        else:
            del data[at:]
    return mended(bytes(data)) if draw(st.booleans()) else bytes(data)


def run(examples: int, outcomes: collections.Counter[str], number: int) -> None:
    """Judge that many films; the smallest that broke something is kept as a file and raised."""
    broken = b""

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(mutated_films())
    def films(data: bytes) -> None:
        nonlocal broken
        signal.alarm(SECONDS)  # a film that takes longer ends the process
        try:
            outcomes[judge(data)] += 1
        except BaseException:
            broken = data
            raise
        finally:
            signal.alarm(0)

    try:
        films()
    except BaseException:
        FINDINGS.mkdir(parents=True, exist_ok=True)
        (FINDINGS / f"hypothesis-{number}").write_bytes(broken)
        raise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--examples", type=int, default=1000, help="films in one round")
    parser.add_argument("--minutes", type=float, default=0, help="rounds with new films for that long")
    given_ = parser.parse_args()
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    outcomes: collections.Counter[str] = collections.Counter()
    started = time.monotonic()
    number = 0 if not given_.minutes else time.time_ns()
    while True:
        run(given_.examples, outcomes, number)
        number += 1
        if time.monotonic() - started >= given_.minutes * 60:
            break
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    said = ", ".join(f"{code} {count}" for code, count in outcomes.most_common())
    print(f"{outcomes.total()} films in {time.monotonic() - started:.0f} s, {peak} MB at most: {said}")


if __name__ == "__main__":
    sys.exit(main())

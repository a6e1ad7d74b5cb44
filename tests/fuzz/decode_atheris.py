"""Coverage-guided fuzzing of the decoder, the long way: `python -m tests.fuzz.decode_atheris --minutes 60`.

Runs libFuzzer by atheris over `mlcore.header` and `mlcore.decode`, Pillow's and pydicom's Python instrumented. What
it learns stays in var/fuzz/corpus, so that the next night goes on; an input that broke something lies in
var/fuzz/findings.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import resource
import sys
import time
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mlcore", "PIL", "pydicom", "pylibjpeg", "openjpeg", "libjpeg"]):
    from tests.fuzz.corpus import FINDINGS, FOLDER, edited, judge, mended, seeds

MAX_BYTES = 64 * 1024
SLOW_SECONDS = 10
MEMORY_MB = 1536


def corpus_folder() -> Path:
    """The corpus of earlier nights, with the seeds."""
    folder = FOLDER / "corpus"
    folder.mkdir(parents=True, exist_ok=True)
    for data in (*seeds().values(), *edited().values()):
        (folder / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    minutes = parser.parse_args().minutes
    warnings.simplefilter("ignore", UserWarning)  # Pillow's remarks on damaged EXIF would fill the log
    FINDINGS.mkdir(parents=True, exist_ok=True)
    outcomes: collections.Counter[str] = collections.Counter()
    started = shown = time.monotonic()

    def one(data: bytes) -> None:
        nonlocal shown
        outcomes[judge(data)] += 1
        if time.monotonic() - shown > 60:
            shown = time.monotonic()
            _say(outcomes, shown - started)

    def mutate(data: bytes, size: int, seed: int) -> bytes:
        return mended(atheris.Mutate(data, size))[:size]

    options = [
        f"-max_total_time={int(minutes * 60)}",
        f"-max_len={MAX_BYTES}",
        f"-timeout={SLOW_SECONDS}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-artifact_prefix={FINDINGS}/",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus_folder())], one, custom_mutator=mutate)
    atheris.Fuzz()


def _say(outcomes: collections.Counter[str], seconds: float) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    said = ", ".join(f"{code} {count}" for code, count in outcomes.most_common())
    print(f"{outcomes.total()} inputs in {seconds:.0f} s, {peak} MB at most: {said}", flush=True)


if __name__ == "__main__":
    main()

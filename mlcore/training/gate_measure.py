"""Measures the gate: which share of each kind of picture is refused, warned about or passed, with intervals.

May import NumPy, `mlcore.quality` and `gate_pictures`. The document goes to `docs/results/gates.json`, its table into
`docs/quality.md`.
"""

from __future__ import annotations

import os
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mlcore.contracts import DecodedImage, HeaderFacts, ImageArray, ImageRefusedError, QualityReason, QualityReport
from mlcore.decode import decode
from mlcore.quality import assess, gate
from mlcore.training.films import Film
from mlcore.training.gate_pictures import (
    DEGRADATIONS,
    FILMS,
    SIDES,
    Picture,
    cut_off,
    drawn_pictures,
    held_out,
    part_of,
    read_film,
)
from mlcore.training.statistics import wilson

DRAWN, PARTS, SEED = 100, 1, 11
#: The parts of the document that the table shows, in its order.
PARTS_SHOWN = (
    "real films",
    "films from elsewhere",
    "spoiled films",
    "other pictures",
    "other pictures as they are, in colour",
    "parts of other pictures",
    "drawn pictures",
)
#: Shares cut off one side of a film.
CUTS = (0.3, 0.4, 0.5)
#: Every so many films are also cut, darkened and degraded.
EVERY = 10
Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class Tally:
    """Verdicts and reasons of one group of pictures; `wanted` codes are those that do the group right."""

    wanted: frozenset[str] = frozenset()
    verdicts: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    right: int = 0

    def add(self, report: QualityReport) -> None:
        codes = {reason.code for reason in report.reasons}
        self.verdicts[report.verdict] += 1
        self.codes.update(codes)
        self.right += bool(codes & self.wanted)

    def to_json(self) -> dict[str, Any]:
        n = self.verdicts.total()
        shares = {"rejected": share(self.verdicts["rejected"], n), "warned": share(self.verdicts["warn"], n)}
        if self.wanted:
            shares["found"] = share(self.right, n)
        return {"n": n, **shares, "codes": dict(sorted(self.codes.items()))}


def judged(pixels: ImageArray) -> QualityReport:
    """The gate's answer on bare pixels."""
    height, width = pixels.shape
    return assess(DecodedImage(np.ascontiguousarray(pixels, np.float32), HeaderFacts("png", width, height)))


def measure(films: Sequence[Film], others: Iterable[Picture], progress: Progress) -> dict[str, Any]:
    """Every rate of the gate on films of val and test and on held-out pictures, as one JSON document."""
    chosen = [film for film in films if film.split in ("val", "test")]
    known = [one for one in others if held_out(one.package) or one.kind.endswith("installed packages")]
    known += drawn_pictures(SEED, DRAWN)
    tallies: dict[str, dict[str, Tally]] = defaultdict(dict)
    refused: list[str] = []
    steps: dict[str, list[list[float]]] = defaultdict(list)
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        closely = [number % EVERY == 0 for number in range(len(chosen))]
        for number, (film, seen) in enumerate(
            zip(chosen, pool.map(_film_seen, chosen, closely, chunksize=8), strict=True)
        ):
            progress("films", number + 1, len(chosen))
            for part, kind, wanted, report in seen.reports:
                _tally(tallies, part, kind, wanted).add(report)
            for name, scores in seen.scores.items():
                steps[name].append(scores)
            first = seen.reports[0][-1]
            refused += [f"{film.sha256} {first.reasons[0].code}"] if first.verdict == "rejected" else []
        for number, reports in enumerate(pool.map(_picture_seen, known, chunksize=8)):
            progress("other pictures", number + 1, len(known))
            for part, kind, report in reports:
                _tally(tallies, part, kind).add(report)
    document: dict[str, Any] = {
        part: {kind: tally.to_json() for kind, tally in sorted(kinds.items())} for part, kinds in tallies.items()
    }
    for part in ("real films", "other pictures"):
        document[part]["all"] = _together(tallies[part].values()).to_json()
    return {
        **document,
        "degradation": {name: _steps(np.array(scores), name) for name, scores in steps.items()},
        "refused films": sorted(refused),
        "limits": {name: getattr(gate(), name) for name in gate().LIMITS},
    }


@dataclass(frozen=True, slots=True)
class Seen:
    """Reports on a film and its spoiled copies as (part, kind, wanted codes, report), and scores by degradation."""

    reports: list[tuple[str, str, tuple[str, ...], QualityReport]]
    scores: dict[str, list[float]]


def _film_seen(film: Film, closely: bool) -> Seen:
    pixels = read_film(film.path)
    first = judged(pixels)
    spoiled = [*_turned(pixels), *(_spoiled(pixels) if closely else ())]
    reports = [("spoiled films", kind, wanted, judged(picture)) for kind, wanted, picture in spoiled]
    scores = {name: [first.score, *scores] for name, scores in _scores(pixels)} if closely else {}
    return Seen([("real films", f"{film.source}, {film.split}", (), first), *reports], scores)


def _tally(tallies: dict[str, dict[str, Tally]], part: str, kind: str, wanted: Iterable[str] = ()) -> Tally:
    return tallies[part].setdefault(kind, Tally(frozenset(wanted)))


def _together(tallies: Iterable[Tally]) -> Tally:
    whole = Tally()
    for tally in tallies:
        whole.verdicts += tally.verdicts
        whole.codes += tally.codes
    return whole


def _turned(film: ImageArray) -> Iterator[tuple[str, tuple[str, ...], ImageArray]]:
    """Name, codes that do it right, and the film turned or inverted."""
    for degrees in (90, 180, 270):
        yield f"turned by {degrees}°", ("quality_rotated",), np.rot90(film, degrees // 90)
    yield "inverted", ("quality_inverted",), 1 - film


def _spoiled(film: ImageArray) -> Iterator[tuple[str, tuple[str, ...], ImageArray]]:
    """As `_turned`, in ways that take longer to measure."""
    yield "inverted and turned by 90°", ("quality_rotated",), np.rot90(1 - film)
    for cut in CUTS:
        for side in SIDES:
            yield f"{cut:.0%} cut off, {side}", ("quality_cropped", "quality_not_chest"), cut_off(film, side, cut)
    yield "a tenth of the film", ("quality_not_chest", "quality_cropped"), _tenth(film)
    yield "almost black (3 % of the light)", ("quality_exposure",), film * np.float32(0.03)
    yield "almost uniform grey", ("quality_exposure",), film * np.float32(0.03) + np.float32(0.5)


def _tenth(film: ImageArray) -> ImageArray:
    return part_of(film, np.random.default_rng(int(film.sum())), 0.316, 0.316)


def _picture_seen(picture: Picture) -> list[tuple[str, str, QualityReport]]:
    """(part of the document, kind, report) of a picture, of parts of it, and of its file."""
    report = judged(picture.pixels)
    if picture.kind == FILMS:
        return [("films from elsewhere", f"frontal (projected CT, {picture.package})", report)]
    if picture.path is None:
        return [("drawn pictures", picture.kind, report)]
    rng = np.random.default_rng((SEED, zlib.crc32(picture.path.name.encode())))
    parts = [judged(part_of(picture.pixels, rng, 0.3, 0.9)) for _ in range(PARTS)]
    sent = _sent(picture.path)
    return [
        ("other pictures", picture.kind, report),
        *(("parts of other pictures", picture.kind, part) for part in parts),
        *([("other pictures as they are, in colour", picture.kind, sent)] if sent else []),
    ]


def _sent(path: Path) -> QualityReport | None:
    """What becomes of the file itself, colour included; None for files that are no JPEG, PNG or GIF."""
    if path.suffix.lower() not in {".jpg", ".jpeg", ".png", ".gif"}:
        return None
    try:
        return assess(decode(path.read_bytes()))
    except ImageRefusedError as refusal:
        return QualityReport("rejected", (QualityReason(refusal.code, refusal.message, "", 0.0, 0.0),))


def _scores(film: ImageArray) -> Iterator[tuple[str, list[float]]]:
    for name, (spoil, strengths) in DEGRADATIONS.items():
        yield name, [judged(spoil(film, strength)).score for strength in strengths]


def _steps(scores: npt.NDArray[np.float64], name: str) -> dict[str, Any]:
    """Median score at every strength, and the share of films whose score falls at every step."""
    falls = int((np.diff(scores, axis=1) < 0).all(axis=1).sum())
    return {
        "strengths": [0.0, *DEGRADATIONS[name][1]],
        "median score": [round(float(value), 4) for value in np.median(scores, axis=0)],
        "falls at every step": share(falls, len(scores)),
    }


def share(hits: int, trials: int) -> dict[str, float | int]:
    """A share with Wilson's 95 % interval."""
    low, high = wilson(hits, trials)
    return {"value": round(hits / trials, 5), "low": round(low, 5), "high": round(high, 5), "n": trials}


# The table of docs/quality.md

BEGIN, END = "<!-- gates.json -->", "<!-- end of gates.json -->"


def table(document: dict[str, Any]) -> str:
    """The measured rates as Markdown."""
    lines = []
    for part in PARTS_SHOWN:
        lines += [f"**{part.capitalize()}**", ""]
        lines += [
            "| Kind | n | Refused (95 % interval) | Warned | Right answer (95 % interval) |",
            "|---|---|---|---|---|",
        ]
        for kind, row in sorted(document.get(part, {}).items(), key=lambda item: (item[0] == "all", item[0])):
            found = _percent(row["found"]) if "found" in row else ""
            warned = f"{row['warned']['value']:.1%}"
            lines.append(f"| {kind} | {row['n']} | {_percent(row['rejected'])} | {warned} | {found} |")
        lines.append("")
    lines += [
        "**Quality score**",
        "",
        "| Spoiled by | Strengths | Median score | Falls at every step |",
        "|---|---|---|---|",
    ]
    for name, row in sorted(document["degradation"].items()):
        strengths, medians = (", ".join(f"{v:g}" for v in row[key]) for key in ("strengths", "median score"))
        lines.append(f"| {name} | {strengths} | {medians} | {_percent(row['falls at every step'])} |")
    return "\n".join([*lines, ""])


def _percent(rate: dict[str, float]) -> str:
    return f"{rate['value']:.2%} ({rate['low']:.2%} to {rate['high']:.2%})"


def with_table(page: str, document: dict[str, Any]) -> str:
    """The page with the table between its marks replaced."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n\n{table(document)}\n{END}{rest.split(END)[1]}"

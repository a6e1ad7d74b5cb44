"""The numbers as a sheet: one figure a line, so that a spreadsheet sorts and filters them. Holds no patient's data.

May import: `diagnosis.numbers`, `.agreement`, `.card`, `patients.text`. Takes what the page shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise

from django.utils import timezone

from diagnosis.agreement import Agreement, Figure
from diagnosis.card import label_titles
from diagnosis.models import ModelVersion
from diagnosis.numbers import CLASSES, Day, Drift, Rejected, Scope, Turnaround, Waiting
from patients.text import harmless_cell

COLUMNS = ("section", "item", "figure", "value", "low 95 %", "high 95 %", "n", "note")
TOO_FEW = "too few"
BANDS = {"few": TOO_FEW, "none": "no shift", "some": "some shift", "much": "large shift"}
Row = list[str]


def class_words() -> list[str]:
    """The classes of turnaround, as people say them."""
    ends = [f"{minutes} min" if minutes < 60 else f"{minutes // 60} h" for minutes in CLASSES]
    between = [f"{low} to {high}" for low, high in pairwise(ends)]
    return [f"under {ends[0]}", *between, f"{ends[-1]} and more"]


def way_words(read_first: bool) -> str:
    return "read first" if read_first else "readers saw the answer"


def numbers_rows(
    scope: Scope,
    *,
    days: Sequence[Day],
    turnaround: Mapping[str, Turnaround],
    waiting: Waiting,
    rejected: Sequence[Rejected],
    agreement: Sequence[tuple[ModelVersion, Sequence[Agreement]]],
    drift: Sequence[Drift],
) -> Iterator[Row]:
    """Lines of `COLUMNS`, every cell a text."""
    yield from _about(scope)
    for day in days:
        yield _row("films per day", f"{day.day}", "films received", day.films)
        yield _row("films per day", f"{day.day}", "reports signed", day.signed)
    for kind, taken in turnaround.items():
        yield from _turnaround(f"time to {kind} report", taken)
    yield _row("waiting now", "", "unread studies", waiting.unread)
    yield _row("waiting now", "", "oldest since (UTC)", _moment(waiting.oldest))
    yield _row("waiting now", "", "longer than the maximum wait", waiting.late, n=waiting.unread)
    for each in rejected:
        yield _row("rejected films", each.title, "refused when sent", each.sent, note=each.code)
        yield _row("rejected films", each.title, "cannot be used", each.unusable, note=each.code)
    for version, found in agreement:
        titles = label_titles(version.card)
        for each in found:
            yield from _agreement(f"{titles.get(each.label, each.label)}, {version}", each)
    for each in drift:
        yield from _drift(each)


def _about(scope: Scope) -> Iterator[Row]:
    for clinic in scope.clinics:
        yield _row("about", clinic.name, "maximum wait in minutes", clinic.max_wait_minutes, note=clinic.time_zone)
    reader = scope.reader
    who = (reader.display_name) if reader else "everybody"
    yield _row("about", who, "reports signed by")
    yield _row("about", f"{scope.first}", "first day")
    yield _row("about", f"{scope.last}", "last day")
    yield _row("about", f"{timezone.now():%Y-%m-%d %H:%M} UTC", "taken out")


def _turnaround(section: str, taken: Turnaround) -> Iterator[Row]:
    for name, seconds in (("median", taken.median), ("90th percentile", taken.p90)):
        minutes = "" if seconds is None else f"{seconds / 60:.1f}"
        yield _row(section, "", f"{name} in minutes", minutes, n=taken.n)
    yield _figure(section, "", "share over the maximum wait", taken.late_share)
    for words, count in zip(class_words(), taken.classes, strict=True):
        yield _row(section, words, "reports", count, n=taken.n)


def _agreement(item: str, each: Agreement) -> Iterator[Row]:
    note = way_words(each.read_first)
    for name in ("tp", "fp", "fn", "tn", "undecidable"):
        yield _row("agreement", item, name, getattr(each, name), n=each.n, note=note)
    for name, figure in (("PPV", each.ppv), ("sensitivity", each.sensitivity), ("kappa", each.kappa)):
        yield _figure("agreement", item, name, figure, note=note)


def _drift(each: Drift) -> Iterator[Row]:
    item = f"{each.title}, {each.clinic.name}, {each.version}"
    for days, shift in each.shifts.items():
        index = TOO_FEW if shift.index is None else f"{shift.index:.4f}"
        yield _row("drift", item, f"PSI of the last {days} days", index, n=shift.recent, note=BANDS[shift.band])
        if shift.limit is not None:
            yield _row("drift", item, f"PSI by chance, at most, {days} days", f"{shift.limit:.4f}", n=shift.recent)
    for words, before, late in each.bins:
        yield _row("drift", item, f"share of {words}, reference", f"{before:.4f}", n=each.shifts[30].reference)
        yield _row("drift", item, f"share of {words}, last 30 days", f"{late:.4f}", n=each.shifts[30].recent)


def _figure(section: str, item: str, name: str, figure: Figure, *, note: str = "") -> Row:
    if figure.value is None:
        return _row(section, item, name, TOO_FEW, n=figure.of, note=note)
    low, high = f"{figure.low:.4f}", f"{figure.high:.4f}"
    return _row(section, item, name, f"{figure.value:.4f}", low=low, high=high, n=figure.of, note=note)


def _row(
    section: str,
    item: str,
    figure: str,
    value: object = "",
    *,
    low: str = "",
    high: str = "",
    n: object = "",
    note: str = "",
) -> Row:
    """Names that somebody chose become no formulas; numbers stay numbers."""
    return [section, harmless_cell(item), figure, str(value), low, high, str(n), harmless_cell(note)]


def _moment(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M}"

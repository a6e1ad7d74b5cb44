"""The results as JSON and as one page that needs nothing else, written by the report writer of the model study.

May import: `mlcore.training.report`, `bench.plots`. The page is drawn from the document alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench import plots
from mlcore.training.report import Picture, Section, Table, number, write_report

__all__ = ["number", "sections", "write"]

TITLE = "How fast it is"
ABOUT = (
    "Everything on this page was measured by the commands named below, on the machines and days named with them. What "
    "is compared took turns in one run, so that other work on the machine hit all alike: trust the ratios, not single "
    "times."
)


def write(folder: Path, document: Mapping[str, Any]) -> None:
    """`bench.json` and `bench.html` in `folder`, each whole or not at all."""
    write_report(folder, "bench", TITLE, document, sections(document))


def sections(document: Mapping[str, Any]) -> list[Section]:
    """The ratios of all parts first, then each part."""
    from bench.parts import PARTS

    parts = {name: document["parts"][name] for name in PARTS if name in document["parts"]}
    titles = {name: PARTS[name].title for name in parts}
    return [_overview(parts, titles), *(_part(titles[name], part) for name, part in parts.items())]


def _overview(parts: Mapping[str, Mapping[str, Any]], titles: Mapping[str, str]) -> Section:
    rows = [
        [titles[name], each["what"], float(each["ratio"])] for name, part in parts.items() for each in _ratios(part)
    ]
    tables = [Table(("part", "what", "ratio"), rows, "Ratios, each measured side by side in one run.")] if rows else []
    unable = [[titles[name], part["error"]] for name, part in parts.items() if "error" in part]
    if unable:
        tables.append(Table(("part", "why"), unable, "Parts that could not run."))
    return Section("Ratios", [ABOUT], tables)


def _part(title: str, part: Mapping[str, Any]) -> Section:
    text = [f"{part['command']} · {part['date'][:16].replace('T', ' ')} UTC · {part['machine']} · {part['seconds']} s"]
    if "error" in part:
        return Section(title, [*text, f"This part could not run: {part['error']}"])
    return Section(title, [*text, *part["text"]], list(_tables(part)), [_picture(spec) for spec in part["plots"]])


def _tables(part: Mapping[str, Any]) -> Iterator[Table]:
    for table in part["tables"]:
        yield Table(table["columns"], table["rows"], table["caption"])
    if part["missing"]:
        rows = [[each["what"], each["why"]] for each in part["missing"]]
        yield Table(("not measured", "why"), rows, "Asked for and not measured.")


def _picture(spec: Mapping[str, Any]) -> Picture:
    return Picture(plots.draw(spec), spec["title"], plots.words(spec))


def _ratios(part: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(part.get("ratios", ()))

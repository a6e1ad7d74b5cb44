"""One document as JSON and as a page: headings, sentences, tables and pictures in a single file that needs nothing.

May import: the standard library; jinja2 inside functions. `evaluate`, `compare`, `tune` and every recipe write here.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TEMPLATES = Path(__file__).resolve().parent / "templates"


@dataclass(frozen=True, slots=True)
class Table:
    """`rows` of cells, one per column: text, a whole number, a fraction (three digits, fewer above 10), None (a dash)
    or a figure `{"value", "low", "high"}` with its interval. A column whose every cell is a figure or number is set
    right.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG of `figures`, what it shows in words (`alt`) and its `caption`: split, n and where it comes from."""

    svg: str
    caption: str
    alt: str


@dataclass(frozen=True, slots=True)
class Section:
    heading: str
    text: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Picture] = ()


def write_report(folder: Path, name: str, title: str, document: Mapping[str, Any], sections: Sequence[Section]) -> None:
    """Write `folder/name.json` (the document, keys sorted) and `folder/name.html` (one file, no script, no link).

    Raises ValueError when the document holds a number that is not finite: a figure that does not exist is left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    replace_text(folder / f"{name}.json", to_json(document))
    replace_text(folder / f"{name}.html", render(title, sections))


def to_json(document: Mapping[str, Any]) -> str:
    """The document as text, the same for the same content. Raises ValueError on NaN and infinities."""
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False, default=_plain) + "\n"


def render(title: str, sections: Sequence[Section]) -> str:
    """The page as text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["number"] = number
    environment.filters["interval"] = interval
    environment.tests["figure"] = lambda cell: isinstance(cell, Mapping)
    environment.globals["numeric"] = _numeric
    environment.globals["inline"] = _inline
    return environment.get_template("report.html").render(title=title, sections=sections)


def number(value: Any) -> str:
    """A cell as people read it: `–` for nothing, three digits for a fraction, fewer where it is large (17.1, 171), thin
    spaces in counts, a true minus."""
    if value is None:
        return "–"
    if isinstance(value, bool) or (not isinstance(value, (int, float)) and not hasattr(value, "item")):
        return str(value)
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\N{THIN SPACE}").replace("-", "−")
    if not math.isfinite(value):
        return "–"
    digits = 3 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:,.{digits}f}".replace(",", "\N{THIN SPACE}").replace("-", "−")


def interval(figure: Mapping[str, Any]) -> str:
    """The interval of a figure, `0.880–0.930`; "" where it has none."""
    if figure.get("low") is None or figure.get("high") is None:
        return ""
    between = "–" if figure["low"] >= 0 else " to "
    return f"{number(float(figure['low']))}{between}{number(float(figure['high']))}"


def replace_text(path: Path, text: str) -> None:
    """Write `path` in one step: a reader sees the old text or the new one, never half of it."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def _plain(value: Any) -> Any:
    """NumPy's scalars and arrays as plain values."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no place in a report")


def _numeric(table: Table, place: int) -> bool:
    """Is this a column of figures?"""
    cells = [row[place] for row in table.rows]
    return bool(cells) and all(cell is None or isinstance(cell, (int, float, Mapping)) for cell in cells)


def _inline(picture: Picture) -> Any:
    """The SVG as part of the page, named for screen readers."""
    from markupsafe import Markup, escape

    rest = picture.svg.split("<svg", 1)[1]
    return Markup(f'<svg role="img" aria-label="{escape(picture.alt)}"{rest}')  # our own drawing  # noqa: S704  # nosec B704

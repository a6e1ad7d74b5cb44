"""A signed report on paper: conclusion first, the film beside it, the model's opinion apart, origin in the footer.

Letters that the fonts cannot print as they are written are shown as boxes, and the page says so: nothing is dropped.
Pure functions on what the report page shows. May import: fpdf2, Pillow; no Django model is asked. Loading fpdf2 takes a
quarter of a second and few processes ever make a paper, so this module is imported where it is called.
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from fpdf import FPDF
from fpdf.enums import XPos, YPos
from PIL import Image

if TYPE_CHECKING:
    from diagnosis.sheet import MachineLine, Sheet

FONTS = Path(__file__).parent / "fonts"
MISSING = "▯"
#: millimetres on A4
MARGIN, WIDTH, FILM_WIDTH, GAP = 18.0, 174.0, 56.0, 8.0
FILM_PIXELS = 700
#: Of what the model said: the finding, its numbers, what the reader made of them.
_MACHINE_WIDTHS = (42.0, 76.0, 56.0)


class _Paper(FPDF):
    """A4 with the footer of the sheet on every page, and a note of letters that could not be printed."""

    def __init__(self, sheet: Sheet) -> None:
        super().__init__(format="A4")
        self.sheet = sheet
        self.set_margins(MARGIN, 15, MARGIN)
        self.set_auto_page_break(True, margin=30)
        for style, name in (("", "DejaVuSans.ttf"), ("B", "DejaVuSans-Bold.ttf")):
            self.add_font("DejaVu", style, FONTS / name)
        self.set_font("DejaVu", size=9)
        self.letters = _font()
        self.add_page()

    def footer(self) -> None:
        self.set_y(-26)
        self._ink(110)
        self.set_font("DejaVu", size=7)
        self.line(MARGIN, self.get_y(), MARGIN + WIDTH, self.get_y())
        self.ln(1.5)
        for text in filter(None, (self.sheet.model, self.sheet.origin)):
            self.multi_cell(WIDTH, 3.4, self.printable(text), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.cell(WIDTH, 3.4, self.sheet.frame["page"].format(page=self.page_no(), pages="{nb}"))

    def _ink(self, grey: int) -> None:
        self.set_text_color(grey)
        self.set_draw_color(180)

    def say(self, text: str, *, size: float = 9.5, bold: bool = False, grey: int = 20, width: float = WIDTH) -> None:
        """A paragraph; nothing where there is no text."""
        if text:
            self._ink(grey)
            self.set_font("DejaVu", "B" if bold else "", size)
            self.multi_cell(width, size * 0.5, self.printable(text), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def heading(self, text: str, *, width: float = WIDTH) -> None:
        self.ln(3)
        self.say(text, size=8, grey=100, width=width)
        self.ln(0.8)

    def printable(self, text: str) -> str:
        return "".join(letter if _prints(self.letters, letter) else MISSING for letter in text)


def _prints(letters: frozenset[int], letter: str) -> bool:
    """Is it in the font, and written as it stands: without joining, reordering or running from right to left?"""
    return letter == "\n" or (
        ord(letter) in letters and unicodedata.bidirectional(letter) not in ("R", "AL", "AN", "RLE", "RLO")
    )


def unprintable(text: str) -> str:
    """The letters of a text that the paper could not print."""
    letters = _font()
    return "".join(sorted({letter for letter in text if not _prints(letters, letter)}))


@cache
def _font() -> frozenset[int]:
    paper = FPDF()
    paper.add_font("DejaVu", "", FONTS / "DejaVuSans.ttf")
    return frozenset(paper.fonts["dejavu"].cmap)


def report_pdf(sheet: Sheet) -> bytes:
    """The sheet as a PDF: one page, and more only where the text is long."""
    paper = _Paper(sheet)
    paper.set_title(sheet.frame["title"])
    _head(paper, sheet)
    beside = WIDTH - (FILM_WIDTH + GAP if sheet.film else 0)
    top, bottom = paper.get_y(), 0.0
    if sheet.film:
        bottom = top + 3 + _film(paper, sheet.film, sheet.film_name, top + 3)
    paper.set_y(top)
    paper.heading(sheet.frame["conclusion"], width=beside)
    paper.say(sheet.conclusion, size=13, bold=True, grey=0, width=beside)
    if sheet.findings:
        paper.heading(sheet.frame["findings"], width=beside)
        paper.say(sheet.findings, size=10, grey=0, width=beside)
    if paper.page_no() == 1:
        paper.set_y(max(paper.get_y(), bottom))
    paper.heading(sheet.frame["signed"])
    paper.say(sheet.signature, bold=True)
    paper.say(sheet.amendment)
    if sheet.machine:
        _machine(paper, sheet.machine)
    return bytes(paper.output())


def _head(paper: _Paper, sheet: Sheet) -> None:
    paper.say(sheet.frame["title"], size=15, bold=True, grey=0)
    paper.say(sheet.clinic, grey=90)
    paper.ln(2)
    paper.say(sheet.patient, size=12, bold=True, grey=0)
    paper.say(sheet.person)
    paper.say(sheet.examination)
    paper.say(sheet.indication)
    everything = (
        *(sheet.clinic, sheet.patient, sheet.person, sheet.examination, sheet.indication, sheet.conclusion),
        *(sheet.findings, sheet.signature, sheet.amendment),
    )
    if any(paper.printable(text) != text for text in everything):
        paper.ln(1)
        paper.say(sheet.frame["unprinted"].format(box=MISSING), bold=True, size=8.5)
    paper.ln(2)
    paper.line(MARGIN, paper.get_y(), MARGIN + WIDTH, paper.get_y())


def _film(paper: _Paper, path: Path, name: str, top: float) -> float:
    """The film, small, at the right, and below it which of several it is; the height of both in millimetres."""
    with Image.open(path, formats=("PNG",)) as film:
        small = film.convert("L")
        small.thumbnail((FILM_PIXELS, FILM_PIXELS))
    content = io.BytesIO()
    small.save(content, "JPEG", quality=85)
    height = FILM_WIDTH * small.height / small.width
    paper.image(content, x=MARGIN + WIDTH - FILM_WIDTH, y=top, w=FILM_WIDTH)
    if not name:
        return height
    paper.set_xy(MARGIN + WIDTH - FILM_WIDTH, top + height + 1)
    paper.set_font("DejaVu", size=8)
    paper._ink(100)
    paper.cell(FILM_WIDTH, 4, paper.printable(name))
    return height + 5


def _machine(paper: _Paper, lines: Sequence[MachineLine]) -> None:
    """Apart from the report, and said to be."""
    paper.ln(4)
    paper.line(MARGIN, paper.get_y(), MARGIN + WIDTH, paper.get_y())
    paper.heading(paper.sheet.frame["machine"])
    paper.set_font("DejaVu", size=8.5)
    paper._ink(40)
    with paper.table(
        col_widths=_MACHINE_WIDTHS,
        width=WIDTH,
        line_height=4.6,
        align="L",
        text_align="L",
        borders_layout="NONE",
        first_row_as_headings=False,
    ) as table:
        for line in lines:
            table.row([paper.printable(text) for text in (line.title, line.model, line.reader)])

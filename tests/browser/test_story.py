"""The whole of it, with real films and real workers: sent, placed, read, signed, acknowledged, printed, looked at.

The radiologist touches no mouse.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from pypdf import PdfReader

from tests.browser.conftest import RESULT_SECONDS, SCREENSHOTS, choose_patient

FILMS = Path(__file__).resolve().parents[3] / "shared" / "data" / "cxr256"
#: Patient and film, in the order in which they are sent: a prior, three that press little, and the critical one.
PRIOR = ("Fatima Sheikh", "normal/kermany_IM-0001-0001.jpg")
QUIET = (
    ("Tenzin Dorje", "normal/nih_00001323_001.jpg"),
    ("Joseph Okafor", "pneumonia/nih_00000165_001.jpg"),
    ("Rohan Mehta", "normal/nih_00000165_002.jpg"),
)
CRITICAL = ("Fatima Sheikh", "pneumonia/kermany_person103_bacteria_488.jpg")
SOON = RESULT_SECONDS * 1000

pytestmark = pytest.mark.skipif(not FILMS.is_dir(), reason="the real films of ../shared/data are not here")


def film_send(page: Page, name: str, film: str, *, doctor: bool = False) -> str:
    """The address of the new study, once the model has answered."""
    choose_patient(page, name)
    if doctor:
        page.get_by_label("Referring doctor").select_option(index=1)
    page.get_by_label("Chest film").set_input_files(FILMS / film)
    page.locator("#send-button").click()
    expect(page.locator(".film[data-progress=done]")).to_have_count(1, timeout=SOON)
    address = page.get_by_role("link", name="Open the study").first.get_attribute("href")
    assert address
    return address


def row_of(page: Page, study: str):
    return page.locator(f".readings tr:has(a[href^='{study}'])")


def walk_to(page: Page, study: str) -> None:
    """Down the worklist by key to this study's row: the list renews itself, and the row may move meanwhile."""
    focused = page.locator(f".readings tr:has(a[href^='{study}']) .row-link:focus")
    for _ in range(page.locator(".readings tbody tr").count() + 1):
        if focused.count():
            break
        page.keyboard.press("j")
    expect(focused).to_have_count(1)


def stands_before(page: Page, study: str, other: str) -> bool:
    """Does one row of the worklist stand above another? Asked in one look: the list renews itself."""
    rows = "([one, two]) => [one, two].map((study) => document.querySelector(`.readings tr:has(a[href^='${study}'])`))"
    look = f"(studies) => {{ const [one, two] = ({rows})(studies); return one.rowIndex < two.rowIndex; }}"
    return bool(page.evaluate(look, [study, other]))


def picture(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"story-{name}.png")


def test_from_the_clinic_to_the_second_look(browse):
    clinic, reader = browse("radiographer", width=1440), browse("radiologist", width=1440)
    prior = film_send(clinic, *PRIOR)
    quiet = [film_send(clinic, *each) for each in QUIET]

    # The list is open while the critical film comes, and puts it before what came just before it.
    reader.goto("/worklist/")
    expect(row_of(reader, quiet[-1])).to_be_visible()
    critical = film_send(clinic, *CRITICAL, doctor=True)
    expect(row_of(reader, critical)).to_have_class(re.compile("row-critical"), timeout=SOON)
    assert stands_before(reader, critical, quiet[-1])
    expect(row_of(reader, critical)).to_contain_text(re.compile(r"Pneumonia.*present.*threshold", re.DOTALL))
    picture(reader, "worklist")

    # Read: overlay, window, prior; by keyboard.
    walk_to(reader, critical)
    reader.keyboard.press("Enter")
    film = reader.locator(".pane").first
    expect(film).to_have_attribute("data-ready", re.compile("."))
    foot = reader.locator(".pane-foot").first
    window = foot.inner_text()
    reader.keyboard.press("2")
    expect(foot).not_to_have_text(window)
    reader.keyboard.press("h")
    expect(film).to_have_attribute("data-map", "pneumonia")
    reader.keyboard.press("b")
    expect(reader.locator(".pane").nth(1).locator("figcaption")).to_contain_text("PRIOR")
    picture(reader, "reading")
    reader.keyboard.press("b")

    # One finding is rejected, one added, and the report signed.
    reader.keyboard.press("j")
    reader.keyboard.press("r")
    reader.keyboard.press("1")
    expect(reader.locator("#decision-pneumonia")).to_have_class(re.compile("decided-rejected"))
    while reader.locator("[data-undecided]").count():
        left = reader.locator("[data-undecided]").count()
        reader.keyboard.press("a")
        expect(reader.locator("[data-undecided]")).to_have_count(left - 1)
    reader.keyboard.press("d")
    reader.keyboard.type("Pneumothorax")
    reader.keyboard.press("Tab")
    reader.keyboard.press("Enter")
    expect(reader.locator("#decision-pneumothorax")).to_contain_text("Added by the reader")
    reader.keyboard.press("i")
    reader.keyboard.type("Pneumothorax on the right.")
    expect(reader.locator(".saved-words")).to_have_text(re.compile("Saved at"))
    reader.keyboard.press("Escape")
    reader.keyboard.press("s")
    expect(reader.locator("#sign")).to_be_focused()
    reader.keyboard.press("Enter")
    expect(reader).to_have_url(re.compile(f"{critical}report/"))
    expect(reader.locator(".report")).to_contain_text("Pneumothorax on the right.")

    # The clinic is told, and says what it did.
    clinic.goto("/follow-up/")
    clinic.locator(f"#follow-up a[href^='{critical}report/']").first.click()
    expect(clinic.get_by_role("heading", name="Critical finding")).to_be_visible()
    clinic.get_by_label("What was done, or who was told").fill("Sent to the ward, Dr Rao told")
    clinic.get_by_role("button", name="Acknowledge").click()
    expect(clinic.locator(".alerts")).to_contain_text("Sent to the ward, Dr Rao told")
    picture(clinic, "acknowledged")

    # The doctor to whom it was referred opens the paper.
    doctor = browse("doctor", width=1440)
    doctor.goto(critical)
    doctor.get_by_role("link", name=re.compile("[Rr]eport")).first.click()
    paper = doctor.get_by_role("link", name="PDF").get_attribute("href")
    assert paper
    printed = PdfReader(io.BytesIO(doctor.request.get(paper).body())).pages[0].extract_text()
    assert "Pneumothorax on the right." in printed
    assert "Fatima Sheikh" in printed
    assert doctor.request.get(f"{prior}report/pdf/").status == 404

    # The model was sure of a pneumonia that the radiologist rejected.
    reader.goto("/second-look/")
    row = reader.locator(f"article.second-look:has(a[href^='{critical}'])")
    expect(row).to_contain_text(re.compile(r"Pneumonia.*present.*threshold", re.DOTALL))
    picture(reader, "second-look")

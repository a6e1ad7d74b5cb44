"""A film is read, decided on, reported and signed by keyboard alone, and the doctor's page shows the report."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import RESULT_SECONDS, SCREENSHOTS, choose_patient, sign_in
from tests.synthetic import as_png, synthetic_film


@pytest.fixture(scope="module")
def unread(chromium, site) -> str:
    """The address of a study with a result that nobody has read."""
    context = chromium.new_context(base_url=site.url)
    page = context.new_page()
    sign_in(page, "operator", site.passwords["operator"])
    choose_patient(page, "Tenzin")
    film = {"name": "film.png", "mimeType": "image/png", "buffer": as_png(synthetic_film(301))}
    page.get_by_label("Chest film").set_input_files([film])
    page.locator("#send-button").click()
    expect(page.locator(".film[data-progress=done]")).to_have_count(1, timeout=RESULT_SECONDS * 1000)
    address = page.get_by_role("link", name="Open the study").first.get_attribute("href")
    context.close()
    assert address
    return address


def picture(page: Page, name: str) -> None:
    """The page as a desk and as a phone show it."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for width, height in ((1440, 900), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} at {width}"
        page.screenshot(path=SCREENSHOTS / f"{name}-{width}.png", full_page=True)
    page.set_viewport_size({"width": 1440, "height": 900})


def test_a_page_that_is_behind_says_so_and_keeps_what_was_typed(browse, unread):
    first, second = browse("radiologist", width=1440), browse("radiologist", width=1440)
    for page in (first, second):
        page.goto(f"{unread}read/")
    first.locator("#impression").fill("Written first.")
    expect(first.locator(".saved-words")).to_have_text(re.compile("Saved at"))
    second.locator("#impression").fill("Written second.")
    expect(second.locator(".saved-words")).to_have_text(re.compile("Somebody changed this report"))
    expect(second.locator("#impression")).to_have_value("Written second.")
    second.once("dialog", lambda dialog: dialog.accept())
    second.reload()
    expect(second.locator("#impression")).to_have_value("Written first.")


def test_a_film_is_read_and_signed_by_keyboard(browse, unread):
    page = browse("radiologist", width=1440)
    page.goto(f"{unread}read/")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    undecided = page.locator("[data-undecided]")
    for left in range(undecided.count() - 1, -1, -1):
        page.keyboard.press("j")
        page.keyboard.press("a" if left else "r")
        if not left:
            page.keyboard.press("3")
        expect(undecided).to_have_count(left)
    page.keyboard.press("d")
    page.keyboard.type("Nodule")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#decision-nodule")).to_contain_text("Added by the reader")
    expect(page.get_by_label("Findings", exact=False).and_(page.locator("textarea"))).to_have_value(
        re.compile("Pulmonary nodule")
    )
    page.keyboard.press("i")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("Nodule in the left upper lobe.")
    expect(page.locator(".saved-words")).to_have_text(re.compile("Saved at"))
    page.keyboard.press("Escape")
    picture(page, "reading")
    page.keyboard.press("p")
    expect(page.get_by_text("Preliminary since")).to_be_visible()
    page.keyboard.press("s")
    expect(page.locator("#sign")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/report/$"))
    expect(page.get_by_text("Nodule in the left upper lobe.")).to_be_visible()
    expect(page.get_by_text("registration number")).to_be_visible()
    picture(page, "report")

"""A critical finding from the signature to the acknowledgement, and a second look, in the browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import RESULT_SECONDS, SCREENSHOTS, choose_patient, sign_in
from tests.synthetic import as_png, synthetic_film

WIDTHS = [(1440, 900), (390, 844)]


@pytest.fixture(scope="module")
def critical(chromium, site) -> None:
    """A film whose preliminary report says pneumothorax."""
    context = chromium.new_context(base_url=site.url, viewport={"width": 1440, "height": 900})
    page = context.new_page()
    sign_in(page, "radiologist", site.passwords["radiologist"])
    choose_patient(page, "Joseph")
    film = {"name": "film.png", "mimeType": "image/png", "buffer": as_png(synthetic_film(341))}
    page.get_by_label("Chest film").set_input_files([film])
    page.locator("#send-button").click()
    expect(page.locator(".film[data-progress=done]")).to_have_count(1, timeout=RESULT_SECONDS * 1000)
    page.goto(f"{page.get_by_role('link', name='Open the study').first.get_attribute('href')}read/")
    page.locator("#impression").fill("Pneumothorax on the left.")
    expect(page.locator(".saved-words")).to_contain_text("Saved at")
    page.locator("#add-finding").select_option("pneumothorax")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".decided-added")).to_contain_text("Pneumothorax")
    page.get_by_role("button", name="Make preliminary").click()
    expect(page.get_by_text("The report is preliminary")).to_be_visible()
    context.close()


def no_wider(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_a_critical_finding_is_followed_up_and_acknowledged(browse, critical):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for width, height in WIDTHS:
        page = browse("radiographer", width=width, height=height)
        page.goto("/follow-up/")
        expect(page.locator(".waiting-count")).to_be_visible()
        expect(page.locator("#follow-up")).to_contain_text("Nobody was mailed")
        no_wider(page)
        page.screenshot(path=SCREENSHOTS / f"follow-up-{width}.png", full_page=True)
        page.get_by_role("link", name="Read and acknowledge").first.click()
        expect(page.get_by_role("heading", name="Critical finding")).to_be_visible()
        no_wider(page)
        page.screenshot(path=SCREENSHOTS / f"follow-up-report-{width}.png", full_page=True)
    page.get_by_label("What was done, or who was told").fill("Dr Rao told by phone")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".alerts")).to_contain_text("Dr Rao told by phone")


@pytest.mark.parametrize(("width", "height"), WIDTHS)
def test_screenshots_of_the_second_look(browse, critical, width, height):
    page = browse("radiologist", width=width, height=height)
    page.goto("/follow-up/")
    page.get_by_role("link", name="Second look").click()
    expect(page.get_by_role("heading", name="Second look")).to_be_visible()
    no_wider(page)
    page.screenshot(path=SCREENSHOTS / f"second-look-{width}.png", full_page=True)

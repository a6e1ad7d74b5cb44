"""The dashboard in the browser: on a desk and on a phone, no wider than either, with figures of films just sent."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import SCREENSHOTS


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_the_numbers_fit_and_follow_the_period(browse, studies, width, height):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page = browse("radiologist", width=width, height=height)
    page.goto("/numbers/")
    expect(page.get_by_role("heading", name="Numbers", exact=True)).to_be_visible()
    expect(page.locator(".figure-number").first).not_to_have_text("0")
    page.get_by_role("link", name="7 days").click()
    expect(page.locator(".presets [aria-current]")).to_have_text("7 days")
    page.locator(".chart summary").first.click()
    expect(page.locator(".chart").first.locator("tbody tr").last).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.screenshot(path=SCREENSHOTS / f"numbers-{width}.png", full_page=True)

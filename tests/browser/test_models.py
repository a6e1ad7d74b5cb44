"""The pages of a model version in a browser: a clinic's thresholds, a version on trial; at a desk and on a phone."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.test_reading import picture


def card(page: Page) -> None:
    page.goto("/models/")
    page.locator("th[scope=row] a").first.click()


def test_a_radiologist_finds_the_clinics_thresholds_and_is_told_that_there_are_too_few_cases(browse, site):
    page = browse("radiologist", width=1440)
    card(page)
    page.get_by_role("link", name="thresholds of your clinic").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Thresholds at Hillside Clinic")
    expect(page.locator("#pneumonia .notice-warning")).to_contain_text("Too few cases")
    expect(page.get_by_role("button", name="Propose")).to_have_count(0)
    picture(page, "thresholds")


def test_the_system_administrator_is_told_that_there_is_nothing_to_compare_with(browse, site):
    page = browse("admin", width=1440)
    card(page)
    page.goto(f"{page.url}compare/")
    expect(page.locator(".empty")).to_contain_text("Nothing to compare with")
    picture(page, "compare")

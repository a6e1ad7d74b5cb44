"""The worklist in the browser: films arrive by themselves, the keyboard does everything, the place is kept."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import RESULT_SECONDS, SCREENSHOTS, choose_patient
from tests.synthetic import as_png, synthetic_film

PHONE = 360


def film_send(page: Page, seed: int, urgency: str = "routine") -> None:
    choose_patient(page, "Joseph")
    page.get_by_label("Urgency").select_option(urgency)
    film = {"name": f"{seed}.png", "mimeType": "image/png", "buffer": as_png(synthetic_film(seed))}
    page.get_by_label("Chest film").set_input_files([film])
    page.locator("#send-button").click()
    expect(page.locator(".film").first).to_be_visible()


@pytest.fixture
def unread(browse) -> Page:
    """The page of an operator who has sent two films that nobody has read."""
    page = browse("operator")
    for seed in (311, 312):
        film_send(page, seed)
        # An answer of the model moves its row: the list shall stand still while it is walked.
        expect(page.locator(".film[data-progress=done]")).to_have_count(1, timeout=RESULT_SECONDS * 1000)
    return page


def test_worklist_by_keyboard_alone_while_films_arrive(browse, unread):
    page = browse("radiologist")
    page.goto("/")
    page.get_by_role("link", name="Worklist").click()
    rows = page.locator(".readings tbody tr")
    expect(rows.nth(1)).to_be_visible()
    page.wait_for_load_state()  # the keys are there once the page's script has run
    before = rows.count()
    page.keyboard.press("j")
    page.keyboard.press("j")
    second = rows.nth(1).locator(".row-link")
    expect(second).to_be_focused()
    row = second.get_attribute("id")
    page.keyboard.press("c")
    mine = page.locator(f"tr:has(#{row})")
    expect(mine.get_by_text("You", exact=True)).to_be_visible()
    expect(page.locator(f"#{row}")).to_be_focused()

    film_send(unread, 313, "emergency")
    expect(rows.first).to_contain_text("Emergency requested", timeout=RESULT_SECONDS * 1000)
    expect(rows).to_have_count(before + 1)
    expect(page.locator(f"#{row}")).to_be_focused()

    page.keyboard.press("r")
    expect(mine.get_by_role("button", name="Claim")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("claim it: you read it")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.get_by_label("Finding")).to_be_focused()
    page.keyboard.press("Escape")
    page.locator(f"#{row}").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/studies/"))
    expect(page.get_by_text("You have been reading this study")).to_be_visible()


def test_list_that_did_not_change_is_not_drawn_again(browse, unread):
    """At the turn of the minute waiting times change; so of several answers one at least is empty."""
    page = browse("radiologist")
    page.goto("/worklist/")
    with page.expect_response(lambda answer: answer.status == 304, timeout=60_000):
        pass
    expect(page.locator("#readings")).to_be_visible()


@pytest.mark.parametrize("width", [1440, 390])
def test_screenshots_of_the_worklist(browse, unread, width):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page = browse("radiologist", width=width)
    page.goto("/worklist/?state=free")
    expect(page.locator(".readings")).to_be_visible()
    page.screenshot(path=SCREENSHOTS / f"reading-list-{width}.png", full_page=True)


def test_worklist_is_no_wider_than_a_phone(browse, unread):
    page = browse("radiologist", width=PHONE, height=740)
    page.goto("/worklist/?state=free")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE

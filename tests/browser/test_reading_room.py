"""The film on the reading page: its size, its keys beside the report's, and the next film without a second fetch."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import RESULT_SECONDS, SCREENSHOTS
from tests.browser.test_pages import read_study  # noqa: F401  a fixture
from tests.browser.test_reading import picture
from tests.site.running import wait_until


@pytest.fixture
def reading(browse, studies) -> Page:
    """The reading page of the newer study, its film painted and the claim taken."""
    page = browse("radiologist", width=1440)
    page.goto(f"{studies.new}read/")
    painted(page)
    return page


def painted(page: Page) -> None:
    expect(page.locator(".pane").first).to_have_attribute("data-ready", re.compile("."))


def fetched(page: Page, film: str) -> int:
    """How often this film's values were asked for since the page was loaded."""
    return page.evaluate(
        """(film) => performance.getEntriesByType("resource").filter((each) => each.name.includes(film)
            && each.name.endsWith("/reading/")).length""",
        film,
    )


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1280, 720), (390, 844)])
def test_the_film_has_most_of_the_page(browse, studies, width, height):
    page = browse("radiologist", width=width, height=height)
    page.goto(f"{studies.new}read/")
    painted(page)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"reading-room-{width}.png", full_page=width < 900)
    box = page.locator(".pane").first.bounding_box()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width > 900:
        assert page.evaluate("document.documentElement.scrollHeight") <= height, "nothing scrolls but the desk"
        assert box["width"] * box["height"] > 0.45 * width * height
        expect(page.locator("#sign")).to_be_in_viewport(ratio=1)
    else:
        assert box["height"] > 0.4 * height


def test_each_key_has_one_meaning_and_none_while_somebody_types(reading):
    page, foot = reading, reading.locator(".pane-foot").first
    page.keyboard.press("v")
    expect(foot).to_contain_text("inverted")
    page.keyboard.press("i")
    expect(page.locator("#impression")).to_be_focused()
    page.keyboard.type("vtxobyn0123 asrpufjk?")
    expect(page.locator("#impression")).to_have_value("vtxobyn0123 asrpufjk?")
    expect(foot).not_to_contain_text("turned")
    expect(page).to_have_url(re.compile("/read/$"))
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("Escape")
    page.keyboard.press("t")
    expect(foot).to_contain_text("turned 90°")
    before = page.locator(".decided-rejected").count()
    page.keyboard.press("3")
    expect(foot).to_contain_text("C 30000 W 30000")
    expect(page.locator(".decided-rejected")).to_have_count(before)
    page.keyboard.press("?")
    help_ = page.get_by_role("dialog")
    expect(help_).to_contain_text("accept the finding")
    expect(help_).to_contain_text("cardiothoracic ratio")
    page.keyboard.press("Escape")
    page.locator("#impression").fill("")
    expect(page.locator(".saved-words")).to_have_text(re.compile("Saved at"))


def test_the_next_film_was_fetched_before_it_is_asked_for_and_not_again(browse, studies):
    page = browse("radiologist", width=1440)
    page.goto(f"{studies.new}read/")
    painted(page)
    ahead = page.locator("[data-viewer]").get_attribute("data-ahead-films")
    assert ahead
    film = page.request.get(ahead).json()["films"][0]["id"]
    is_fetched = """(film) => performance.getEntriesByType("resource").some((each) => each.name.includes(film)
            && each.name.endsWith("/reading/") && each.responseEnd > 0)"""
    wait_until(lambda: page.evaluate(is_fetched, film))  # a page without eval cannot watch for it by itself
    document = page.evaluate("performance.timeOrigin")
    page.keyboard.press("n")
    expect(page.locator("[data-viewer]")).to_have_attribute("data-films", ahead)
    expect(page).to_have_url(re.compile("/read/"))
    expect(page.locator(".pane").first).to_have_attribute("data-ready", film)
    assert fetched(page, film) == 1, "painted from what was fetched ahead"
    assert page.evaluate("performance.timeOrigin") == document, "the page stayed the same document"
    page.keyboard.press("v")
    expect(page.locator(".pane-foot").first).to_contain_text("inverted")
    page.go_back()
    expect(page).to_have_url(re.compile(re.escape(studies.new)))
    painted(page)


def test_a_finding_opens_the_film_on_which_the_model_sees_it(browse, read_study):  # noqa: F811
    page = browse("radiologist", width=1440)
    page.goto(f"{read_study}read/")
    painted(page)
    page.locator("#decisions details.fold summary").click()
    film = page.locator("#decisions .finding-film").first
    wanted = film.get_attribute("data-open-film")
    number = re.search(r"Film (\d)", film.inner_text())
    assert number
    other = page.get_by_role("button", name=f"Film {3 - int(number[1])}", exact=True)
    other.click()
    expect(other).to_have_attribute("aria-pressed", "true")
    film.click()
    expect(page.locator(".pane").first).to_have_attribute("data-radiograph", wanted)
    expect(page.get_by_role("button", name=number[0], exact=True)).to_have_attribute("aria-pressed", "true")
    expect(page).to_have_url(re.compile("/read/$"))
    picture(page, "reading-two-films")


def test_a_draft_begun_by_mistake_is_discarded(browse, studies):
    page = browse("radiologist", width=1440)
    page.goto(f"{studies.prior}read/")
    page.locator("#impression").fill("Of another patient.")
    expect(page.locator(".saved-words")).to_have_text(re.compile("Saved at"), timeout=RESULT_SECONDS * 1000)
    page.get_by_role("link", name="Discard").click()
    expect(page.get_by_text("Of another patient.")).to_be_visible()
    page.get_by_role("button", name="Discard it").click()
    expect(page.get_by_text("The draft is discarded.")).to_be_visible()
    expect(page.locator("#impression")).to_have_value("")

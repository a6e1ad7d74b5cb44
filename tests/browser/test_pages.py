"""Every page in the browser: on a desk, on a phone, light on the wire, by keyboard; screenshots for people to see."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import RESULT_SECONDS, SCREENSHOTS, choose_patient
from tests.synthetic import as_png, synthetic_film

PHONE = 360
FIRST_PAGE_BYTES = 150_000


@pytest.fixture(scope="package")
def read_study(chromium, site) -> str:
    """The address of a study whose patient has films with results."""
    from tests.browser.conftest import sign_in

    context = chromium.new_context(base_url=site.url)
    page = context.new_page()
    sign_in(page, "operator", site.passwords["operator"])
    choose_patient(page, "Rohan")
    files = [
        {"name": f"{seed}.png", "mimeType": "image/png", "buffer": as_png(synthetic_film(seed))} for seed in (201, 202)
    ]
    page.get_by_label("Chest film").set_input_files(files)
    page.locator("#send-button").click()
    expect(page.locator(".film[data-progress=done]")).to_have_count(2, timeout=RESULT_SECONDS * 1000)
    address = page.get_by_role("link", name="Open the study").first.get_attribute("href")
    context.close()
    assert address
    return address


def addresses(page: Page, study: str) -> dict[str, str]:
    """Name → address of every page."""
    page.goto(study)
    patient = page.get_by_role("link", name="Patient and history").get_attribute("href")
    model = page.locator(".film-panel a[href^='/models/']").first.get_attribute("href")
    assert patient
    assert model
    return {
        "home": "/",
        "send": f"/?patient={patient.strip('/').split('/')[-1]}",
        "film_list": "/films/",
        "study": study,
        "patient": patient,
        "patients": "/patients/",
        "new-patient": "/patients/new/",
        "status": "/status/",
        "model": model,
        "about": "/about/",
        "password": "/accounts/password/change/",
        "second-factor": "/accounts/2fa/",
        "not-found": "/nowhere/",
    }


@pytest.mark.parametrize("width", [1280, 390])
def test_screenshots_of_every_page(browse, read_study, width):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page = browse(width=width)
    page.goto("/accounts/login/")
    page.screenshot(path=SCREENSHOTS / f"sign-in-{width}.png", full_page=True)
    page = browse("operator", width=width)
    for name, address in addresses(page, read_study).items():
        page.goto(address)
        if name == "study":
            page.keyboard.press("h")
            expect(page.locator(".film-map").first).not_to_have_js_property("naturalWidth", 0)
        page.screenshot(path=SCREENSHOTS / f"{name}-{width}.png", full_page=True)


def test_no_page_is_wider_than_a_phone(browse, read_study):
    page = browse("operator", width=PHONE, height=740)
    wide = {}
    for name, address in addresses(page, read_study).items():
        page.goto(address)
        wide[name] = page.evaluate(
            """() => [...document.querySelectorAll("body *")].filter((each) => each.getBoundingClientRect().right
                > innerWidth + 1 && !each.closest(".table-responsive, .skip-link, .visually-hidden"))
                .map((each) => each.outerHTML.slice(0, 80))"""
        )
    assert {name: parts[:3] for name, parts in wide.items() if parts} == {}


def test_first_pages_are_light(browse):
    page = browse()
    received: list[int] = []
    page.on("requestfinished", lambda request: received.append(request.sizes()["responseBodySize"]))
    page.goto("/accounts/login/", wait_until="networkidle")
    assert 0 < sum(received) <= FIRST_PAGE_BYTES
    signed_in = browse("operator")
    received.clear()
    signed_in.on("requestfinished", lambda request: received.append(request.sizes()["responseBodySize"]))
    signed_in.goto("/", wait_until="networkidle")
    assert sum(received) <= FIRST_PAGE_BYTES


def test_history_chart_draws_each_film_and_opens_its_study(browse, read_study):
    page = browse("radiologist")
    page.goto(read_study)
    page.get_by_role("link", name="Patient and history").click()
    expect(page.locator(".chart")).to_have_count(3)
    points = page.locator(".chart").first.locator("svg a")
    expect(points).to_have_count(2)
    page.locator(".chart").first.get_by_text("As a table").click()
    expect(page.locator(".chart").first.locator("tbody tr")).to_have_count(2)
    points.first.click()
    expect(page).to_have_url(re.compile(re.escape(read_study)))


def test_films_are_walked_by_keyboard(browse, read_study):
    page = browse("radiologist")
    page.goto("/films/")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(page.locator(".row-link").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/studies/"))


def test_list_of_films_renews_itself_and_keeps_the_filter(browse, read_study):
    page = browse("radiologist")
    page.goto("/films/?progress=done")
    expect(page.locator(".row-link").first).to_be_visible()
    with page.expect_response(lambda answer: "progress=done" in answer.url, timeout=30_000) as renewed:
        pass
    assert renewed.value.request.headers["hx-request"] == "true"
    expect(page.locator("#films")).to_have_count(1)


def test_lost_link_is_said_and_mended_by_itself(browse):
    page = browse("operator")
    page.goto("/status/")
    notice = page.get_by_text("The link to the server is interrupted")
    expect(notice).to_be_hidden()
    page.route("**/status/", lambda route: route.abort())
    expect(notice).to_be_visible()
    page.unroute("**/status/")
    expect(notice).to_be_hidden()


def test_page_that_renews_itself_asks_to_sign_in_when_the_session_ends(browse):
    page = browse("operator")
    page.goto("/status/")
    page.context.clear_cookies()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page).to_have_url(re.compile(re.escape("next=/status/")))


def test_status_page_shows_both_workers_alive(browse):
    page = browse("operator")
    page.goto("/status/")
    expect(page.locator(".state-done", has_text="Alive")).to_have_count(2, timeout=RESULT_SECONDS * 1000)


def test_person_signs_out(browse):
    page = browse("operator")
    page.locator(".menu summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.goto("/films/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_wrong_password_is_told_in_words(browse):
    page = browse()
    page.goto("/accounts/login/")
    page.get_by_label("Username").fill("nobody")
    page.get_by_label("Password").fill("wrong password")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("alert")).to_be_visible()

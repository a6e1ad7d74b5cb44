"""The viewer in the browser: true values, window and tools by hand and by key, maps, priors, and nobody else's film."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect
from pydicom import dcmread

from tests.browser.conftest import RESULT_SECONDS, SCREENSHOTS
from tests.site.running import wait_until


@pytest.fixture
def viewer(browse, studies) -> Page:
    """The newer study in the viewer, its film painted."""
    page = browse("radiologist", width=1440)
    page.goto(studies.new)
    page.get_by_role("link", name="Open in the viewer").click()
    expect(main(page)).to_have_attribute("data-ready", re.compile("."))
    return page


def main(page: Page):
    return page.locator(".pane").first


def prior(page: Page):
    return page.locator(".pane").nth(1)


def painted(page: Page) -> None:
    """Wait until what was asked for before stands on the screen."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def foot(page: Page, pane: int = 0) -> str:
    painted(page)
    return page.locator(".pane-foot").nth(pane).inner_text()


def screen(page: Page, pane: int = 0) -> np.ndarray:
    """The pane as the screen shows it, red of each pixel: films are grey."""
    painted(page)
    return np.asarray(Image.open(io.BytesIO(page.locator(".pane canvas").nth(pane).screenshot())).convert("RGB"))[
        ..., 0
    ]


def grey(page: Page, x: float = 0.5, y: float = 0.5) -> int:
    """The level that the screen shows at a share of the pane."""
    shown = screen(page)
    return int(shown[int(shown.shape[0] * y), int(shown.shape[1] * x)])


def drag(page: Page, start: tuple[float, float], to: tuple[float, float], pane: int = 0) -> None:
    """With the left button, from a share of the pane to another."""
    box = page.locator(".pane canvas").nth(pane).bounding_box()
    assert box
    points = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in (start, to)]
    page.mouse.move(*points[0])
    page.mouse.down()
    page.mouse.move(*points[1], steps=4)
    page.mouse.up()


def values_under_pointer(page: Page, count: int = 12, pane: int = 0) -> list[tuple[int, int, int]]:
    """Where the pointer is on the film, and the value that is said, at several places."""
    box = page.locator(".pane canvas").nth(pane).bounding_box()
    assert box
    rng = np.random.default_rng(5)
    found = []
    for across, down in rng.uniform(0.3, 0.7, (count, 2)):
        page.mouse.move(box["x"] + box["width"] * across, box["y"] + box["height"] * down)
        said = re.search(r"x (\d+) y (\d+): value (-?\d+)", foot(page, pane))
        assert said, foot(page, pane)
        found.append((int(said[1]), int(said[2]), int(said[3])))
    return found


def test_values_under_the_pointer_are_those_that_pydicom_reads(viewer, studies):
    expect(main(viewer).locator("figcaption")).to_contain_text("16 bits")
    pixels = dcmread(io.BytesIO(studies.new_file)).pixel_array
    found = values_under_pointer(viewer)
    assert [value for _, _, value in found] == [int(pixels[y, x]) for x, y, _ in found]
    assert len({value for _, _, value in found}) > 6
    viewer.keyboard.press("t")
    viewer.keyboard.press("x")
    viewer.keyboard.press("+")
    found = values_under_pointer(viewer)
    assert [value for _, _, value in found] == [int(pixels[y, x]) for x, y, _ in found]


def test_a_negative_is_shown_bone_bright_and_keeps_its_values(browse, studies):
    page = browse("radiologist")
    page.goto(f"{studies.prior}view/")
    expect(main(page)).to_have_attribute("data-ready", re.compile("."))
    expect(main(page).locator("figcaption")).to_contain_text("stored as a negative")
    pixels = dcmread(io.BytesIO(studies.prior_file)).pixel_array
    found = values_under_pointer(page)
    assert [value for _, _, value in found] == [int(pixels[y, x]) for x, y, _ in found]
    spine, lung = grey(page, 0.5, 0.5), grey(page, 0.33, 0.45)
    assert spine > lung


@pytest.mark.parametrize("down", [0, 0.6])
def test_every_pixel_is_painted_with_the_window_that_is_said(viewer, studies, down):
    """At one pixel of the film on one of the screen, the screen shows what the window makes of the stored values."""
    viewer.keyboard.press("o")
    viewer.evaluate(
        "(down) => (document.body.style.paddingTop = `${down}px`)", down
    )  # not on whole pixels of the screen
    viewer.set_viewport_size({"width": 1401, "height": 811})  # 1:1 stays 1:1 when the pane changes its size
    expect(viewer.locator(".pane-foot").first).to_contain_text("100 %")
    box = viewer.locator(".pane canvas").first.bounding_box()
    assert box
    at = [int(box["x"] + box["width"] / 2), int(box["y"] + box["height"] / 2)]
    viewer.mouse.move(*at)
    found = re.search(r"x (\d+) y (\d+)", foot(viewer))
    assert found
    column, row = int(found[1]), int(found[2])
    painted(viewer)
    picture = Image.open(io.BytesIO(viewer.screenshot())).convert("RGB")
    shown = np.asarray(picture)[at[1] - 100 : at[1] + 100, at[0] - 100 : at[0] + 100, 0].astype(float)
    pixels = dcmread(io.BytesIO(studies.new_file)).pixel_array.astype(float)
    there = pixels[row - 100 : row + 100, column - 100 : column + 100]
    assert np.abs(shown - np.clip((there - 30000) / 50000 + 0.5, 0, 1) * 255).max() <= 1


def test_window_by_drag_by_number_and_back(viewer):
    assert "C 30000 W 50000" in foot(viewer)
    before = grey(viewer)
    drag(viewer, (0.4, 0.5), (0.6, 0.3))
    changed = foot(viewer)
    assert "C 30000 W 50000" not in changed
    assert grey(viewer) != before
    viewer.keyboard.press("1")
    expect(viewer.locator(".pane-foot").first).to_contain_text("C 30000 W 50000")
    viewer.keyboard.press("3")
    expect(viewer.locator(".pane-foot").first).to_contain_text("C 30000 W 30000")
    viewer.keyboard.press("0")
    expect(viewer.locator(".pane-foot").first).to_contain_text("C 30000 W 50000")
    assert grey(viewer) == before


def test_view_by_key(viewer):
    line = viewer.locator(".pane-foot").first
    dark = grey(viewer)
    viewer.keyboard.press("v")
    expect(line).to_contain_text("inverted")
    assert abs(grey(viewer) + dark - 255) <= 2
    viewer.keyboard.press("v")
    viewer.keyboard.press("t")
    expect(line).to_contain_text("turned 90°")
    viewer.keyboard.press("x")
    expect(line).to_contain_text("mirrored")
    viewer.keyboard.press("o")
    expect(line).to_contain_text("100 %")
    viewer.keyboard.press("0")
    expect(line).not_to_contain_text("turned")
    viewer.keyboard.press("?")
    help_ = viewer.get_by_role("dialog")
    expect(help_).to_contain_text("cardiothoracic ratio")
    viewer.keyboard.press("Escape")
    expect(help_).to_be_hidden()


def test_a_length_is_in_millimetres_where_the_file_says_how_large_pixels_are(viewer):
    viewer.keyboard.press("o")
    viewer.keyboard.press("l")
    box = viewer.locator(".pane canvas").first.bounding_box()
    assert box
    drag(viewer, (0.4, 0.5), (0.4 + 200 / box["width"], 0.5))
    expect(viewer.locator(".viewer-measures")).to_contain_text(
        "Length 1: 40.0 mm at the detector, the body is drawn larger than it is"
    )
    viewer.keyboard.press("Delete")
    expect(viewer.locator(".viewer-measures li")).to_have_count(0)


def test_a_length_is_in_pixels_where_it_does_not(browse, studies):
    page = browse("radiologist")
    page.goto(f"{studies.prior}view/")
    expect(main(page)).to_have_attribute("data-ready", re.compile("."))
    page.keyboard.press("o")
    page.keyboard.press("l")
    box = page.locator(".pane canvas").first.bounding_box()
    assert box
    drag(page, (0.4, 0.5), (0.4 + 150 / box["width"], 0.5))
    expect(page.locator(".viewer-measures")).to_contain_text("150 px, the file does not say how large its pixels are")


def test_cardiothoracic_ratio_of_two_lines(viewer):
    viewer.keyboard.press("c")
    drag(viewer, (0.42, 0.6), (0.57, 0.6))
    expect(viewer.locator(".viewer-measures")).to_contain_text("now draw the widest inner chest")
    drag(viewer, (0.35, 0.7), (0.65, 0.7))
    expect(viewer.locator(".viewer-measures")).to_contain_text("Cardiothoracic ratio 0.50")
    viewer.get_by_role("button", name="Remove").click()
    expect(viewer.locator(".viewer-measures li")).to_have_count(0)


@pytest.fixture
def with_map(browse, studies) -> Page:
    """The newer study once the model has read it, its map of pneumonia offered whatever the model found."""
    page = browse("radiologist", width=1440)
    page.goto(studies.new)
    expect(page.locator(".film[data-progress=done]")).to_have_count(1, timeout=2 * RESULT_SECONDS * 1000)
    address = page.locator("[data-map-label] option[value*=pneumonia]").get_attribute("value")
    assert address
    offered = {
        "prediction": address.split("/")[2],
        "label": "pneumonia",
        "title": "Pneumonia",
        "said": "likely, 58% (threshold 29%), some model with a long name 1.1.0",
        "address": address,
    }

    def positive(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        body["films"][0]["maps"] = [offered]
        route.fulfill(response=answer, json=body)

    page.route("**/view/films/", positive)
    page.goto(f"{studies.new}view/")
    expect(main(page)).to_have_attribute("data-ready", re.compile("."))
    return page


def test_map_is_off_until_asked_for_and_says_what_it_is(with_map):
    page = with_map
    toggle = page.locator(".viewer-map").get_by_role("button", name="Model attention")
    expect(toggle).to_have_attribute("aria-pressed", "false")
    expect(page.locator(".viewer-map")).to_contain_text("not a lesion outline")
    with page.expect_response(re.compile("/map/")) as answer:
        page.keyboard.press("h")
    assert answer.value.headers["x-finding"] == "pneumonia"
    expect(toggle).to_have_attribute("aria-pressed", "true")
    expect(main(page)).to_have_attribute("data-map", "pneumonia")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "viewer-map-1440.png")
    page.set_viewport_size({"width": 390, "height": 844})
    beyond = """() => {
        const edge = document.querySelector(".viewer").getBoundingClientRect().right;
        const parts = [...document.querySelectorAll(".viewer-map *")];
        return parts.filter((each) => each.getBoundingClientRect().right > edge).map((each) => each.outerHTML);
    }"""
    assert page.evaluate(beyond) == []
    page.keyboard.press("h")
    expect(toggle).to_have_attribute("aria-pressed", "false")
    expect(main(page)).not_to_have_attribute("data-map", "pneumonia")


def test_the_map_of_another_finding_is_not_painted(with_map):
    page = with_map
    page.route(
        "**/map/pneumonia/", lambda route: route.continue_(url=route.request.url.replace("pneumonia", "effusion"))
    )
    page.keyboard.press("h")
    expect(main(page).get_by_role("alert")).to_contain_text("belongs to another film")
    assert main(page).get_attribute("data-ready") is None


def test_prior_beside_with_linked_window_and_zoom(viewer):
    viewer.keyboard.press("b")
    expect(prior(viewer)).to_have_attribute("data-ready", re.compile("."))
    expect(prior(viewer).locator("figcaption")).to_contain_text("PRIOR")
    drag(viewer, (0.4, 0.5), (0.6, 0.4))
    viewer.keyboard.press("+")
    ours, theirs = foot(viewer), foot(viewer, 1)
    assert re.search(r"W (\d+)", theirs)
    assert "W 50000" not in ours
    percent = [re.search(r"(\d+) %", text)[1] for text in (ours, theirs)]
    assert percent[0] == percent[1], "two films of one size stand at one scale"
    viewer.keyboard.press("y")
    viewer.keyboard.press("+")
    percent = [re.search(r"(\d+) %", foot(viewer, pane))[1] for pane in (0, 1)]
    assert percent[0] != percent[1]


def test_prior_is_fetched_before_it_is_asked_for(viewer):
    fetched = (
        """() => performance.getEntriesByType("resource").filter((each) => each.name.endsWith("/reading/")).length"""
    )
    wait_until(lambda: viewer.evaluate(fetched) == 2)  # a page without eval cannot watch for it by itself
    viewer.keyboard.press("b")
    expect(prior(viewer)).to_have_attribute("data-ready", re.compile("."))
    assert viewer.evaluate(fetched) == 2


def exchanging(header: str) -> Callable[[Route], None]:
    """Answers that say in this header that they belong elsewhere."""

    def exchange(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, headers=answer.headers | {header: "0" * 32})

    return exchange


def test_a_picture_of_another_film_is_not_painted(browse, studies):
    page = browse("radiologist")
    for header in ("x-study-id", "x-radiograph-id", "x-image-sha256"):
        page.route("**/reading/", exchanging(header))
        page.goto(f"{studies.new}view/")
        expect(main(page).get_by_role("alert")).to_contain_text("belongs to another film")
        assert main(page).get_attribute("data-ready") is None
        assert grey(page, 0.9, 0.9) == 0
        page.unroute("**/reading/")


def test_films_of_another_study_or_patient_are_not_listed(browse, studies):
    page = browse("radiologist")
    other = studies.prior.rstrip("/").split("/")[-1]
    page.route("**/view/films/", lambda route: route.continue_(url=route.request.url.replace(_id(studies.new), other)))
    page.goto(f"{studies.new}view/")
    expect(page.locator(".viewer").get_by_role("alert")).to_contain_text("belongs to another film")
    expect(page.locator(".pane")).to_have_count(0)


def _id(address: str) -> str:
    return address.rstrip("/").split("/")[-1]


def test_a_film_of_before_the_reading_copy_says_that_it_is_reduced(browse, studies):
    page = browse("radiologist")

    def older(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        film = body["films"][0]
        film["reading"], film["picture"] = None, f"/images/{film['id']}/"
        route.fulfill(response=answer, json=body)

    page.route("**/view/films/", older)
    page.goto(f"{studies.new}view/")
    expect(main(page).locator(".pane-reduced")).to_contain_text("8-bit display copy")
    box = page.locator(".pane canvas").first.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator(".pane-foot").first).to_contain_text("display level")


def test_no_request_leaves_the_origin(browse, studies, site):
    page = browse("radiologist")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{studies.new}view/")
    expect(main(page)).to_have_attribute("data-ready", re.compile("."))
    assert [address for address in asked if not address.startswith(site.url)] == []


@pytest.mark.parametrize("width", [1440, 390])
def test_screenshots(browse, studies, width):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page = browse("radiologist", width=width, height=900 if width > 400 else 844)
    page.goto(f"{studies.new}view/")
    expect(main(page)).to_have_attribute("data-ready", re.compile("."))
    page.screenshot(path=SCREENSHOTS / f"viewer-{width}.png")
    wide = page.evaluate(
        """() => [...document.querySelectorAll("main *")].filter((each) => each.getBoundingClientRect().right
            > innerWidth + 1 && !each.closest(".viewer-tools")).map((each) => each.outerHTML.slice(0, 80))"""
    )
    assert wide == []
    page.keyboard.press("c")
    drag(page, (0.42, 0.6), (0.57, 0.6))
    drag(page, (0.35, 0.7), (0.65, 0.7))
    page.keyboard.press("b")
    expect(prior(page)).to_have_attribute("data-ready", re.compile("."))
    page.keyboard.press("h")
    page.screenshot(path=SCREENSHOTS / f"viewer-prior-{width}.png", full_page=True)
    page.keyboard.press("?")
    page.screenshot(path=SCREENSHOTS / f"viewer-keys-{width}.png")

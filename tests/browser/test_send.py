"""The clinic's main job, as a person does it: choose the patient, send films, see what the model says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import RESULT_SECONDS, SCREENSHOTS, choose_patient
from tests.synthetic import as_dicom, as_gif, as_jpeg, as_png, synthetic_film

LATER = RESULT_SECONDS * 1000


@pytest.fixture
def film_file(tmp_path: Path):
    """A synthetic film on disk; each seed is another film."""

    def make(seed: int, name: str = "") -> Path:
        path = tmp_path / (name or f"film-{seed}.png")
        ending = path.suffix
        encode = {".png": as_png, ".jpg": as_jpeg, ".gif": as_gif, ".dcm": as_dicom}[ending]
        identity = {"patient_id": "0017", "patient_name": "VERMA^ASHA"} if ending == ".dcm" else {}
        path.write_bytes(encode(synthetic_film(seed), **identity))
        return path

    return make


def send(page: Page, *files: Path) -> None:
    page.get_by_label("Chest film").set_input_files([str(file) for file in files])
    page.locator("#send-button").click()


def expect_result(page: Page, count: int = 1) -> None:
    expect(page.locator(".film[data-progress=done] .findings")).to_have_count(count, timeout=LATER)


def test_result_appears_by_itself_on_the_page_that_sent_the_film(browse, film_file):
    page = browse("operator")
    choose_patient(page, "Asha")
    page.evaluate("window.sameDocument = true")
    send(page, film_file(101))
    film = page.locator(".film")
    expect(film).to_have_count(1)
    expect_result(page)
    expect(film.locator(".finding")).to_have_count(3)
    expect(film.locator(".finding-number").first).to_have_text(re.compile(r"^[<>]?\d+ %$"))
    expect(film.locator(".finding-foot").first).to_have_text(re.compile(r"threshold \d+ % · raw score 0\.\d{4}"))
    expect(film.locator(".finding-word").first).to_have_text(re.compile("present|likely|possible|absent"))
    expect(film.get_by_role("link", name=re.compile(r"\d+\.\d+\.\d+"))).to_be_visible()
    expect(film.locator(".mark-unread")).to_have_text("Not yet read by a radiologist")
    expect(page.locator(".film-pixels")).to_have_js_property("naturalWidth", 512)
    expect(page.locator(".upload-sent")).to_contain_text("Result ready: ")
    assert page.evaluate("window.sameDocument"), "the page was loaded again"
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=SCREENSHOTS / "result-1280.png", full_page=True)


def test_overlay_is_off_until_the_key_h_and_follows_finding_and_strength(browse, film_file):
    page = browse("operator")
    choose_patient(page, "Asha")
    send(page, film_file(102))
    expect_result(page)
    layer, button = page.locator(".film-map"), page.get_by_role("button", name="Model attention")
    expect(layer).to_be_hidden()
    page.keyboard.press("h")
    expect(layer).to_be_visible()
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(layer).not_to_have_js_property("naturalWidth", 0)
    film_box, map_box = page.evaluate(  # both in one look: the page may still be scrolling to the result
        """() => [".film-pixels", ".film-map"].map((part) => {
            const { x, y, width, height } = document.querySelector(part).getBoundingClientRect();
            return [x, y, width, height];
        })"""
    )
    assert film_box == pytest.approx(map_box, abs=1)
    first = layer.get_attribute("src")
    page.locator("[data-map-label]").select_option(index=1)
    assert layer.get_attribute("src") != first
    page.locator("[data-map-opacity]").fill("30")
    expect(layer).to_have_css("opacity", "0.3")
    page.keyboard.press("h")
    expect(layer).to_be_hidden()


def test_wrong_file_gets_its_alert_at_once_and_is_not_sent(browse, tmp_path):
    page = browse("operator")
    choose_patient(page, "Asha")
    notes = tmp_path / "notes.pdf"
    notes.write_bytes(b"%PDF-1.7")
    page.get_by_label("Chest film").set_input_files(str(notes))
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("notes.pdf")
    expect(alert).to_contain_text("Accepted: jpg, jpeg, png, gif, DICOM")
    page.locator("#file").evaluate(
        "file => file.addEventListener('invalid', () => { window.said = file.validationMessage })"
    )
    page.locator("#send-button").click()
    assert page.evaluate("window.said") == "Choose a film first."
    expect(page.locator(".film")).to_have_count(0)


def test_several_files_go_one_by_one_and_a_bad_one_harms_no_other(browse, film_file, tmp_path):
    page = browse("operator")
    choose_patient(page, "Asha")
    disguised = tmp_path / "page.png"
    disguised.write_bytes(b"<!doctype html><p>no film</p>")
    files = [film_file(103), disguised, film_file(104, "a.jpg"), film_file(105, "b.gif"), film_file(106, "c.dcm")]
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.method) if request.method == "POST" else None)
    send(page, *files)
    expect(page.locator(".upload-sent")).to_have_count(4, timeout=LATER)
    refused = page.get_by_role("alert")
    expect(refused).to_have_count(1)
    expect(refused).to_contain_text("page.png")
    expect(refused).to_contain_text("unsupported_media_type")
    expect_result(page, 4)
    assert len(requests) == 5
    studies = {link.get_attribute("href") for link in page.get_by_role("link", name="Open the study").all()}
    assert len(studies) == 1


def test_broken_link_is_retried_with_the_same_key_and_adds_one_film(browse, film_file):
    page = browse("operator")
    choose_patient(page, "Asha")
    keys: list[str] = []

    def lose_the_first_answer(route: Route) -> None:
        if route.request.method != "POST":
            return route.continue_()
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) > 1:
            return route.continue_()
        route.fetch()
        return route.fulfill(status=502, body="bad gateway")

    page.route("**/", lose_the_first_answer)
    send(page, film_file(107))
    row = page.locator(".upload")
    expect(row).to_contain_text("The link was interrupted")
    row.get_by_role("button", name="Try again").click()
    expect(page.locator(".upload-sent")).to_have_count(1)
    assert keys[0] == keys[1]
    expect(page.locator(".film")).to_have_count(1)
    expect(page.get_by_text("Already sent")).to_have_count(0)


def test_film_chosen_before_the_script_has_come_is_sent(browse, film_file):
    page = browse("operator")
    choose_patient(page, "Asha")
    scripts: list[Route] = []
    page.route("**/send*.js", lambda route: scripts.append(route) if held else route.continue_())
    held = True
    page.reload(wait_until="commit")
    page.get_by_label("Chest film").set_input_files(str(film_file(171)))
    expect(page.locator(".upload")).to_have_count(0)
    held = False
    for script in scripts:
        script.continue_()
    expect(page.locator(".upload-name")).to_contain_text("film-171.png")
    page.locator("#send-button").click()
    expect(page.locator(".film")).to_have_count(1)


def test_dropped_files_are_taken(browse, film_file):
    page = browse("operator")
    choose_patient(page, "Asha")
    content = list(film_file(108).read_bytes())
    page.evaluate(
        """bytes => {
            const moved = new DataTransfer();
            moved.items.add(new File([new Uint8Array(bytes)], "dropped.png", {type: "image/png"}));
            document.getElementById("drop").dispatchEvent(new DragEvent("drop", {dataTransfer: moved, bubbles: true}));
        }""",
        content,
    )
    expect(page.locator(".upload")).to_contain_text("dropped.png")
    page.locator("#send-button").click()
    expect(page.locator(".upload-sent")).to_have_count(1)


def test_everything_works_without_script(browse, film_file, site):
    page = browse("operator", java_script_enabled=False)
    page.goto("/")
    page.get_by_label("Patient's name or number").fill("asha")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Asha").click()
    page.get_by_label("Chest film").set_input_files(str(film_file(109)))
    page.get_by_role("button", name="Send").click()
    expect(page).to_have_url(re.compile("/studies/"))
    expect_result(page)
    map_link = page.get_by_role("link", name="Pneumonia")
    assert page.request.get(map_link.get_attribute("href")).headers["content-type"] == "image/png"

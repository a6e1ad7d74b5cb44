"""A radiologist takes a signed report out as a table, and the clinic's administrator reads of it.

Stands after the story: what is signed here within seconds shortens the head start of the clinic's urgent films there.
"""

from __future__ import annotations

import csv
import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import RESULT_SECONDS, choose_patient
from tests.browser.test_reading import picture
from tests.synthetic import as_png, synthetic_film

REASON = "For the meeting on Friday: what the model misses"


@pytest.fixture(scope="module")
def signed(chromium, site) -> None:
    """A study of today with a signed report."""
    from tests.browser.conftest import sign_in

    context = chromium.new_context(base_url=site.url)
    page = context.new_page()
    sign_in(page, "radiologist", site.passwords["radiologist"])
    choose_patient(page, "Tenzin")
    film = {"name": "film.png", "mimeType": "image/png", "buffer": as_png(synthetic_film(351))}
    page.get_by_label("Chest film").set_input_files([film])
    page.locator("#send-button").click()
    expect(page.locator(".film[data-progress=done]")).to_have_count(1, timeout=RESULT_SECONDS * 1000)
    study = page.get_by_role("link", name="Open the study").first.get_attribute("href")
    page.goto(f"{study}read/")
    undecided = page.locator("[data-undecided]")
    for left in range(undecided.count() - 1, -1, -1):
        page.keyboard.press("j")
        page.keyboard.press("a")
        expect(undecided).to_have_count(left)
    page.locator("#impression").fill("As the model says.")
    expect(page.locator(".saved-words")).to_have_text(re.compile("Saved at"))
    page.locator("#sign").click()
    expect(page).to_have_url(re.compile("/report/$"))
    context.close()


def test_a_signed_report_is_taken_out_and_stands_in_the_list(browse, signed):
    page = browse("radiologist", width=1440)
    page.goto("/films/")
    picture(page, "films-with-exports")
    page.get_by_role("link", name="Exports of reports").click()
    picture(page, "exports-form")
    page.get_by_label("What it is for").fill(REASON)
    with page.expect_download() as download:
        page.get_by_role("button", name="Export as CSV").click()
    with open(download.value.path(), encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    assert download.value.suggested_filename.startswith("reports-")
    assert {"Final"} <= {line["report status"] for line in lines} <= {"Final", "Amended"}
    assert all(line["threshold"] and line["model"] for line in lines if line["calibrated probability"])
    page.reload()
    expect(page.get_by_role("row").filter(has_text=REASON)).to_have_count(1)
    picture(page, "exports")
    page.get_by_label("Finding").select_option("hernia")
    page.get_by_label("What it is for").fill("Is there any hernia at all?")
    page.get_by_role("button", name="Export as CSV").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing to take out")
    expect(page.get_by_label("What it is for")).to_have_value("Is there any hernia at all?")
    picture(page, "exports-refused")
    administrator = browse("clinicadmin", width=1440)
    administrator.goto("/people/")
    administrator.get_by_role("link", name="Exports of reports").click()
    expect(administrator.get_by_role("row").filter(has_text=REASON)).to_have_count(1)
    expect(administrator.get_by_role("button", name="Export as CSV")).to_have_count(0)
    picture(administrator, "exports-administrator")

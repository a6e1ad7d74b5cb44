"""axe-core on the pages: nothing that keeps people from using them, at the width of a desk and of a phone."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.test_pages import addresses, read_study  # noqa: F401  a fixture

#: What axe calls these keeps somebody from using a page.
GRAVE = ("serious", "critical")
#: All its rules, those of WCAG 2 A and AA among them.
_AXE = Axe()


def faults(page: Page) -> list[str]:
    """Each grave fault of the page as it stands: the rule, and the first element that breaks it."""
    found = _AXE.run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{fault['id']}: {fault['nodes'][0]['target']} {fault['nodes'][0]['failureSummary']}"
        for fault in found
        if fault["impact"] in GRAVE
    ]


@pytest.mark.parametrize("width", [1440, 390])
def test_pages_of_the_clinic_are_accessible(browse, read_study, width):  # noqa: F811
    page = browse("operator", width=width)
    found = {}
    for name, address in addresses(page, read_study).items():
        page.goto(address)
        found[name] = faults(page)
    assert {name: each for name, each in found.items() if each} == {}


@pytest.mark.parametrize("width", [1440, 390])
def test_pages_of_the_reading_room_are_accessible(browse, studies, width):
    page = browse("radiologist", width=width)
    found = {}
    page.goto(f"{studies.new}read/")
    sentences = page.get_by_text("Language and sentences").get_attribute("href")
    pages = {
        "study": studies.new,
        "worklist": "/worklist/",
        "viewer": f"{studies.new}view/",
        "read": f"{studies.new}read/",
        "report": f"{studies.new}report/",
        "follow-up": "/follow-up/",
        "second look": "/second-look/",
        "wrong patient": "/moves/",
        "sentences": sentences,
        "numbers": "/numbers/",
        "exports of reports": "/exports/",
    }
    for name, address in pages.items():
        page.goto(address)
        if name == "viewer":
            expect(page.locator(".pane").first).to_have_attribute("data-ready", re.compile("."))
        found[name] = faults(page)
    assert {name: each for name, each in found.items() if each} == {}


def test_signing_in_is_accessible(browse):
    page = browse()
    page.goto("/accounts/login/")
    assert faults(page) == []


def test_pages_of_the_administrator_are_accessible(browse):
    page = browse("clinicadmin")
    found = {}
    for address in ("/people/", "/audit/", "/numbers/", "/retention/", "/exports/"):
        page.goto(address)
        found[address] = faults(page)
    assert {name: each for name, each in found.items() if each} == {}

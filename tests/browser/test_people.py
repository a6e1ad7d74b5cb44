"""Who belongs and who does not, in the browser: a person comes and goes; an emergency is seen on every page."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.conftest import SCREENSHOTS, sign_in

PASSWORD = "a lamp beside the window 7"


def test_a_person_is_added_signs_in_and_is_out_at_once_when_removed(browse):
    admin = browse("clinicadmin")
    admin.get_by_role("link", name="People").click()
    admin.get_by_role("link", name="Add a person").click()
    admin.get_by_label("First name").fill("Nina")
    admin.get_by_label("Username").fill("nina")
    admin.get_by_label("Clinic operator").check()
    admin.get_by_role("button", name="Add", exact=True).click()
    link = admin.get_by_label("Password link").input_value()
    admin.get_by_role("button", name="Copy").click()
    expect(admin.get_by_role("button", name=re.compile("Copied|Selected"))).to_be_visible()

    nina = browse()
    nina.goto(link)
    for field in ("password1", "password2"):
        nina.locator(f"[name={field}]").fill(PASSWORD)
    nina.get_by_role("button", name="Change Password").click()
    expect(nina.locator("[name=password1]")).to_have_count(0)
    sign_in(nina, "nina", PASSWORD)
    nina.goto("/patients/")
    expect(nina.get_by_role("link", name="Asha Verma")).to_be_visible()

    admin.get_by_role("link", name="Done").click()
    admin.get_by_text("Nina no longer works here").click()
    admin.get_by_role("button", name="End access now").click()
    expect(admin.get_by_text("has no access to Hillside Clinic any more")).to_be_visible()
    nina.reload()
    expect(nina.get_by_role("button", name="Sign in")).to_be_visible()


def test_an_emergency_is_seen_on_every_page_until_it_is_ended(browse):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page = browse("admin", width=390, height=844)
    page.goto("/emergency/")
    page.get_by_label("Clinic").select_option("Hillside Clinic")
    page.get_by_label("Reason").fill("Unconscious patient, nobody of the clinic answers.")
    page.screenshot(path=SCREENSHOTS / "emergency-phone.png", full_page=True)
    page.get_by_role("button", name="Open the records").click()
    expect(page.get_by_role("link", name="Asha Verma")).to_be_visible()
    for width, name in ((390, "phone"), (1440, "desk")):
        page.set_viewport_size({"width": width, "height": 900})
        for address in ("/patients/", "/status/", "/admin/"):
            page.goto(address)
            expect(page.get_by_text("Emergency access to Hillside Clinic").first).to_be_visible()
            page.screenshot(path=SCREENSHOTS / f"emergency-{address.strip('/')}-{name}.png")

    clinic = browse("clinicadmin")
    clinic.goto("/emergency/uses/")
    expect(clinic.get_by_text("Unconscious patient")).to_be_visible()
    clinic.screenshot(path=SCREENSHOTS / "emergency-uses.png")
    page.goto("/patients/")
    page.get_by_role("button", name="End it").click()
    expect(page.get_by_text("The emergency access is over.")).to_be_visible()
    page.goto("/patients/")
    expect(page.get_by_text("Asha Verma")).to_have_count(0)

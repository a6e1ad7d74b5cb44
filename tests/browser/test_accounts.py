"""Signing in with a passkey, and the warning before a session ends, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import SCREENSHOTS

WHO = "operator2"


@pytest.fixture
def key() -> Callable[[Page], Any]:
    """`key(page)`: the computer has a fingerprint reader that always knows the person."""

    def plug_in(page: Page) -> Any:
        devtools = page.context.new_cdp_session(page)
        devtools.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        return devtools

    return plug_in


def sign_out(page: Page) -> None:
    page.locator(".menu summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_passkey_is_set_up_signs_in_steps_up_and_is_removed(browse, key):
    page = browse(WHO)
    key(page)
    page.goto("/accounts/2fa/webauthn/add/")
    page.get_by_label("Passwordless").check()
    page.screenshot(path=SCREENSHOTS / "passkey-add.png")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("heading", name="Recovery Codes")).to_be_visible()
    page.goto("/")
    sign_out(page)

    page.get_by_role("button", name="Use a passkey").click()
    expect(page.locator(".menu")).to_contain_text(WHO.title())

    page.goto("/accounts/2fa/webauthn/")
    page.screenshot(path=SCREENSHOTS / "passkeys.png")
    page.get_by_role("link", name="Remove").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("No security keys have been added.")).to_be_visible()


@pytest.mark.parametrize("width", [1440, 390])
def test_a_minute_before_the_end_a_click_stays_signed_in(browse, width):
    page = browse("operator", width=width, height=844)
    page.clock.install()
    state = {"seconds": 45, "renewable": True}
    page.route(
        "**/accounts/session/",
        lambda route: route.fulfill(json=state) if route.request.method == "GET" else route.continue_(),
    )
    page.goto("/films/")
    warning = page.locator("#session-warning")
    expect(warning).to_be_hidden()
    page.clock.fast_forward(14 * 60 * 1000 + 1000)
    expect(warning).to_contain_text("signed out in less than a minute")
    page.screenshot(path=SCREENSHOTS / f"session-warning-{width}.png")
    page.get_by_role("button", name="Stay signed in").click()
    expect(warning).to_be_hidden()


def test_a_page_left_open_ends_on_the_sign_in_page_which_says_why_and_returns(browse, site):
    page = browse("operator")
    page.clock.install()
    page.goto("/about/?from=here")
    page.context.clear_cookies()  # what the server does after fifteen minutes: nobody is signed in
    page.clock.fast_forward(14 * 60 * 1000 + 1000)
    expect(page.get_by_text("signed out because nothing was done")).to_be_visible()
    page.screenshot(path=SCREENSHOTS / "signed-out.png")
    page.get_by_label("Username").fill("operator")
    page.get_by_label("Password").fill(site.passwords["operator"])
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page).to_have_url(f"{site.url}/about/?from=here")

"""The real application in a real browser: `manage.py up` with its own data folder, and headless Chromium.

Without Chromium these tests are skipped and say so, except where CI is set: there they fail.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "var" / "screenshots"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
#: What Chromium and htmx print when an answer is no 2xx or does not come.
LINK_TROUBLE = ("Failed to load resource", "htmx:afterRequest", "htmx:sendError", "Response Status Error Code")
LOG = ROOT / "var" / "browser-site.log"
START_SECONDS = 180
RESULT_SECONDS = 60
#: A first load needs the workers' models, a slow machine needs patience; what is awaited is always a condition.
expect.set_options(timeout=20_000)


class Site(NamedTuple):
    """The running application and the people who may sign in."""

    url: str
    passwords: dict[str, str]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """`manage.py up` on a free port until the last browser test has ended."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is not installed: apt-get install chromium")
        pytest.skip("Chromium is not installed, so the pages were not tried in a browser")
    folder = tmp_path_factory.mktemp("site")
    port = _free_port()
    LOG.parent.mkdir(exist_ok=True)
    with LOG.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "up"], env=_environment(folder, port), stdout=log, stderr=log
        )
        try:
            address = f"http://localhost:{port}"
            _wait_until_it_answers(address, process)
            lines = (folder / "demo-passwords.txt").read_text().splitlines()
            yield Site(address, dict(line.split() for line in lines))
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


def _environment(folder: Path, port: int) -> dict[str, str]:
    """This process's environment without the tests' settings and servers."""
    own = {"DJANGO_SETTINGS_MODULE", "DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL"}
    given = {name: value for name, value in os.environ.items() if name not in own}
    return given | {"VAR_DIR": str(folder), "PORT": str(port)}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_until_it_answers(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/livez", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    pytest.fail("the site did not start:\n" + "\n".join(LOG.read_text().splitlines()[-30:]))


@pytest.fixture(scope="package")
def chromium(site: Site) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


class Complaints(list[str]):
    """What the browser complained about. An answer that is no 2xx is the test's business, and no complaint."""

    def listen(self, context: BrowserContext) -> None:
        context.on("console", self._console)
        context.on("weberror", lambda error: self.append(str(error.error)))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(LINK_TROUBLE):
            self.append(message.text)


@pytest.fixture
def browse(chromium: Browser, site: Site) -> Iterator[Callable[..., Page]]:
    """`browse("operator", width=390)`: a page of a fresh browser, signed in; no complaint may remain at the end."""
    complaints = Complaints()
    contexts: list[BrowserContext] = []

    def start(who: str = "", *, width: int = 1280, height: int = 900, **options: object) -> Page:
        context = chromium.new_context(base_url=site.url, viewport={"width": width, "height": height}, **options)
        complaints.listen(context)
        contexts.append(context)
        page = context.new_page()
        if who:
            sign_in(page, who, site.passwords[who])
        return page

    yield start
    for context in contexts:
        context.close()
    assert complaints == []


def sign_in(page: Page, who: str, password: str) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("Username").fill(who)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.locator(".menu")).to_be_visible()


def choose_patient(page: Page, name: str) -> None:
    """From anywhere to the form that sends films for this patient."""
    page.goto("/")
    page.get_by_label("Patient's name or number").press_sequentially(name[:4])
    page.get_by_role("link", name=name).click()
    expect(page.locator(".patient-strip")).to_contain_text(name)

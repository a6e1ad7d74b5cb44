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

from tests.site.prepared import cluster_copy
from tests.synthetic import as_dicom, synthetic_film

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
RESULT_SECONDS = 150
#: A first load needs the workers' models, a slow machine needs patience; what is awaited is always a condition.
expect.set_options(timeout=60_000)


class Site(NamedTuple):
    """The running application and the people who may sign in."""

    url: str
    passwords: dict[str, str]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """`manage.py up` on a free port until the last browser test has ended."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is not installed: apt-get install chromium")
        pytest.skip("Chromium is not installed, so the pages were not tried in a browser")
    folder = tmp_path_factory.mktemp("site")
    cluster_copy(folder)
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
            with urllib.request.urlopen(f"{address}/livez", timeout=20):
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
        # Nothing glides or fades: what a test looks at is where it will stay.
        still = {"viewport": {"width": width, "height": height}, "reduced_motion": "reduce"}
        context = chromium.new_context(base_url=site.url, **still, **options)
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


_VERMA = {"patient_id": "0017", "patient_name": "VERMA^ASHA"}
#: What the two films of `studies` say of themselves.
_PRIOR = {"photometric": "MONOCHROME1", "bits": 10, "StudyDate": "20250101", "AcquisitionDate": "20250101"}
_NEW = {"bits": 16, "window": (30000, 50000), "ImagerPixelSpacing": [0.2, 0.2]}
_NEW |= {"StudyDate": "20260601", "AcquisitionDate": "20260601"}


class Studies(NamedTuple):
    """Addresses of two studies of one patient, and their DICOM files: the prior a negative of 10 bits, the newer one of
    16 bits with a window and the size of its pixels."""

    prior: str
    new: str
    prior_file: bytes
    new_file: bytes


@pytest.fixture(scope="package")
def studies(chromium, site) -> Studies:
    """Sent by the radiologist, and prepared; whoever needs the model's answer waits for it."""
    prior = as_dicom(synthetic_film(301, (900, 1000)), **_VERMA, **_PRIOR)
    new = as_dicom(synthetic_film(302, (900, 1000)), **_VERMA, **_NEW)
    context = chromium.new_context(base_url=site.url)
    page = context.new_page()
    sign_in(page, "radiologist", site.passwords["radiologist"])
    addresses = [_sent(page, content) for content in (prior, new)]
    context.close()
    return Studies(*addresses, prior, new)


def _sent(page: Page, content: bytes) -> str:
    choose_patient(page, "Asha")
    page.get_by_label("Chest film").set_input_files(
        {"name": "film.dcm", "mimeType": "application/dicom", "buffer": content}
    )
    page.locator("#send-button").click()
    expect(page.locator(".film-pixels")).to_have_count(1, timeout=RESULT_SECONDS * 1000)
    address = page.get_by_role("link", name="Open the study").first.get_attribute("href")
    assert address
    return address

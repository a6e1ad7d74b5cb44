"""schemathesis asks the running site what its OpenAPI description allows, forbids and links, with every check.

`FUZZ_SECONDS` (30) is the time for asking; `make fuzz` gives it longer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from string import Template
from typing import Any

import pytest

from tests.site.prepared import cluster_copy
from tests.site.running import ROOT, Site, free_port, wait_until
from tests.synthetic import as_png, synthetic_film

SECONDS = int(os.environ.get("FUZZ_SECONDS", "30"))
SEED = int(os.environ.get("FUZZ_SEED", "0"))
pytestmark = [pytest.mark.workers, pytest.mark.timeout(SECONDS + 300)]

#: A person with every role at the first clinic, so that no role's refusal hides what lies behind it.
MAKE_TOKEN = """
from knox.models import AuthToken
from patients.models import Clinic, Membership, Role, User
user = User.objects.create(username="everything")
for role in Role.of_people():
    Membership.objects.create(user=user, clinic=Clinic.objects.get(code="hillside"), role=role)
print("TOKEN", AuthToken.objects.create(user)[1])
"""
#: The folder of an address → the list in which its ids stand.
LISTS = ("patients", "studies", "radiographs", "jobs", "predictions", "reports", "model-versions")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    generous = ";".join(f"{limit}=1000000" for limit in ("visitor", "person", "token", "upload", "search"))
    folder = tmp_path_factory.mktemp("fuzz") / "var"
    cluster_copy(folder)
    running = Site(folder, free_port(), RATE_LIMITS=generous)
    try:
        running.wait_until_ready(180)
        yield running
    finally:
        running.kill_all()


@pytest.fixture(scope="module")
def token(site: Site) -> str:
    answer = site.manage("shell", "-v", "0", "-c", MAKE_TOKEN)
    assert "TOKEN" in answer.stdout, answer.stderr
    return answer.stdout.split()[-1]


def ask(site: Site, token: str, path: str, **options: Any) -> Any:
    request = urllib.request.Request(f"http://127.0.0.1:{site.port}/api/v1/{path}", **options)
    request.add_header("Authorization", f"Token {token}")
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def film_send(site: Site, token: str, patient: str) -> None:
    """One film, so that every list has a row."""
    edge = uuid.uuid4().hex
    body = (
        (
            f'--{edge}\r\nContent-Disposition: form-data; name="patient"\r\n\r\n{patient}\r\n'
            f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="film.png"\r\n'
            "Content-Type: image/png\r\n\r\n"
        ).encode()
        + as_png(synthetic_film(seed=3))
        + f"\r\n--{edge}--\r\n".encode()
    )
    headers = {"Content-Type": f"multipart/form-data; boundary={edge}", "Idempotency-Key": edge}
    ask(site, token, "studies/", data=body, headers=headers)


@pytest.fixture(scope="module")
def configuration(site: Site, token: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """schemathesis's configuration, with ids that exist among those it invents."""
    patient = ask(site, token, "patients/")["results"][0]["id"]
    film_send(site, token, patient)
    with suppress(AssertionError):  # on a machine that is too slow the film is asked for while it waits
        wait_until(lambda: ask(site, token, "predictions/")["results"], 180)
    study = ask(site, token, "studies/")["results"][0]["id"]
    ask(
        site,
        token,
        "reports/",
        data=json.dumps({"study": study}).encode(),
        headers={"Content-Type": "application/json"},
    )
    dictionaries, operations = [], []
    for name in LISTS:
        ids = [row["id"] for row in ask(site, token, f"{name}/")["results"]]
        if not ids:
            continue
        dictionaries.append(f"[dictionaries.{name}]\nvalues = {json.dumps(ids)}\n")
        operations.append(
            f'[[operations]]\ninclude-path-regex = "^/api/v1/{name}/.id./"\n'
            f'parameters = {{ "path.id" = {{ dictionary = "{name}", probability = 0.6 }} }}\n'
        )
    operations.append(
        '[[operations]]\ninclude-path-regex = "^/api/v1/worklist/.id./"\n'
        'parameters = { "path.id" = { dictionary = "studies", probability = 0.6 } }\n'
    )
    operations.append(
        '[[operations]]\ninclude-name = "POST /api/v1/studies/"\n'
        'parameters = { "body.patient" = { dictionary = "patients", probability = 0.8 } }\n'
    )
    operations.append(
        '[[operations]]\ninclude-path-regex = "^/api/v1/(reports|first-impressions)/$"\n'
        'parameters = { "body.study" = { dictionary = "studies", probability = 0.8 } }\n'
    )
    text = Template((ROOT / "tests/fuzz/schemathesis.toml").read_text()).substitute(
        seed=SEED, token=token, dictionaries="\n".join(dictionaries), operations="\n".join(operations)
    )
    path = tmp_path_factory.mktemp("schemathesis") / "schemathesis.toml"
    path.write_text(text)
    return path


def test_no_request_breaks_what_the_description_says(site: Site, configuration: Path, tmp_path: Path) -> None:
    outcome = subprocess.run(
        [
            str(Path(sys.executable).parent / "schemathesis"),
            *("--config-file", str(configuration)),
            *("run", f"http://127.0.0.1:{site.port}/api/v1/schema/?format=json"),
            *("--checks", "all", "--max-time", str(SECONDS), "--wait-for-schema", "30", "--no-color"),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=SECONDS + 240,
        check=False,
    )
    print(outcome.stdout)
    assert outcome.returncode == 0, outcome.stdout[-6000:] + outcome.stderr[-2000:]
    assert "0 selected" not in outcome.stdout


def test_nothing_that_was_asked_met_a_fault(site: Site) -> None:
    """Runs after the one above: what the site wrote while it was asked."""
    assert " met a fault" not in site.output

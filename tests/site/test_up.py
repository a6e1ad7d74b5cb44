"""`manage.py up` as a real process tree: starts, heals, stops everything it started, keeps the data."""

from __future__ import annotations

import signal
import socket
import urllib.request
from collections.abc import Iterator

import psutil
import pytest

from tests.site.running import Site, alive, free_port, wait_until

pytestmark = [pytest.mark.workers, pytest.mark.timeout(150)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One running site for the tests of this file that leave it running."""
    running = Site(tmp_path_factory.mktemp("up") / "var", free_port())
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.kill_all()


def answer(site: Site, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{site.port}{path}", timeout=60) as response:
        return str(response.read().decode())


def killed_and_back(site: Site, *words: str) -> None:
    """Kill -9 the first process with these words in its command line; another one takes its place."""
    wait_until(lambda: site.find(*words), what=f"{words} runs")
    before = site.find(*words)
    before[0].kill()
    wait_until(lambda: [each for each in site.find(*words) if each not in before], what=f"{words} is back")


def test_site_answers_on_its_port_and_every_process_runs(site: Site) -> None:
    assert answer(site, "/livez") == "ok\n"
    assert '"database": true' in answer(site, "/readyz")
    for words in (
        ("gunicorn",),
        ("-Q prepare",),
        ("-Q infer",),
        ("manage.py sweeper",),
        ("bin/postgres",),
        ("redis-server",),
    ):
        wait_until(lambda words=words: site.find(*words), what=f"{words} runs")


def test_passwords_are_printed_for_every_role(site: Site) -> None:
    for name in ("operator", "radiographer", "radiologist", "doctor", "clinicadmin", "admin"):
        assert f"\n    {name} " in site.output


def test_lines_carry_the_name_of_their_process(site: Site) -> None:
    wait_until(lambda: "infer-worker   | " in site.output)
    assert "web            | " in site.output


@pytest.mark.parametrize("words", [("-Q infer",), ("-Q prepare",), ("manage.py sweeper",), ("gunicorn",)], ids=" ".join)
def test_killed_process_is_started_again(site: Site, words: tuple[str, ...]) -> None:
    killed_and_back(site, *words)
    assert "ended (signal SIGKILL); starting it again" in site.output


@pytest.mark.parametrize("words", [("bin/postgres",), ("redis-server",), ("cxrsite.keeper", "postgres")], ids=" ".join)
def test_killed_server_or_keeper_is_started_again(site: Site, words: tuple[str, ...]) -> None:
    killed_and_back(site, *words)
    wait_until(lambda: site.find("bin/postgres"))
    wait_until(lambda: site.manage("issue_token", "operator").returncode == 0, what="the database answers")


def test_command_beside_a_running_site_uses_its_servers_and_leaves_them_running(site: Site) -> None:
    servers = site.find("bin/postgres") + site.find("redis-server")
    outcome = site.manage("issue_token", "operator")
    assert outcome.returncode == 0, outcome.stderr
    assert len(outcome.stdout.split()) == 1
    assert alive(servers) == servers


def test_second_start_in_the_same_folder_is_refused_in_words(site: Site) -> None:
    outcome = site.manage("up")
    assert outcome.returncode == 1
    assert "The site already runs" in outcome.stderr
    assert answer(site, "/livez") == "ok\n"


def test_ctrl_c_leaves_no_process_and_a_second_start_keeps_the_data(site: Site) -> None:
    wait_until(lambda: site.find("-Q infer"))
    passwords = (site.var_dir / "demo-passwords.txt").read_text()
    tree = site.tree()
    site.process.send_signal(signal.SIGINT)
    assert site.process.wait(120) == 0, site.output
    assert alive(tree) == []

    again = Site(site.var_dir, site.port)
    try:
        again.wait_until_ready()
        assert "Making demo clinics" not in again.output
        assert (site.var_dir / "demo-passwords.txt").read_text() == passwords
        assert again.manage("issue_token", "operator").returncode == 0

        tree = again.tree()
        again.process.kill()
        psutil.wait_procs(tree, timeout=45)
        assert alive(tree) == [], "nothing outlives kill -9 of up"
    finally:
        again.kill_all()


def test_taken_port_is_refused_in_words(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        site.port = other.getsockname()[1]
        outcome = site.manage("up")
    assert outcome.returncode == 1
    assert f"Port {site.port} cannot be used" in outcome.stderr
    assert "PORT=" in outcome.stderr

"""The embedded servers live exactly as long as somebody uses them, whatever dies."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.site.running import ROOT, alive, environment, wait_until

USE = "from cxrsite import embedded; print(embedded.{server}.ensure(), flush=True); input()"


class User:
    """A process that uses an embedded server until told to leave."""

    def __init__(self, var_dir: Path, server: str) -> None:
        self.pid_file = var_dir / "servers" / f"{server.lower()}.pid"
        self.process = subprocess.Popen(
            [sys.executable, "-c", USE.format(server=server)],
            cwd=ROOT,
            env=environment(var_dir),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url

    def server(self) -> psutil.Process:
        return psutil.Process(int(self.pid_file.read_text().split()[0]))

    def leave(self) -> None:
        self.process.communicate("\n", timeout=20)


@pytest.fixture(scope="module")
def var_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("embedded") / "var"


@pytest.fixture
def user(var_dir: Path) -> Iterator[Callable[[str], User]]:
    users: list[User] = []

    def start(server: str) -> User:
        users.append(User(var_dir, server))
        return users[-1]

    yield start
    servers = []
    for each in users:
        with suppress(OSError, psutil.NoSuchProcess):
            servers.append(each.server())
        each.process.kill()
        each.process.wait()
    wait_until(lambda: not alive(servers), what="servers stop after their last user")


def sql(user: User, statement: str) -> list[tuple[object, ...]]:
    import psycopg2

    connection = psycopg2.connect(user.url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(statement)
        rows = cursor.fetchall() if cursor.description else []
    connection.close()
    return rows


def test_two_users_share_one_server_and_the_first_to_leave_does_not_stop_it(user: Callable[[str], User]) -> None:
    first, second = user("POSTGRES"), user("POSTGRES")
    assert first.url == second.url
    server = first.server()
    first.leave()
    assert second.server() == server
    assert sql(second, "SELECT 1") == [(1,)]


def test_kill_of_the_last_user_stops_the_server(user: Callable[[str], User]) -> None:
    only = user("REDIS")
    server = only.server()
    only.process.kill()
    wait_until(lambda: not alive([server]))


def test_killed_server_comes_back_at_the_same_address_with_its_data(user: Callable[[str], User]) -> None:
    only = user("POSTGRES")
    sql(only, "CREATE TABLE IF NOT EXISTS kept (n int); INSERT INTO kept VALUES (1)")
    before = only.server()
    before.kill()

    def answers() -> bool:
        with suppress(Exception):
            return only.server() != before and bool(sql(only, "SELECT n FROM kept"))
        return False

    wait_until(answers)


def test_killed_keeper_takes_its_server_along_and_the_next_user_starts_anew(user: Callable[[str], User]) -> None:
    first = user("POSTGRES")
    server = first.server()
    keeper = server.parent()
    assert keeper is not None
    keeper.kill()
    second = user("POSTGRES")
    wait_until(lambda: not alive([server]))
    assert sql(second, "SELECT 1") == [(1,)]


def test_sockets_are_private_and_work_from_a_folder_too_deep_for_unix(tmp_path: Path) -> None:
    deep = tmp_path / ("a-folder-with-a-long-name-" * 4) / "var"
    only = User(deep, "REDIS")
    try:
        folder = Path(only.url.removeprefix("redis+socket://")).parent
        assert not folder.is_relative_to(deep)
        assert folder.stat().st_mode & 0o077 == 0
    finally:
        server = only.server()
        only.leave()
        wait_until(lambda: not alive([server]))


def test_server_that_cannot_start_is_reported_with_its_log(tmp_path: Path) -> None:
    (tmp_path / "var" / "postgres").mkdir(parents=True)
    (tmp_path / "var" / "postgres" / "PG_VERSION").write_text("7\n")
    outcome = subprocess.run(
        [sys.executable, "-c", USE.format(server="POSTGRES")],
        cwd=ROOT,
        env=environment(tmp_path / "var"),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert outcome.returncode == 1
    assert "PostgreSQL did not start. Its log says why: " in outcome.stderr.splitlines()[-1]


def test_the_login_of_the_application_is_there_before_anything_was_set_up(user: Callable[[str], User]) -> None:
    (found,) = sql(user("POSTGRES"), "SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = 'cxr_app'")
    assert found == (False, False)

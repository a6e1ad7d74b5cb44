"""Production refuses what is unsafe; every variable is explained; compose and `up` start the same programs."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cxrsite.processes import PROCESSES

ROOT = Path(__file__).resolve().parents[2]
COMPLETE = {
    "SECRET_KEY": "".join(f"{n:02x}" for n in range(7, 71)),
    "DATABASE_URL": "postgres://cxr:secret@127.0.0.1:1/cxr",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "ALLOWED_HOSTS": "xray.example.org",
}
_COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
KUBERNETES: list[dict[str, Any]] = list(yaml.safe_load_all((ROOT / "docs/deploy/kubernetes.yaml").read_text()))
COMPOSE, SITE = _COMPOSE["services"], _COMPOSE["x-site"]


def python(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Python with production settings and nothing in the environment but what is given."""
    base = {name: os.environ[name] for name in ("PATH", "HOME", "VAR_DIR", "LANG") if name in os.environ}
    empty = dict.fromkeys([*COMPLETE, "DATABASE_OWNER_URL", "CSRF_TRUSTED_ORIGINS"], "")
    return subprocess.run(
        [sys.executable, *args],
        cwd=ROOT,
        env={**base, **empty, "DJANGO_SETTINGS_MODULE": "cxrsite.settings.production", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def production_value(name: str, **environment: str) -> str:
    code = f"from cxrsite.settings import production; print(production.{name})"
    return python("-c", code, **COMPLETE, **environment).stdout.strip()


@pytest.mark.parametrize("missing", COMPLETE)
def test_production_refuses_to_start_and_names_the_missing_variable(missing: str) -> None:
    outcome = python("manage.py", "check", **{**COMPLETE, missing: ""})
    assert outcome.returncode != 0
    last = outcome.stderr.strip().splitlines()[-1]
    assert f"{missing}: " in last
    assert not any(f"{other}: " in last for other in COMPLETE if other != missing)


def test_deployment_check_has_no_warning() -> None:
    outcome = python("manage.py", "check", "--deploy", "--fail-level", "INFO", **COMPLETE)
    assert outcome.returncode == 0, outcome.stderr
    assert "no issues" in outcome.stdout


def test_second_factor_is_obligatory_in_production_unless_turned_off() -> None:
    assert production_value("MFA_REQUIRED") == "True"
    assert production_value("MFA_REQUIRED", MFA_REQUIRED="off") == "False"


def test_production_cookies_cannot_be_set_from_elsewhere() -> None:
    assert production_value("SESSION_COOKIE_NAME") == "__Host-sessionid"
    assert production_value("CSRF_COOKIE_NAME") == "__Host-csrftoken"


def test_env_example_explains_exactly_the_variables_that_are_read() -> None:
    source = (ROOT / "cxrsite/settings/env.py").read_text()
    read = {
        node.args[0].value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and node.args and ast.unparse(node.func).startswith("_env.")
        if isinstance(node.args[0], ast.Constant)
    }
    compose_only = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text())) - read
    example = (ROOT / ".env.example").read_text()
    assert set(re.findall(r"^(\w+)=", example, re.MULTILINE)) == read | compose_only
    for block in example.split("\n\n")[1:]:
        assert block.startswith("#"), f"not explained: {block}"


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.name)
def test_compose_runs_the_commands_of_up(process: Any) -> None:
    service = COMPOSE[process.name]
    assert tuple(service["command"]) == process.command
    assert service["environment"] == {**SITE["environment"], **process.environment}


@pytest.mark.parametrize("name", [name for name in COMPOSE if name not in ("setup", "postgres")])
def test_only_set_up_is_given_the_owner_of_the_tables(name: str) -> None:
    told = {**(SITE if "environment" not in COMPOSE[name] else COMPOSE[name])["environment"]}
    assert not [value for value in told.values() if "POSTGRES_PASSWORD" in value]
    assert "POSTGRES_PASSWORD" in COMPOSE["setup"]["environment"]["DATABASE_OWNER_URL"]


def test_compose_runs_the_gpu_worker_with_the_command_of_the_cpu_worker() -> None:
    assert COMPOSE["infer-worker-gpu"]["command"] == COMPOSE["infer-worker"]["command"]
    assert COMPOSE["infer-worker-gpu"]["environment"] == COMPOSE["infer-worker"]["environment"]


@pytest.mark.parametrize("name", [name for name in COMPOSE if name != "setup"])
def test_every_service_of_compose_comes_back_after_a_crash(name: str) -> None:
    assert COMPOSE[name]["restart"] == "always"


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.name)
def test_kubernetes_runs_the_commands_of_up(process: Any) -> None:
    (pod,) = (one["spec"]["template"]["spec"] for one in KUBERNETES if one["metadata"]["name"] == process.name
              and one["kind"] == "Deployment")  # fmt: skip
    (container,) = pod["containers"]
    assert tuple(container["command"]) == process.command
    assert {each["name"]: each["value"] for each in container["env"]} == process.environment


def test_kubernetes_adds_workers_by_the_length_of_their_queue() -> None:
    scaled = {one["spec"]["scaleTargetRef"]["name"]: one for one in KUBERNETES if one["kind"] == "ScaledObject"}
    assert set(scaled) == {process.name for process in PROCESSES if process.name.endswith("-worker")}
    for name, one in scaled.items():
        (trigger,) = one["spec"]["triggers"]
        assert trigger["metadata"]["query"] == f'max(cxr_jobs_queued{{kind="{name.removesuffix("-worker")}"}})'


def test_nginx_lets_through_what_the_site_accepts() -> None:
    limit = re.search(r"client_max_body_size (\d+)m;", (ROOT / "docs/deploy/nginx.conf").read_text())
    accepted = re.search(r"^MAX_UPLOAD_MB=(\d+)", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert limit
    assert accepted
    # nginx counts in 1,048,576 bytes, the site in millions: the site's own refusal must be the one that people meet.
    assert int(accepted[1]) * 1_000_000 < int(limit[1]) * 1_048_576 < int(accepted[1]) * 1_000_000 * 1.1

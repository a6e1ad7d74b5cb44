"""`make scan`: a secret is found, a check that was not made is not called passed, the bill lists what runs."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCAN = ROOT / ".ci" / "scan"


@pytest.fixture
def scan() -> ModuleType:
    loader = SourceFileLoader("scan", str(SCAN))
    spec = spec_from_loader("scan", loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def secrets_in(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCAN), f"secrets={folder}"], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_planted_secret_is_found_and_not_printed(tmp_path):
    planted = "AKIA" + "Q7WZ3XK5PLM2VN8B"  # in two pieces, so that this file holds none
    (tmp_path / "settings.py").write_text(f'import os\n\nAWS_KEY = "{planted}"\n')
    done = secrets_in(tmp_path)
    assert done.returncode == 1
    assert "settings.py:3" in done.stdout
    assert planted not in done.stdout + done.stderr


def test_a_tree_without_secrets_passes(tmp_path):
    (tmp_path / "settings.py").write_text("import os\n\nKEY = os.environ['KEY']\n")
    assert secrets_in(tmp_path).returncode == 0


def answer(text: str, error: str = "") -> Any:
    return lambda *command, **how: subprocess.CompletedProcess(command, 0, stdout=text, stderr=error)


def test_advisories_that_cannot_be_looked_up_are_loudly_not_checked(scan, monkeypatch, capsys):
    packages = [{"name": "django", "skip_reason": "Dependency not found on PyPI"}]
    for text, error in ((json.dumps({"dependencies": packages}), ""), ("", "ConnectionError: no way there")):
        monkeypatch.setattr(scan, "run", answer(text, error))
        assert scan.advisories()
        assert "ADVISORIES NOT CHECKED" in capsys.readouterr().out


def test_a_published_hole_fails_the_scan_unless_it_is_accepted(scan, monkeypatch, capsys):
    hole = {"id": "PYSEC-2026-1", "aliases": ["CVE-2026-1"], "fix_versions": ["9.9"]}
    packages = [{"name": "django", "version": "5.2", "vulns": [hole]}]
    monkeypatch.setattr(scan, "run", answer(json.dumps({"dependencies": packages})))
    assert not scan.advisories()
    assert "django 5.2: PYSEC-2026-1, fixed in 9.9" in capsys.readouterr().out
    monkeypatch.setattr(scan, "ADVISORIES_ACCEPTED", frozenset({"CVE-2026-1"}))
    assert scan.advisories()


def test_the_bill_of_materials_lists_what_runs_with_all_it_needs_and_no_tool(scan):
    running = scan.runtime()
    assert {"django", "celery", "kombu", "tensorflow", "qrcode", "psycopg2-binary"} <= running
    assert not {"pytest", "bandit", "schemathesis"} & running


def test_what_is_accepted_is_explained():
    """Every secret-like line and every kind of finding that is left out has its row in docs/security.md."""
    explained = (ROOT / "docs" / "security.md").read_text()
    known = json.loads((ROOT / ".secrets.baseline").read_text())["results"]
    assert [name for name in known if f"`{name}`" not in explained] == []
    lines = [line for line in (ROOT / "pyproject.toml").read_text().splitlines() if line.startswith("skips = ")]
    kinds = json.loads(lines[0].removeprefix("skips = "))
    assert [kind for kind in kinds if kind not in explained] == []

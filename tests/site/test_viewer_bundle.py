"""The script of the viewer that is committed is the one that its sources build."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "static" / "viewer" / "viewer.js"
NEWEST_ENOUGH = (20, 19)
#: Every page of the clinic loads on a slow line; the viewer is one file, whole.
MOST_BYTES = 80_000


def node() -> tuple[int, ...]:
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("npm is not installed, so the viewer's script was not built anew and compared")
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in said.strip().lstrip("v").split(".")[:2])


def test_committed_bundle_is_what_the_sources_build(tmp_path):
    if node() < NEWEST_ENOUGH:
        pytest.skip("Node is older than 20.19, so the viewer's script was not built anew and compared")
    shutil.copytree(ROOT / "frontend", tmp_path / "frontend", ignore=shutil.ignore_patterns("node_modules"))
    environment = os.environ | {"npm_config_cache": str(tmp_path / "cache"), "NO_COLOR": "1"}
    for command in (["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], ["npm", "run", "build"]):
        done = subprocess.run(
            command, cwd=tmp_path / "frontend", env=environment, capture_output=True, text=True, timeout=100
        )
        assert done.returncode == 0, done.stdout + done.stderr
    built = (tmp_path / "static" / "viewer" / "viewer.js").read_bytes()
    assert built == BUNDLE.read_bytes(), "frontend/ has changed: run `make viewer` and commit static/viewer"


def test_bundle_is_one_small_file_that_the_policy_lets_run():
    assert [path.name for path in BUNDLE.parent.iterdir()] == ["viewer.js"]
    script = BUNDLE.read_text()
    assert len(script) <= MOST_BYTES
    assert not [
        word for word in ("eval(", "new Function", "new Worker", "WebAssembly", "http://", "https://") if word in script
    ]

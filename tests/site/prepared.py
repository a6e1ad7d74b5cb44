"""A PostgreSQL cluster with every migration applied, which sites of tests start from: migrating takes half a minute.

`test_up` starts from nothing, as a first `make run` does. May import: `tests.site.running`, no Django.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from tests.site.running import ROOT, environment, wait_until

VAR = ROOT / "var"


def migrations_digest() -> str:
    """Stands for the state of all migrations: ours by their text, the others by their versions."""
    digest = hashlib.sha256((ROOT / "requirements-edge.txt").read_bytes())
    for path in sorted(ROOT.glob("*/migrations/*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def cluster_copy(var_dir: Path) -> None:
    """Put a copy where a site with this VAR_DIR has its PostgreSQL. The first who asks makes it; it is kept under `var`
    until a migration changes."""
    VAR.mkdir(exist_ok=True)
    prepared = VAR / f"prepared-{migrations_digest()}"
    with (VAR / "prepared.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not prepared.exists():
            for old in VAR.glob("prepared-*"):
                shutil.rmtree(old)
            _make(prepared)
    var_dir.mkdir(exist_ok=True)
    subprocess.run(["cp", "-a", str(prepared / "postgres"), str(var_dir / "postgres")], check=True)


def _make(prepared: Path) -> None:
    draft = VAR / "prepared.new"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(command, cwd=ROOT, env=environment(draft), check=True)
    wait_until(lambda: not (draft / "servers" / "postgres.pid").exists(), what="PostgreSQL has stopped")
    draft.rename(prepared)

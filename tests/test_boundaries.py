"""The rules of the architecture, held by reading the code: who imports whom, file sizes, what the web never loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("cxrsite", "diagnosis", "patients", "mlcore")
LONGEST_FILE = 420
HEAVY = ("tensorflow", "keras", "openvino", "torch", "jax")

#: package → project packages that it may import besides itself
MAY_IMPORT = {
    "cxrsite": {"diagnosis", "patients", "mlcore"},
    "diagnosis": {"patients", "mlcore"},
    "patients": set(),
    "mlcore": set(),
}
#: Where an app needs the wiring's one definition rather than a copy of it.
WIRING_FOR_APPS = ("cxrsite.api", "cxrsite.problems", "cxrsite.celery")

#: how high each layer of an app lies; a layer imports only lower ones
ORDER = {"models": 0, "selectors": 1, "services": 2, "tasks": 3, "api": 3, "views": 3, "admin": 3}
#: pictures leave through one permission-checked, audited function, whoever asks
SHARED = ("api", "views")


def files() -> list[Path]:
    return sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py") if "migrations" not in path.parts)


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """(dotted name, at module level?) of every import that runs; those for type checking alone do not count."""
    tree = ast.parse(path.read_text())
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    top = {inner for node in tree.body for inner in ([node] if not isinstance(node, ast.If | ast.Try) else node.body)}
    for node in ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((f"{node.module}.{alias.name}", node in top) for alias in node.names)


def height(parts: tuple[str, ...]) -> int | None:
    """How high a module of an app lies; None for modules outside the layers (forms, storage, wording …)."""
    return ORDER.get(parts[1].removesuffix(".py")) if len(parts) > 1 else None


def test_packages_import_one_way() -> None:
    wrong = []
    for path in files():
        package = path.relative_to(ROOT).parts[0]
        for name, _ in imports(path):
            target = name.split(".")[0]
            wired = package != "mlcore" and name.startswith(WIRING_FOR_APPS)
            if target in PACKAGES and target not in {package, *MAY_IMPORT[package]} and not wired:
                wrong.append(f"{label(path)} imports {name}")
    assert not wrong


def test_mlcore_imports_no_django() -> None:
    web = ("django", "rest_framework", "celery")
    assert not [
        f"{label(path)} imports {name}"
        for path in files()
        if path.is_relative_to(ROOT / "mlcore")
        for name, _ in imports(path)
        if name.split(".")[0] in web
    ]


@pytest.mark.parametrize("app", ["diagnosis", "patients"])
def test_layers_of_an_app_import_downwards(app: str) -> None:
    wrong = []
    for path in files():
        parts = path.relative_to(ROOT).parts
        own = height(parts) if parts[0] == app else None
        for name, _ in imports(path) if own is not None else ():
            target = height(tuple(name.split("."))) if name.startswith(f"{app}.") else None
            pair = (parts[1].removesuffix(".py"), name.split(".")[1] if "." in name else "")
            if target is not None and target >= own and pair[0] != pair[1] and pair != SHARED:
                wrong.append(f"{label(path)} imports {name}")
    assert not wrong


def test_network_libraries_are_imported_inside_functions_or_by_predictors_and_training_only() -> None:
    homes = (ROOT / "mlcore" / "predictors", ROOT / "mlcore" / "training")
    assert not [
        f"{label(path)} imports {name}"
        for path in files()
        if not any(path.is_relative_to(home) for home in homes)
        for name, at_top in imports(path)
        if at_top and name.split(".")[0] in HEAVY
    ]


def test_no_file_is_long() -> None:
    assert {label(path): n for path in files() if (n := len(path.read_text().splitlines())) > LONGEST_FILE} == {}


def test_every_module_says_what_lives_in_it() -> None:
    sources = {label(path): path.read_text() for path in files()}
    assert [
        name for name, source in sources.items() if source.strip() and not ast.get_docstring(ast.parse(source))
    ] == []


def test_nothing_happens_in_signals_or_in_save() -> None:
    wrong = []
    for path in files():
        source = path.read_text()
        functions = {node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)}
        if "django.db.models.signals" in source or (path.stem == "models" or path.parent.name == "models") & (
            "save" in functions
        ):
            wrong.append(label(path))
    assert not wrong


def test_only_few_places_touch_the_environment() -> None:
    """Settings come from env.py. Entry points name the settings module, the supervisor hands the environment on, and
    the command line and the training choose a Keras backend."""
    allowed = {"env.py", "supervisor.py", "celery.py", "wsgi.py", "up.py"}
    assert not [
        label(path)
        for path in files()
        if path.name not in allowed and not path.is_relative_to(ROOT / "mlcore")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    ]


LOAD_EVERYTHING = """
import sys, django
django.setup()
from django.urls import get_resolver
{extra}
list(get_resolver().reverse_dict)
get_resolver().check()
print(" ".join(name for name in {heavy!r} if name in sys.modules))
"""


def said(program: str) -> str:
    """What a process of its own prints."""
    outcome = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout.strip()


@pytest.mark.parametrize("extra", ["import cxrsite.wsgi", "import diagnosis.services.prepare"], ids=["web", "prepare"])
def test_process_that_serves_or_prepares_never_loads_a_network_library(extra: str) -> None:
    assert said(LOAD_EVERYTHING.format(extra=extra, heavy=HEAVY)) == ""


LOAD_AS_CELERY = """
import sys
from cxrsite.celery import app
app.loader.import_default_modules()
app.finalize()
assert "diagnosis.infer" in app.tasks
"""
LOAD_AS_SWEEPER = """
import sys, django
django.setup()
import diagnosis.management.commands.sweeper
"""


@pytest.mark.parametrize("load", [LOAD_AS_CELERY, LOAD_AS_SWEEPER], ids=["infer worker", "sweeper"])
def test_process_that_shows_no_page_and_opens_no_film_is_not_kept_waiting_by_what_does(load: str) -> None:
    not_needed = ("cxrsite.urls", "diagnosis.pdf", "fpdf", "pydicom", "mlcore.decode", *HEAVY)
    assert said(f"{load}print(*(name for name in {not_needed!r} if name in sys.modules))") == ""


def test_what_opens_films_is_loaded_before_the_prepare_worker_forks() -> None:
    select = """
from types import SimpleNamespace
from diagnosis.worker import load_for_children
app.amqp.queues.select(["prepare"])
load_for_children(sender=SimpleNamespace(app=app))
print("pydicom" in sys.modules)
"""
    assert said(LOAD_AS_CELERY + select) == "True"

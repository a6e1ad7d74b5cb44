"""Walks every address of the site as every role, at the own and at the other clinic: does `table.py` hold?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.apps import apps
from django.db import transaction
from django.http import HttpResponse
from django.urls import URLPattern, get_resolver

from patients.models import AuditEvent
from tests.access import table
from tests.access.table import ROLES, Row, rows
from tests.access.world import FOREIGN_NAME, OWN_NAME, TRIAL_NAME, TRIAL_NUMBER, UNKNOWN, Side, World
from tests.conftest import audit_refusing, owner_connected
from tests.pages.test_markup import Markup

HOME_ROWS = [(variant, row) for variant, text in [
    ("", table.PAGES + table.API), ("signed", table.SIGNED), ("open", table.OPEN),
] for row in rows(text)]  # fmt: skip
OBJECT_ROWS = [(variant, row) for variant, row in HOME_ROWS if "<" in row.route and "model" not in row.route]
PROBLEM = "application/problem+json"
#: May see no patient of the clinic: no answer may hold a patient's name.
BLIND = {"anonymous", "doctor", "clinicadmin", "system", "client"}


@contextmanager
def undone() -> Iterator[None]:
    """A transaction that is rolled back, in which durable ones may begin as in Django's own tests."""
    block = transaction.atomic()
    block._from_testcase = True
    with block:
        yield
        transaction.set_rollback(True)


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Built once; whatever a request changes is rolled back."""
    with django_db_blocker.unblock(), undone():
        yield World(tmp_path_factory.mktemp("media"))


@pytest.fixture(autouse=True)
def db(world: World) -> None:
    """Takes the place of pytest-django's fixture, which would begin a transaction per test."""


@pytest.fixture(autouse=True)
def _films_lie_in_their_place(world: World, settings: Any) -> None:
    settings.MEDIA_ROOT = world.media_root
    settings.SENDFILE_ROOT = str(world.media_root)
    settings.MODEL_ROOT = world.model_root


def name_of(case: Any) -> str:
    variant, row = case
    return f"{variant or 'unsigned'}:{row.method} {row.route}"


def ask(world: World, role: str, row: Row, side: str, variant: str = "", **options: Any) -> HttpResponse:
    """One request, its changes undone; the same question is asked once and its answer kept."""
    question = (role, row.method, row.route, side, variant, *sorted(options.items()))
    if question not in world.answers:
        with undone():
            world.answers[question] = _ask(world, role, row, getattr(world, side), variant, options)
    return world.answers[question]


def _ask(world: World, role: str, row: Row, side: Side, variant: str, options: dict[str, Any]) -> HttpResponse:
    if variant == "open":
        type(side.clinic).objects.filter(pk=side.clinic.pk).update(show_unread_results=True)
    if options.pop("audit_down", False):
        with owner_connected() as cursor, audit_refusing(cursor):
            response = world.call(role, row.method, row.route, side, variant=variant, **options)
        response.recorded, response.events = set(), 0
    else:
        before = AuditEvent.objects.count()
        response = world.call(role, row.method, row.route, side, variant=variant, **options)
        # read here, before the first byte of the body is taken: what is not recorded yet comes too late
        response.recorded = set(AuditEvent.objects.filter(patient__isnull=False).values_list("patient", flat=True))
        response.events = AuditEvent.objects.count() - before
    response.body = b"".join(response.streaming_content) if response.streaming else response.content
    return response


@pytest.mark.parametrize("case", HOME_ROWS, ids=name_of)
def test_each_role_meets_the_expected_answer_at_home(world, case):
    variant, row = case
    answers = {role: ask(world, role, row, "own", variant).status_code for role in ROLES}
    assert answers == row.expected


@pytest.mark.parametrize("case", OBJECT_ROWS, ids=name_of)
def test_what_belongs_to_another_clinic_does_not_exist(world, case):
    variant, row = case
    answers = {role: ask(world, role, row, "foreign", variant).status_code for role in ROLES}
    assert answers == {role: row.expected[role] if role == "anonymous" else 404 for role in ROLES}


@pytest.mark.parametrize(
    "case",
    [
        case
        for case in HOME_ROWS
        if case[1].method == "POST"
        and "<" not in case[1].route
        and "emergency" not in case[1].route
        and "/views/" not in case[1].route  # names no clinic
    ],
    ids=name_of,
)
def test_a_body_that_names_another_clinic_changes_nothing_there(world, case):
    _, row = case
    for role in ROLES[1:]:
        response = ask(world, role, row, "foreign")
        at_home = row.expected[role]
        assert response.status_code in ({at_home} if at_home >= 400 and at_home != 400 else {200, 400, 404}), role
        assert FOREIGN_NAME.encode() not in response.body, role


@pytest.mark.parametrize("case", OBJECT_ROWS, ids=name_of)
def test_foreign_unknown_and_malformed_ids_read_the_same(world, case):
    variant, row = case
    for role in ("operator", "clinicadmin", "sender"):
        foreign = ask(world, role, row, "foreign", variant)
        for given in (UNKNOWN, "nonsense"):
            other = ask(world, role, row, "foreign", variant, given=given)
            assert plain(other) == plain(foreign), f"{role}: {given}"


@pytest.mark.parametrize("case", HOME_ROWS, ids=name_of)
def test_no_answer_holds_a_patient_whom_the_role_may_not_see(world, case):
    variant, row = case
    for role in ROLES:
        for side in ("own", "foreign"):
            body = ask(world, role, row, side, variant).body.decode(errors="replace")
            assert FOREIGN_NAME not in body, f"{role} at {side}"
            assert role not in BLIND or OWN_NAME not in body, f"{role} at {side}"


@pytest.mark.parametrize("case", HOME_ROWS, ids=name_of)
def test_nobody_is_told_what_a_version_on_trial_said(world, case):
    variant, row = case
    for role in ROLES:
        body = ask(world, role, row, "own", variant).body.decode(errors="replace")
        assert str(TRIAL_NUMBER) not in body, role
        assert f"{TRIAL_NUMBER:.0%}".replace("%", " %") not in body, role
        assert TRIAL_NAME not in body or (role == "system" and "model" in row.route), role
        for trial in (*world.own.trial.predictions.all(), *world.own.trial.jobs.all()):
            assert str(trial.pk) not in body, role


@pytest.mark.parametrize("row", [Row("GET", route, {}) for route in (
    "/models/<uuid:model_id>/",
    "/models/<uuid:model_id>/figures/<slug:figure>.svg",
    "/models/<uuid:model_id>/compare/",
    "/api/v1/model-versions/<str:id>/",
    "/images/<uuid:prediction_id>/map/<slug:label>/",
    "/api/v1/predictions/<str:id>/",
    "/api/v1/predictions/<str:id>/map/<str:label>/",
    "/api/v1/jobs/<str:id>/",
)], ids=lambda row: row.route)  # fmt: skip
def test_what_is_on_trial_is_not_found_by_its_id(world, row):
    kind = next(kind for kind in ("model", "prediction", "job") if kind in row.route)
    rows = {
        "model": world.own.trial,
        "prediction": world.own.trial.predictions.first(),
        "job": world.own.trial.jobs.first(),
    }
    for role in ROLES[1:]:
        seen = kind == "model" and role == "system"
        assert ask(world, role, row, "own", given=str(rows[kind].pk)).status_code == (200 if seen else 404), role


@pytest.mark.parametrize("headers", [{}, {"HTTP_HX_REQUEST": "true"}], ids=["page", "fragment"])
@pytest.mark.parametrize("case", HOME_ROWS, ids=name_of)
def test_whoever_is_shown_a_patient_is_recorded(world, case, headers):
    variant, row = case
    if headers and row.route.startswith("/api/"):
        return
    for role in set(ROLES) - BLIND:
        response = ask(world, role, row, "own", variant, **headers)
        if OWN_NAME in response.body.decode(errors="replace") or response.headers["Content-Type"] == "image/png":
            assert world.own.patient.pk in response.recorded, role


@pytest.mark.parametrize("case", HOME_ROWS, ids=name_of)
def test_F27_while_the_audit_is_down_nobody_is_shown_a_patient(world, case):
    """Whatever leaves a record, and with it everything that shows a patient, answers 503 without a byte of it."""
    variant, row = case
    recorded = [role for role in ROLES[1:] if ask(world, role, row, "own", variant).events]
    for role in {*recorded[:1], *recorded[-1:]}:
        response = ask(world, role, row, "own", variant, audit_down=True)
        assert response.status_code == 503, role
        assert OWN_NAME not in response.body.decode(), role
        assert response.headers["Content-Type"].split(";")[0] in ("text/html", "text/plain", PROBLEM), role
        assert response.headers["Retry-After"] == "30", role


@pytest.mark.parametrize("route", sorted({row.route for _, row in HOME_ROWS}))
def test_other_methods_do_nothing(world, route):
    offered = {row.method for _, row in HOME_ROWS if row.route == route}
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - offered:
        for role in ("radiologist", "system"):
            response = ask(world, role, Row(method, route, {}), "own")
            assert response.status_code in (302, 403, 404, 405), f"{method} as {role}"
            assert response.status_code != 302 or "/accounts/login/" in response["Location"], f"{method} as {role}"


@pytest.mark.parametrize("row", rows(table.ACCOUNTS), ids=lambda row: row.route)
def test_account_pages_answer_as_expected(world, row):
    """Programs are left out: without a password they never have a session to come here with."""
    people = [role for role in ROLES if role not in ("client", "sender")]
    answers = {role: ask(world, role, Row("GET", account_route(row.route), {}), "own").status_code for role in people}
    assert answers == {role: row.expected[role] for role in people}


def admin_cases() -> Iterator[tuple[str, int]]:
    """Every address of the administration with the system administrator's answer."""
    yield from table.ADMIN_PAGES.items()
    for model, may in table.ADMIN_MODELS.items():
        yield f"/admin/{model}/", 200
        yield f"/admin/{model}/add/", 200 if "add" in may else 403
        yield f"/admin/{model}/<path:object_id>/", 302
        shown = 302 if model in table.ADMIN_CLOSED else 200
        yield f"/admin/{model}/<path:object_id>/change/", shown
        yield f"/admin/{model}/<path:object_id>/history/", shown
        yield f"/admin/{model}/<path:object_id>/delete/", 200 if "delete" in may else 403


def admin_address(route: str) -> str:
    """An address of the administration with its parameters filled; any other as it is."""
    if not route.startswith("/admin/"):
        return route
    filled = re.sub(r"\^|\$", "", route).replace("(?P<app_label>*)", "patients").replace("(?P<url>.*)", "nonsense/")
    if model := re.match(r"/admin/(\w+/\w+)/<", filled):
        row = apps.get_model(model[1].replace("/", ".")).objects.last()  # the first may be on trial, unseen
        return re.sub(r"<[^>]*>", str(row.pk) if row else "1", filled)
    return re.sub(r"<[^>]*>", "1", filled)


@pytest.mark.parametrize(("route", "status"), admin_cases())
def test_the_administration_belongs_to_the_system_administrator(world, route, status):
    filled = admin_address(route)
    answers = {role: ask(world, role, Row("GET", filled, {}), "own").status_code for role in ROLES}
    away = {role: 302 for role in ROLES} | ({} if route != "/admin/login/" else dict.fromkeys(ROLES[1:], 403))
    assert answers == away | {"system": status}


def account_route(route: str) -> str:
    return re.sub(r"\^|\$|\(\?P<key>[^)]*\)|\(\?P<uidb36>[^)]*\)", lambda m: "" if m[0] in "^$" else "x", route)


PROTECTED = [
    *((row.method, row.route) for variant, row in HOME_ROWS if not variant),
    *(("GET", account_route(row.route)) for row in rows(table.ACCOUNTS)),
    *(("GET", route) for route, _ in admin_cases()),
]


@pytest.mark.parametrize(("method", "route"), PROTECTED, ids=lambda part: part)
def test_every_answer_protects_itself(world, method, route):
    for role in ("anonymous", "radiologist", "system"):
        response = ask(world, role, Row(method, admin_address(route), {}), "own")
        headers, policy = response.headers, response.headers["Content-Security-Policy"]
        # Charts are SVG files with styles in them: shown as pictures, without scripts, in a sandbox.
        assert "unsafe" not in policy or (route.endswith(".svg") and "script" not in policy and "sandbox" in policy)
        assert "frame-ancestors 'none'" in policy or policy.startswith("default-src 'none'")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "camera=()" in headers["Permissions-Policy"]
        if OWN_NAME.encode() in response.body or headers.get("Content-Type") == "image/png":
            assert "no-store" in headers["Cache-Control"], role
        if headers.get("Content-Type", "").startswith("text/html"):
            assert Markup(response.body.decode()).forbidden == [], role


def test_every_address_stands_in_the_table():
    known = {row.route for _, row in HOME_ROWS} | {row.route for row in rows(table.ACCOUNTS)}
    known |= {route for route, _ in admin_cases()}
    missing = {route for route in every_route(get_resolver().url_patterns) if route not in known}
    stale = known - set(every_route(get_resolver().url_patterns))
    assert (missing, stale) == (set(), set())


def every_route(patterns: list[Any], prefix: str = "/") -> Iterator[str]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            # the list of installed applications in this one changes with every library
            yield re.sub(r"\(\?P<app_label>[^)]*\)", "(?P<app_label>*)", route)
        else:
            yield from every_route(pattern.url_patterns, route)


def plain(response: HttpResponse) -> tuple[int, str, list[str]]:
    """What an answer tells: status, body and headers without the reference and tokens that differ each time."""
    body = response.body.decode()
    for reference in (response["X-Request-ID"], *re.findall(r'csrfmiddlewaretoken" value="([^"]+)"', body)):
        body = body.replace(reference, "")
    return response.status_code, body, sorted(set(response.headers) - {"Vary"})

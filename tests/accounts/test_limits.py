"""Limits hold however many processes answer: requests per minute, wrong passwords, wrong and used codes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret, hotp_value, yield_hotp_counters_from_time
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core.cache import caches
from django.db import connection, connections
from django.test import Client

from cxrsite.limits import request_count
from cxrsite.models import RequestCount
from patients.errors import ApplicationError
from tests import factories
from tests.api.problems import assert_problem

LOGIN, CODE, ME = "/accounts/login/", "/accounts/2fa/authenticate/", "/api/v1/me/"


@pytest.fixture
def limits(settings):
    """`limits(search=2)`: the others stay generous."""
    return lambda **numbers: settings.RATE_LIMITS.update(numbers)


@pytest.fixture(autouse=True)
def _own_numbers(settings):
    settings.RATE_LIMITS = dict(settings.RATE_LIMITS)


def at_once(number: int, act: Any) -> list[Any]:
    """What `act` returned, called in so many threads with a connection of their own, as in as many web processes."""

    def one(_: int) -> Any:
        try:
            return act()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(one, range(number)))


# --- requests


def test_too_many_requests_are_told_how_long_to_wait(api_for, limits):
    limits(token=2)
    client = api_for("operator")
    assert [client.get(ME).status_code for _ in range(2)] == [200, 200]
    response = client.get(ME)
    assert_problem(response, "rate_limited")
    assert 0 < int(response.headers["Retry-After"]) <= 60
    assert f"Wait {response.headers['Retry-After']} seconds" in response.json()["detail"]


def test_a_minute_later_it_goes_on(api_for, limits):
    limits(token=1)
    client = api_for("operator")
    assert [client.get(ME).status_code for _ in range(2)] == [200, 429]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE cxrsite_requestcount SET began_at = began_at - interval '61 seconds'")
    assert client.get(ME).status_code == 200


def test_tokens_persons_and_others_do_not_use_up_each_others_requests(api_for, client_for, limits):
    limits(token=1, person=1)
    first, second, page = api_for("operator"), api_for("operator"), client_for("operator")
    for client in (first, second, page, client_for("radiologist")):
        assert client.get(ME).status_code == 200
    assert first.get(ME).status_code == 429


def test_visitors_are_counted_by_address(anonymous, limits):
    limits(visitor=2)
    wrong = {"HTTP_AUTHORIZATION": "Token " + "0" * 64}
    assert [anonymous.get(ME).status_code, anonymous.get(ME, **wrong).status_code] == [401, 401]
    assert_problem(anonymous.get(ME, **wrong), "rate_limited")
    assert_problem(anonymous.get(ME), "rate_limited")
    assert anonymous.get(ME, REMOTE_ADDR="10.0.0.7").status_code == 401


def test_searches_and_uploads_have_limits_of_their_own(api_for, client_for, limits):
    limits(search=1, upload=1)
    client, page = api_for("operator"), client_for("operator")
    assert [client.get("/api/v1/patients/").status_code for _ in range(2)] == [200, 429]
    assert [page.post("/patients/", {"query": "a"}).status_code for _ in range(2)] == [200, 429]
    assert [client.post("/api/v1/studies/").status_code for _ in range(2)] == [400, 429]
    assert [page.post("/").status_code for _ in range(2)] == [404, 429]
    assert client.get(ME).status_code == 200
    assert page.get("/patients/").status_code == 200


def test_a_page_says_the_same_sentence(client_for, limits):
    limits(search=0)
    answer = client_for("operator").post("/patients/", {"query": "a"})
    assert "Too many requests. Wait" in answer.content.decode()
    assert 0 < int(answer.headers["Retry-After"]) <= 60


@pytest.mark.django_db(transaction=True)
def test_a_limit_holds_when_many_ask_at_once(limits):
    limits(token=20)

    def ask() -> bool:
        try:
            request_count({"token": "one"})
        except ApplicationError:
            return False
        return True

    assert sum(at_once(100, ask)) == 20
    assert RequestCount.objects.get().count == 100


# --- wrong passwords


@pytest.fixture
def hashed(monkeypatch) -> list[str]:
    """Every password that is hashed, which is how one is looked at."""
    seen: list[str] = []
    original = MD5PasswordHasher.encode
    monkeypatch.setattr(MD5PasswordHasher, "encode", lambda *args: seen.append(args[1]) or original(*args))
    return seen


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["operator", "nobody"])
def test_of_a_hundred_wrong_passwords_at_once_five_are_looked_at(name, hashed):
    factories.user_make(username="operator")
    hashed.clear()
    answers = at_once(100, lambda: Client().post(LOGIN, {"login": name, "password": "wrong"}).status_code)
    assert sorted(answers) == [200] * 4 + [429] * 96
    assert len(hashed) == 5


@pytest.mark.django_db(transaction=True)
def test_another_address_does_not_wait_for_a_locked_name(user_for):
    user = user_for("operator")
    at_once(20, lambda: Client().post(LOGIN, {"login": user.username, "password": "wrong"}))
    right = {"login": user.username, "password": factories.PASSWORD}
    assert Client().post(LOGIN, right, REMOTE_ADDR="10.0.0.7").status_code == 302


def test_an_unknown_name_costs_as_much_work_as_a_known_one(user_for, hashed):
    """One hash each: what takes time at a sign-in is the hashing."""
    user, counts = user_for("operator"), []
    for name in (user.username, "nobody-at-all"):
        hashed.clear()
        Client().post(LOGIN, {"login": name, "password": "wrong"})
        counts.append(len(hashed))
    assert counts == [1, 1]


# --- codes


@pytest.fixture
def shared_cache(settings):
    """The cache of the running site, which all processes share."""
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cxrsite_cache"}
    }
    return caches["default"]


@pytest.fixture
def secret(user_for) -> str:
    secret = generate_totp_secret()
    TOTP.activate(user_for("operator"), secret)
    return secret


def code_of(secret: str) -> str:
    return f"{hotp_value(secret, next(yield_hotp_counters_from_time())):06}"


def after_password(user: Any) -> Client:
    client = Client(raise_request_exception=False)
    client.post(LOGIN, {"login": user.username, "password": factories.PASSWORD})
    return client


def is_in(client: Client) -> bool:
    return client.get("/patients/").status_code == 200


def test_after_five_wrong_codes_the_right_one_is_refused_too(shared_cache, user_for, secret):
    for _ in range(5):
        after_password(user_for("operator")).post(CODE, {"code": "000000"})
    client = after_password(user_for("operator"))
    client.post(CODE, {"code": code_of(secret)})
    assert not is_in(client)


def test_a_code_that_was_read_over_a_shoulder_opens_nothing(shared_cache, user_for, secret):
    code = code_of(secret)
    first, second = after_password(user_for("operator")), after_password(user_for("operator"))
    for client in (first, second):
        client.post(CODE, {"code": code})
    assert (is_in(first), is_in(second)) == (True, False)
    assert shared_cache.get(f"allauth.mfa.totp.used?user={user_for('operator').pk}&code={code}")

"""Sessions end: without activity, after a day, at a new password, and at once when a person is no longer let in."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client
from knox.models import AuthToken

from patients.models import Membership
from patients.sessions import access_end
from tests import factories

LOGIN, STATE, SESSIONS, ME = "/accounts/login/", "/accounts/session/", "/accounts/sessions/", "/api/v1/me/"
START = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)
POLL = {"HTTP_HX_REQUEST": "true", "HTTP_HX_CURRENT_URL": "http://testserver/films/?q=1"}
SCRIPT = {"HTTP_ACCEPT": "application/problem+json"}


@pytest.fixture
def operator(user_for):
    return user_for("operator")


@pytest.fixture
def clock(time_machine_at):
    """`clock(minutes)` moves the time to so many minutes after the start."""
    time_machine_at(START)
    return lambda minutes: time_machine_at(START + timedelta(minutes=minutes))


@pytest.fixture
def client(clock, operator) -> Client:
    """Signed in on the page at the start."""
    Membership.objects.update(valid_from=START - timedelta(days=1))
    return signed_in_as(operator)


def signed_in_as(user: Any) -> Client:
    client = Client(raise_request_exception=False)
    client.post(LOGIN, {"login": user.username, "password": factories.PASSWORD})
    return client


def is_in(client: Client) -> bool:
    return client.get("/patients/").status_code == 200


def sign_in_page(client: Client, address: str) -> str:
    return client.get(address).content.decode()


# --- time


def test_fifteen_minutes_without_activity_end_a_session_and_the_page_says_why(client, clock):
    clock(15.1)
    answer = client.get("/patients/?a=b")
    assert (answer.status_code, answer.url) == (302, f"{LOGIN}?ended=idle&next=%2Fpatients%2F%3Fa%3Db")
    page = sign_in_page(client, answer.url)
    assert "signed out because nothing was done" in page
    assert 'name="next" value="/patients/?a=b"' in page


def test_opening_pages_keeps_a_session_alive(client, clock):
    for minutes in (14, 28, 42):
        clock(minutes)
        assert is_in(client)


@pytest.mark.parametrize(
    "headers",
    [POLL, {"HTTP_SEC_FETCH_MODE": "no-cors"}, {"HTTP_SEC_FETCH_MODE": "cors"}, SCRIPT],
    ids=["htmx", "picture", "fetch", "script"],
)
def test_what_a_page_asks_by_itself_keeps_no_session_alive(client, clock, headers):
    for minutes in (5, 10, 14.9):
        clock(minutes)
        assert client.get("/films/", **headers).status_code == 200
    clock(15.1)
    assert not is_in(client)


def test_sending_a_form_is_activity(client, clock):
    clock(14)
    client.post("/patients/", {"query": "x"}, **POLL)
    clock(28)
    assert is_in(client)


def test_twelve_hours_end_a_session_however_busy(client, clock, settings):
    settings.SESSION_IDLE_SECONDS = 7 * 60 * 60
    for hours in (6, 11.9):
        clock(hours * 60)
        assert is_in(client)
    clock(12 * 60 + 1)
    answer = client.get("/patients/")
    assert "ended=long" in answer.url
    assert "a working day ago" in sign_in_page(client, answer.url)


def test_stepping_up_in_between_does_not_lengthen_the_day(client, clock, settings):
    settings.SESSION_IDLE_SECONDS = 7 * 60 * 60
    for hours in (6, 11.9):
        clock(hours * 60)
        client.post("/accounts/reauthenticate/", {"password": factories.PASSWORD})
    clock(12 * 60 + 1)
    assert not is_in(client)


def test_a_page_that_renews_itself_is_sent_to_sign_in_and_back_to_where_it_was(client, clock):
    clock(16)
    answer = client.get("/films/", **POLL)
    assert answer.headers["HX-Redirect"] == f"{LOGIN}?ended=idle&next=%2Ffilms%2F%3Fq%3D1"


def test_what_was_sent_too_late_is_said_to_be_lost_and_leads_back_to_its_form(client, clock, patient):
    clock(16)
    form = f"/patients/{patient.pk}/edit/"
    answer = client.post(form, {"name": "X"}, HTTP_REFERER=f"http://testserver{form}")
    assert answer.url == f"{LOGIN}?ended=idle&lost=1&next={form.replace('/', '%2F')}"
    assert "was not saved" in sign_in_page(client, answer.url)
    patient.refresh_from_db()
    assert patient.name == "Asha Verma"


def test_a_script_is_told_that_nobody_is_signed_in(client, clock):
    clock(16)
    answer = client.get(STATE, **SCRIPT)
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert not is_in(client)


def test_an_ended_session_is_gone_from_the_database(client, clock):
    clock(16)
    is_in(client)
    assert not Session.objects.filter(pk=client.cookies["sessionid"].value or "gone").exists()


def test_the_page_says_how_long_it_may_stay_open_and_asking_does_not_prolong_it(client, clock):
    page = client.get("/patients/").content.decode()
    assert re.search(r'id="session-warning"[^>]*hidden[^>]*data-seconds="900"', page)
    clock(14.5)
    assert client.get(STATE, **SCRIPT).json() == {"seconds": 30, "renewable": True}


def test_one_click_stays_signed_in(client, clock):
    clock(14.5)
    assert client.post(STATE, **SCRIPT).json() == {"seconds": 900, "renewable": True}
    clock(29)
    assert is_in(client)


def test_near_the_end_of_the_day_staying_is_not_offered(client, clock, settings):
    settings.SESSION_IDLE_SECONDS = 13 * 60 * 60
    clock(12 * 60 - 0.5)
    assert client.post(STATE, **SCRIPT).json() == {"seconds": 30, "renewable": False}


def test_a_session_ends_with_the_browser(client):
    assert client.cookies["sessionid"]["max-age"] == ""


# --- at once


def test_deactivation_deletes_sessions_and_tokens(client, operator):
    AuthToken.objects.create(operator)
    operator.is_active = False
    operator.save()
    access_end(user=operator)
    assert not is_in(client)
    assert (UserSession.objects.count(), Session.objects.count(), AuthToken.objects.count()) == (0, 0, 0)


def test_the_end_of_the_last_membership_ends_a_session_at_once(client, operator):
    assert is_in(client)
    operator.memberships.update(valid_to=START - timedelta(seconds=1))
    answer = client.get("/patients/")
    assert "ended=left" in answer.url
    assert "no role at any clinic now" in sign_in_page(client, answer.url)
    assert not UserSession.objects.exists()


def test_the_end_of_the_last_membership_ends_a_token_at_once(api_for, operator):
    client = api_for(operator)
    assert client.get(ME).status_code == 200
    operator.memberships.all().delete()
    assert client.get(ME).status_code == 401
    assert not AuthToken.objects.exists()


def test_who_still_has_a_role_elsewhere_stays(client, operator, other_clinic):
    factories.membership_make(operator, other_clinic, "operator", valid_from=START - timedelta(days=1))
    operator.memberships.filter(clinic__code="hill").delete()
    access_end(user=operator)
    assert is_in(client)


def test_a_membership_that_begins_tomorrow_opens_nothing_today(client, operator):
    operator.memberships.update(valid_from=START + timedelta(days=1))
    assert not is_in(client)


def test_deactivation_in_the_administration_ends_everything(client_for, user_for, operator):
    elsewhere = signed_in_as(operator)
    AuthToken.objects.create(operator)
    membership = operator.memberships.get()
    client_for("system").post(
        f"/admin/patients/user/{operator.pk}/change/",
        {
            "username": operator.username,
            "memberships-TOTAL_FORMS": "0",
            "memberships-INITIAL_FORMS": "0",
        },
    )
    operator.refresh_from_db()
    assert (operator.is_active, membership.pk) == (False, operator.memberships.get().pk)
    assert not UserSession.objects.filter(user=operator).exists()
    assert not AuthToken.objects.exists()
    assert not is_in(elsewhere)


# --- everywhere


def test_a_person_sees_where_they_are_signed_in_and_ends_the_others(client, operator, user_for):
    elsewhere, stranger = signed_in_as(operator), signed_in_as(user_for("radiologist"))
    page = client.get(SESSIONS).content.decode()
    assert page.count("127.0.0.1") == 2
    client.post(SESSIONS)
    assert (is_in(client), is_in(elsewhere), is_in(stranger)) == (True, False, True)


def test_a_new_password_deletes_every_session(client, operator):
    elsewhere = signed_in_as(operator)
    new = "another long enough password"
    client.post("/accounts/password/change/", {"oldpassword": factories.PASSWORD, "password1": new, "password2": new})
    assert not UserSession.objects.exists()
    assert (is_in(client), is_in(elsewhere)) == (False, False)


def test_a_stolen_number_from_before_signing_in_is_worth_nothing(operator):
    client = Client()
    client.get(f"{LOGIN}?next=/")
    session = client.session
    session["planted"] = True
    session.save()
    before = session.session_key
    client.cookies["sessionid"] = before
    client.post(LOGIN, {"login": operator.username, "password": factories.PASSWORD})
    assert client.cookies["sessionid"].value != before
    thief = Client()
    thief.cookies["sessionid"] = before
    assert not is_in(thief)
